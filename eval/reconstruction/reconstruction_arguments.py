"""The command line of superb_tiny.py. Imports no torch, so that `--help` and worker processes start fast."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eval.harness import arguments as shared
from eval.harness.command import exit_codes
from eval.reconstruction.default_metrics import DEFAULT

COMPATIBLE = "codec-superb"

_ABOUT = """A reconstruction leaderboard of codecs on Codec-SUPERB-tiny, or on the bundled mini (synthetic) set.

    python eval/superb_tiny.py --models llmcodec opus_6k codec2_700c identity --output runs/mini

With --output, a run that was stopped (Ctrl-C, kill, power) goes on where it was with the same command and --resume."""

_EXIT_CODES = exit_codes(
    "every codec reconstructed every clip",
    "some did not, or a codec could not be loaded; both are listed, everything else was measured",
    "the run could not start: an unknown name, no data, a folder in use, no codec that loads",
    "what was finished is kept in --output",
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Exits with 2 and a message for what cannot be meant."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    shared.check_output(parser, arguments)
    if arguments.published and not arguments.compat:
        parser.error(f"--published goes with --compat {COMPATIBLE}: its numbers are by those rules and fit no others")
    if arguments.compat and arguments.metrics:
        parser.error("--compat has its own six metrics; leave --metrics out")
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = shared.parser("superb_tiny", _ABOUT, _EXIT_CODES)
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
    shared.add_limit(what, "clips a split")
    shared.add_include(what, "codecs, metrics and data sets")
    what.add_argument("--list", action="store_true", help="list the codecs and metrics that can be named, and stop")
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--metrics",
        nargs="+",
        metavar="METRIC",
        help=f"names, or all (default: {' '.join(DEFAULT)}); wer@whisper-base names the recogniser, "
        "wer_capped counts each clip at most 1",
    )
    how.add_argument(
        "--compat",
        choices=[COMPATIBLE],
        help="Codec-SUPERB's six metrics by its own rules (failures count as 1.0 or 0.0), and its result file",
    )
    shared.add_comparison(how, "the first that is no bound")
    how.add_argument("--by-source", action="store_true", help="print a table by source as well")
    shared.add_wide(how)
    where = parser.add_argument_group("where it runs, and what it leaves")
    shared.add_output(where)
    where.add_argument("--cache", metavar="FOLDER", help="keep scores there and take known ones from it")
    shared.add_device(where, "the codec runs")
    shared.add_batch_size(where, 8, "clips")
    where.add_argument(
        "--workers", type=shared.not_negative, default=2, help="processes that score; 0 scores in this one (default: 2)"
    )
    shared.add_report_samples(where, "--report-clips", "clips a split")
    shared.add_quiet(where)
    return parser
