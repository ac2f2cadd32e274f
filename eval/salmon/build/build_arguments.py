"""The command line of eval/salmon_build.py."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eval.harness import arguments as shared
from eval.salmon.build.recipe import ALIGNMENT, PARTS, Recipe
from eval.salmon.salmon_parts import PARTS as OF_SALMON

_DEFAULT = Recipe()

_ABOUT = """\
Make SALMon-style pairs: two recordings that differ in one thing only, the speaker, the gender, the emotion, the room
or the background of the second half. Number of samples, cut, words, loudness of the second halves, cross-fade and
signal-to-noise ratio are the same in both members of a pair."""

_MORE = f"""\
parts: {", ".join(f"{name} ({OF_SALMON[name].title})" for name in PARTS)}.
{" and ".join(ALIGNMENT)} need sentences written for them and are not built.

Speaker, gender and sentiment take recordings of one text by several speakers or in several emotions (columns text,
speaker_id, gender, emotion; words: a list of {{start, end, word}}, else the recogniser finds the words). Room and
background take recordings of {_DEFAULT.shortest_s:g} s and more; sounds have a column kind, and recording or ids that
end in a number where several are excerpts of one recording."""


def parser() -> argparse.ArgumentParser:
    """The parser of all options."""
    options = shared.parser("salmon_build", _ABOUT, _MORE)
    options.add_argument(
        "--speech", nargs="+", required=True, metavar="DATA[:SPLIT]", help="speech: folders, parquet files or hub ids"
    )
    options.add_argument("--sounds", nargs="+", default=[], metavar="DATA[:SPLIT]", help="sounds for the backgrounds")
    options.add_argument("--out", required=True, metavar="FOLDER", help="the folder of the suite, written whole")
    options.add_argument("--parts", nargs="+", default=["all"], metavar="PART", help="parts by name, or all (default)")
    options.add_argument(
        "--pairs", type=int, default=_DEFAULT.pairs, metavar="N", help="pairs a part, at most (%(default)s)"
    )
    options.add_argument("--seed", type=int, default=_DEFAULT.seed, help="seed of all that is drawn (%(default)s)")
    options.add_argument(
        "--license",
        nargs="+",
        default=[],
        metavar="NAME=TEXT",
        help="the licence of a data set that has no column for it, by the name of its folder or its hub id",
    )
    options.add_argument("--name", help="what the suite is called (default: the folder's name)")
    options.add_argument("--synthetic", action="store_true", help="mark the suite as synthetic: not for reporting")
    options.add_argument(
        "--check-words",
        action="store_true",
        help="leave out pairs in which the recogniser hears other words than the text's (English; extra eval-all)",
    )
    options.add_argument(
        "--rooms",
        default=str(_DEFAULT.rooms),
        metavar="N|FOLDER",
        help="how many rooms to simulate, or a folder of impulse responses (%(default)s)",
    )
    options.add_argument(
        "--shortest",
        type=float,
        default=_DEFAULT.shortest_s,
        metavar="S",
        help="shortest recording for room and background, in s (%(default)s)",
    )
    options.add_argument(
        "--longest",
        type=float,
        default=_DEFAULT.longest_s,
        metavar="S",
        help="longer ones are cut in a pause before that, in s (%(default)s)",
    )
    options.add_argument(
        "--least-range",
        type=float,
        default=_DEFAULT.least_range_db,
        metavar="DB",
        help="leave recordings with less between loud and quiet out of room and background (%(default)s)",
    )
    options.add_argument("--clips", type=int, metavar="N", help="read at most the first N clips of each data set")
    options.add_argument("--overwrite", action="store_true", help="replace the suite in the folder")
    options.add_argument("--quiet", action="store_true", help="no progress bars")
    return options


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The options of a command line."""
    return parser().parse_args(argv)
