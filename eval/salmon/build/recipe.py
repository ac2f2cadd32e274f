"""What a suite can be asked for: its parts, and what they are made by. Imports nothing that computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

VOICES = ("speaker_consistency", "gender_consistency", "sentiment_consistency")
ROOM = "rir_consistency"
BACKGROUNDS = ("bg_all_consistency", "bg_domain_consistency")
PARTS = (*VOICES, ROOM, *BACKGROUNDS)
ALIGNMENT = dict.fromkeys(
    ("bg_alignment", "sentiment_alignment"), "it needs sentences written for it, which labelled speech does not have"
)


@dataclass(frozen=True)
class Recipe:
    """What is asked for: at most `pairs` a part, and what recordings the room and background parts take.

    `shortest_s` and `longest_s`: longer recordings are cut in a pause before `longest_s`. `least_range_db`: from the
    10th to the 95th percentile of the level of what is spoken; less means a noisy recording. With `check_words`, pairs
    in which the recogniser hears other words than the text's in a member are left out. `rooms` are simulated, or read
    from `room_folder`.
    """

    pairs: int = 100
    seed: int = 0
    shortest_s: float = 3.0
    longest_s: float = 6.0
    least_range_db: float = 20.0
    check_words: bool = False
    rooms: int = 40
    room_folder: Path | None = None

    def __post_init__(self) -> None:
        if self.pairs < 1 or self.rooms < 2:
            raise ValueError(f"pairs must be at least 1 and rooms at least 2, got {self.pairs} and {self.rooms}")
        if not 0 < self.shortest_s < self.longest_s:
            raise ValueError(f"expected 0 < shortest_s < longest_s, got {self.shortest_s} and {self.longest_s}")
