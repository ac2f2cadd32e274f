"""The command line of superb_tiny.py. Imports no torch, so that `--help` and worker processes start fast."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eval.reconstruction import metrics as metric_registry

COMPATIBLE = "codec-superb"

_ABOUT = """A reconstruction leaderboard of codecs on Codec-SUPERB-tiny, or on the bundled mini (synthetic) set.

    python eval/superb_tiny.py --models llmcodec opus_6k codec2_700c identity --output runs/mini

With --output, a run that was stopped (Ctrl-C, kill, power) goes on where it was with the same command and --resume."""

_EXIT_CODES = """exit codes:
  0    every codec reconstructed every clip
  1    some did not, or a codec could not be loaded; both are listed, everything else was measured
  2    the run could not start: an unknown name, no data, a folder in use, no codec that loads
  130  stopped by Ctrl-C; what was finished is kept in --output"""


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Exits with 2 and a message for what cannot be meant."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    for name in ("resume", "overwrite"):
        if getattr(arguments, name) and not arguments.output:
            parser.error(f"--{name} goes with --output FOLDER, where the run is kept")
    if arguments.published and not arguments.compat:
        parser.error(f"--published goes with --compat {COMPATIBLE}: its numbers are by those rules and fit no others")
    if arguments.compat and arguments.metrics:
        parser.error("--compat has its own six metrics; leave --metrics out")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="superb_tiny",
        description=_ABOUT,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_argument_group("what is compared")
    what.add_argument(
        "--models",
        nargs="+",
        default=["llmcodec"],
        metavar="[LABEL=]CODEC",
        help="names of the registry (llmcodec, ...), a checkpoint folder, opus_6k, codec2_700c, hf:OWNER/NAME, "
        "superb:NAME, recon:FOLDER, my_codec.py:MyCodec, identity, resample_16k; --list shows all (default: llmcodec)",
    )
    what.add_argument("--checkpoint", help="other weights for the one registry codec among --models")
    what.add_argument(
        "--dataset",
        default="mini",
        help="mini (default), an included name, a folder (parquet, sound files, save_to_disk), a parquet file, or a "
        "hub id; each may end with :SPLIT",
    )
    what.add_argument("--splits", nargs="+", metavar="SPLIT", help="default: all of them")
    what.add_argument("--limit", type=positive, help="clips a split; the table is then marked as not for reporting")
    what.add_argument(
        "--include",
        action="append",
        metavar="PATH",
        help="a .py file or a folder of them with codecs, metrics and data sets of your own (docs/extend.md); may be "
        "repeated",
    )
    what.add_argument("--list", action="store_true", help="list the codecs and metrics that can be named, and stop")
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help=f"names, or all (default: {' '.join(metric_registry.DEFAULT)}); wer@whisper-base names the recogniser, "
        "wer_capped counts each clip at most 1",
    )
    how.add_argument(
        "--compat",
        choices=[COMPATIBLE],
        help="Codec-SUPERB's six metrics by its own rules (failures count as 1.0 or 0.0), and its result file",
    )
    how.add_argument(
        "--baseline", metavar="MODEL", help="what the others are compared with (default: the first that is no bound)"
    )
    how.add_argument("--published", action="store_true", help="show published numbers too, marked as not measured here")
    how.add_argument("--by-source", action="store_true", help="print a table by source as well")
    how.add_argument("--wide", action="store_true", help="print all columns, as table.md has them")
    where = parser.add_argument_group("where it runs, and what it leaves")
    where.add_argument("--output", metavar="FOLDER", help="write the results and report.html there")
    again = where.add_mutually_exclusive_group()
    again.add_argument("--resume", action="store_true", help="go on with the run in --output, or begin it")
    again.add_argument("--overwrite", action="store_true", help="begin anew where --output holds a run")
    where.add_argument("--cache", metavar="FOLDER", help="keep scores there and take known ones from it")
    where.add_argument("--device", default="cpu", help="where the codec runs (default: cpu)")
    where.add_argument("--batch-size", type=positive, default=8, help="clips a batch (default: 8)")
    where.add_argument(
        "--workers", type=not_negative, default=2, help="processes that score; 0 scores in this one (default: 2)"
    )
    where.add_argument(
        "--report-clips", type=not_negative, default=2, help="clips a split to listen to in report.html (default: 2)"
    )
    where.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def positive(text: str) -> int:
    """A whole number of 1 or more, for argparse."""
    return _whole_number(text, 1)


def not_negative(text: str) -> int:
    """A whole number of 0 or more, for argparse."""
    return _whole_number(text, 0)


def _whole_number(text: str, least: int) -> int:
    # argparse would name the function in its own message for a ValueError.
    expected = f"expected a whole number of {least} or more, got {text!r}"
    try:
        number = int(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(expected) from error
    if number < least:
        raise argparse.ArgumentTypeError(expected)
    return number
