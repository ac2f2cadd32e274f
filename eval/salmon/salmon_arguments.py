"""The command line of salmon.py. Imports no torch, so that `--help` and refusals are fast."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from eval.harness import arguments as shared
from eval.harness.command import exit_codes
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

_EXIT_CODES = exit_codes(
    "every model scored every pair",
    "some did not, or a model could not be loaded; both are listed, everything else was measured",
    "the run could not start: an unknown name, no data, a folder in use, a language model of another codec",
    "what was finished is kept in --output",
)


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """The arguments. Exits with 2 and a message for what cannot be meant."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    shared.check_output(parser, arguments)
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = shared.parser("salmon", _ABOUT, _EXIT_CODES)
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
    shared.add_limit(what, "pairs a part")
    shared.add_include(what, "codecs")
    what.add_argument("--list", action="store_true", help="list the suite's parts and how models are written, and stop")
    how = parser.add_argument_group("how it is measured")
    how.add_argument(
        "--normalize",
        choices=NORMALIZATIONS,
        default=PER_TOKEN,
        help="what is compared: nats a token, or their sum over the recording (default: token; why stands above)",
    )
    shared.add_comparison(how, "the first")
    shared.add_wide(how)
    where = parser.add_argument_group("where it runs, and what it leaves")
    shared.add_output(where)
    shared.add_device(where, "codec and language model run")
    shared.add_batch_size(where, 16, "recordings")
    shared.add_report_samples(where, "--report-pairs", "pairs a part")
    shared.add_quiet(where)
    return parser
