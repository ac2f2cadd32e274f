"""A reconstruction leaderboard of codecs on Codec-SUPERB-tiny, or on the bundled mini (synthetic) set.

    python eval/superb_tiny.py --models llmcodec identity

Exit codes: 0 every clip was reconstructed, 1 some were not (they are listed), 2 the run could not start.
"""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    # Run as a script: the first entry is this folder, whose files must not hide packages of the same name.
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
from collections.abc import Sequence

from eval import metrics as metric_registry
from eval.scoring import Scorer


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    arguments = _parser().parse_args(argv)
    # torch comes with these; the worker processes, which import this file as well, do without.
    from eval import codec_models, corpora, leaderboard, results, runner
    from soundcodec_llmcodec.checkpoints import usable_device

    try:
        metrics = metric_registry.named(arguments.metrics)
        corpus = corpora.load(arguments.dataset)
        splits = corpus.chosen(arguments.splits)
        with_weights = [name for name in arguments.models if name not in codec_models.BUILTIN]
        if arguments.checkpoint and len(with_weights) != 1:
            raise ValueError(f"--checkpoint goes with exactly one codec that has weights, got {with_weights}")
        if len(set(arguments.models)) < len(arguments.models):
            raise ValueError(f"each model once, got {arguments.models}")
        usable_device(arguments.device)
        if arguments.output:
            # A run takes hours on the full set: better to hear now that its results have no place.
            results.check_folder(Path(arguments.output))
    except (ValueError, OSError) as error:
        return _refuse(error)
    with Scorer(arguments.workers) as scorer:
        scorer.start()
        try:
            models = [
                codec_models.load(name, arguments.checkpoint if name in with_weights else None, arguments.device)
                for name in arguments.models
            ]
        except (ValueError, OSError) as error:
            return _refuse(error)
        try:
            run = runner.run(
                models,
                corpus,
                splits,
                metrics,
                scorer,
                batch_size=arguments.batch_size,
                limit=arguments.limit,
                progress=not arguments.quiet,
            )
        except corpora.CorpusError as error:
            return _refuse(error)
    mark = leaderboard.mark(corpus.synthetic, arguments.limit)
    tables = leaderboard.tables(run)
    text = "\n\n".join(
        [*(leaderboard.markdown(table, corpus.label, mark) for table in tables), leaderboard.legend(metrics)]
    )
    print(text)
    if arguments.output:
        settings = results.Settings(
            command_line=tuple(sys.argv if argv is None else ("superb_tiny", *argv)),
            batch_size=arguments.batch_size,
            workers=arguments.workers,
            device=arguments.device,
            limit=arguments.limit,
        )
        contents = results.document(run, tables, corpus, settings)
        results.write(Path(arguments.output), contents, results.clip_rows(run), text)
        print(f"written to {arguments.output}", file=sys.stderr)
    return 1 if any(model.overall.failures for model in run.models) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="superb_tiny", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--models",
        nargs="+",
        default=["llmcodec"],
        metavar="NAME",
        help="codecs of the registry (llmcodec, ...), or identity, resample_16k (default: llmcodec)",
    )
    parser.add_argument("--checkpoint", help="weights for the codec: a folder, a file or a hub id")
    parser.add_argument(
        "--dataset", default="mini", help="mini (default), a folder or a hub id of Codec-SUPERB-tiny's shape"
    )
    parser.add_argument("--splits", nargs="+", metavar="SPLIT", help="default: all of them")
    parser.add_argument("--metrics", nargs="+", default=list(metric_registry.METRICS), metavar="METRIC")
    parser.add_argument("--limit", type=_positive, help="clips a split; the table is then marked as not for reporting")
    parser.add_argument("--device", default="cpu", help="where the codec runs (default: cpu)")
    parser.add_argument("--batch-size", type=_positive, default=8, help="clips a batch (default: 8)")
    parser.add_argument(
        "--workers", type=_not_negative, default=2, help="processes that score; 0 scores in this one (default: 2)"
    )
    parser.add_argument("--output", metavar="FOLDER", help="write results.json, clips.jsonl and table.md there")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def _positive(text: str) -> int:
    return _whole_number(text, 1)


def _not_negative(text: str) -> int:
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


def _refuse(error: Exception) -> int:
    print(f"superb_tiny: error: {' '.join(str(error).split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
