"""The command line of salmon.py. Imports no torch, so that `--help` and refusals are fast."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eval.reconstruction.reconstruction_arguments import not_negative, positive
from eval.salmon.pair_scores import NORMALIZATIONS, PER_TOKEN

_ABOUT = """Does a language model over a codec's tokens find the coherent one of two recordings more likely?
SALMon's parts, from any suite of pairs: the bundled mini (synthetic) one, SALMon itself, or one that salmon_build.py
made.

    python eval/salmon.py --models llmcodec llmcodec@uniform --output runs/mini
    python eval/salmon.py --suite slprl/SALMon --models llmcodec llmcodec@runs/my-lm --output runs/salmon

A score is the log-likelihood of a recording's tokens over the codec's vocabulary, in float32. Which recording of a pair
is more likely is told by nats a token (--normalize token, the default) or by their sum (--normalize sum). The two
recordings of a pair may differ in length, and a sum prefers the shorter one whatever it holds: a model that knows
nothing would not be at chance. A mean a token has it at exactly 50%, all ties. Results keep both.

With --output, a run that was stopped (Ctrl-C, kill, power) goes on where it was with the same command and --resume."""

_EXIT_CODES = """exit codes:
  0    every model scored every pair
  1    some did not, or a model could not be loaded; both are listed, everything else was measured
  2    the run could not start: an unknown name, no data, a folder in use, a language model of another codec
  130  stopped by Ctrl-C; what was finished is kept in --output"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Exits with 2 and a message for what cannot be meant."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in ("resume", "overwrite"):
        if getattr(arguments, name) and not arguments.output:
            parser.error(f"--{name} goes with --output FOLDER, where the run is kept")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="salmon",
        description=_ABOUT,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is compared")
    what.add_argument(
        "--models",
        nargs="+",
        default=["llmcodec"],
        metavar="[LABEL=]CODEC[@LM]",
        help="CODEC: a name of the registry, a checkpoint folder, a hub id or my_codec.py:MyCodec; LM: bundled (of "
        "llmcodec alone, and its default), uniform, or a token LM's folder (default: llmcodec)",
    )
    what.add_argument(
        "--suite",
        default="mini",
        help="mini (default), a folder of parts with sample_<i>_<k>.wav files, or a hub id such as slprl/SALMon",
    )
    what.add_argument(
        "--parts", nargs="+", default=["all"], metavar="PART", help="parts by name or column, or all (default)"
    )
    what.add_argument("--limit", type=positive, help="pairs a part; the table is then marked as not for reporting")
    what.add_argument(
        "--include",
        action="append",
        metavar="PATH",
        help="a .py file or a folder of them with codecs of your own (docs/extend.md); may be repeated",
    )
    what.add_argument("--list", action="store_true", help="list the suite's parts and how models are written, and stop")
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--normalize",
        choices=NORMALIZATIONS,
        default=PER_TOKEN,
        help="what is compared: nats a token, or their sum over the recording (default: token; why stands above)",
    )
    how.add_argument("--baseline", metavar="MODEL", help="what the others are compared with (default: the first)")
    how.add_argument("--published", action="store_true", help="show published numbers too, marked as not measured here")
    how.add_argument("--wide", action="store_true", help="print all columns, as table.md has them")
    where = parser.add_argument_group("where it runs, and what it leaves")
    where.add_argument("--output", metavar="FOLDER", help="write the results and report.html there")
    again = where.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run in --output, or begin it")
    again.add_argument("--overwrite", action="store_true", help="begin anew where --output holds a run")
    where.add_argument("--device", default="cpu", help="where codec and language model run (default: cpu)")
    where.add_argument("--batch-size", type=positive, default=16, help="recordings a batch (default: 16)")
    where.add_argument(
        "--report-pairs", type=not_negative, default=2, help="pairs a part to listen to in report.html (default: 2)"
    )
    where.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser
