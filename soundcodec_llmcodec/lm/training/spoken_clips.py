"""Clips with their texts, for a model that speaks text: those that cannot be trained on are left out and counted.

Letters: N tokens of a clip, C characters of its text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from soundcodec_llmcodec.data.token_corpus import TokenClip, TokenSource, token_ids
from soundcodec_llmcodec.lm.characters import Characters, TextError, characters_of_texts
from soundcodec_llmcodec.lm.training.token_clips import Clips, open_corpora
from soundcodec_llmcodec.runs.errors import TrainConfigError

NO_TEXT, UNKNOWN, TOO_LONG = "without text", "with unknown characters", "too long"


@dataclass(frozen=True)
class SpokenClips:
    """Clips with texts, the characters that these are made of, and by reason how many clips were left out.

    `dropped` are the signs that were left out of texts, with how often.
    """

    clips: Clips
    characters: str
    left_out: Mapping[str, int]
    dropped: Mapping[str, int] = field(default_factory=dict)

    @property
    def summary(self) -> str:
        """What was left out, in words; empty where nothing was."""
        parts = [f"{count} clips {reason}" for reason, count in self.left_out.items() if count]
        if self.dropped:
            signs = ", ".join(f"{sign!r} ({count})" for sign, count in sorted(self.dropped.items()))
            parts.append(f"the unknown signs {signs}")
        return f"{', '.join(self.clips.labels)}: left out {'; '.join(parts)}" if parts else ""


def open_spoken_clips(
    places: Sequence[str], most_positions: int, characters: str | None = None, source: TokenSource | None = None
) -> SpokenClips:
    """The clips of token corpora with their texts, at most `most_positions` positions each with text and tokens.

    `characters` None takes all that the texts are made of. Raises TrainConfigError as `open_clips` does, for tokens of
    several levels, and where no clip is left.
    """
    corpora = open_corpora(places, source)
    labels = [corpus.label for corpus in corpora]
    source = corpora[0].source
    if source.num_quantizers > 1:
        raise TrainConfigError(
            f"text to speech takes tokens of one level, but {labels[0]} has {source.num_quantizers} levels "
            f"({source.codec_name}): train on tokens of the codec's first level (levels=1)"
        )
    every = [clip for corpus in corpora for clip in corpus.clips()]
    with_text = [clip for clip in every if clip.text and clip.text.strip()]
    if not with_text:
        raise TrainConfigError(
            f"text.kind: characters needs clips with text, but none of the {len(every)} clips of {', '.join(labels)} "
            "has one: tokenize a data set with a column text"
        )
    known = characters_of_texts(clip.text or "" for clip in with_text) if characters is None else characters
    left_out = Counter({NO_TEXT: len(every) - len(with_text), UNKNOWN: 0, TOO_LONG: 0})
    dropped: Counter[str] = Counter()
    tokens, texts = [], []
    for clip in with_text:
        text = _encoded(clip, Characters(known, 0), dropped)
        if text is None:
            left_out[UNKNOWN] += 1
        elif len(text) + 1 + len(clip.codes) > most_positions:
            left_out[TOO_LONG] += 1
        else:
            tokens.append(token_ids(clip.codes, source))
            texts.append(text)
    if not tokens:
        reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
        raise TrainConfigError(
            f"no clip of {', '.join(labels)} is left: {reasons} (at most {most_positions} positions)"
        )
    return SpokenClips(Clips.of(source, tokens, labels, texts), known, dict(left_out), dict(dropped))


def _encoded(clip: TokenClip, characters: Characters, dropped: Counter[str]) -> np.ndarray | None:
    """A clip's text int64 (C,), None where the model could not read it; signs left out are counted."""
    try:
        encoded = characters.encoded(clip.text or "")
    except TextError:
        return None
    dropped.update(encoded.dropped)
    return encoded.ids
