"""Bits a second against distortion, for codecs trained in different ways from one midpoint: train and measure every
row, then draw them. Rows run side by side; what was stopped goes on with the same command."""

from __future__ import annotations

import sys
from pathlib import Path

if __package__ in (None, ""):
    _here = Path(__file__).resolve().parent
    sys.path[:] = [str(_here.parent), *(entry for entry in sys.path if Path(entry or ".").resolve() != _here)]

import argparse
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed

_ABOUT = """    llmcodec train --config experiments/midpoint.yaml --data DATA:train --out runs/mid
    llmcodec train export runs/mid --kinds codec bundle --out runs/mid/exports
    python experiments/run_tradeoff.py --speech DATA --midpoint runs/mid/exports --out runs/tradeoff --workers 2
    python experiments/run_tradeoff.py --out runs/tradeoff --report docs/tradeoff"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0, 1 where a row failed, 2 where nothing could run,
    130 where it was stopped."""
    arguments = _parser().parse_args(argv)
    try:
        if arguments.report is not None:
            from experiments.tradeoff.tradeoff_report import write_report
            from experiments.tradeoff.tradeoff_rows import read_experiment

            further = [(read_experiment(Path(yaml)), Path(out)) for yaml, out in arguments.beside]
            experiment = _experiment(arguments)
            for path in write_report(experiment, arguments.out, arguments.report, further, arguments.table):
                print(path)
            return 0
        return _run(arguments)
    except KeyboardInterrupt:
        print("run_tradeoff: stopped; the same command goes on", file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f"run_tradeoff: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="run_tradeoff", description=f"{__doc__}\n\n{_ABOUT}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = Path(__file__).resolve().parent / "tradeoff.yaml"
    parser.add_argument(
        "--experiment", type=Path, default=default, help="YAML (default: tradeoff.yaml beside this file)"
    )
    parser.add_argument(
        "--speech",
        help="speech with splits train and validation: a folder, or a hub id where the experiment takes every clip",
    )
    parser.add_argument("--midpoint", type=Path, help="what all rows start from: a folder with codec/ and bundle/")
    parser.add_argument("--salmon", type=Path, help="a suite of eval/salmon_build.py, for rows marked full")
    parser.add_argument("--out", type=Path, required=True, help="the folder of all rows")
    parser.add_argument("--rows", nargs="+", action="extend", metavar="ROW", help="these, in this order (default: all)")
    parser.add_argument("--workers", type=int, default=1, help="rows side by side (default: 1)")
    parser.add_argument("--threads", type=int, default=1, help="threads of a row (default: 1)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--max-minutes", type=float, help="begin no further row after so long")
    parser.add_argument("--report", type=Path, metavar="FOLDER", help="write tables and the picture of what is there")
    parser.add_argument("--table", type=Path, metavar="FILE", help="with --report: fill the short table in this text")
    parser.add_argument(
        "--beside", nargs=2, action="append", default=[], metavar=("YAML", "OUT"), help="another experiment's rows too"
    )
    return parser


def _experiment(arguments: argparse.Namespace):  # type: ignore[no-untyped-def]
    from experiments.tradeoff.tradeoff_rows import read_experiment

    return read_experiment(arguments.experiment)


def _run(arguments: argparse.Namespace) -> int:
    from experiments.tradeoff.running import run_row
    from experiments.tradeoff.stages import StagePlace, stages, write_token_speech
    from experiments.tradeoff.tradeoff_rows import ExperimentError, RowSpec, in_order

    if arguments.speech is None or arguments.midpoint is None:
        raise ExperimentError("running rows takes --speech and --midpoint")
    experiment = _experiment(arguments)
    out = arguments.out.resolve()
    midpoint = arguments.midpoint.resolve()
    salmon = None if arguments.salmon is None else arguments.salmon.resolve()
    # Commands run in the project's folder.
    speech = str(Path(arguments.speech).resolve()) if Path(arguments.speech).exists() else arguments.speech
    experiment.check()
    place = StagePlace(speech, midpoint, out, salmon, arguments.device, arguments.threads)
    write_token_speech(experiment, place)
    end = time.monotonic() + 60 * (1e9 if arguments.max_minutes is None else arguments.max_minutes)

    begun: dict[str, Future[str]] = {}

    def whole(row: RowSpec) -> str:
        first = None if row.start is None else begun.get(row.start)
        # It was begun before this one (in_order); asking how it ended waits for that.
        if first is not None and first.exception() is not None:
            raise ExperimentError(f"{row.name}: not begun, it goes on from {row.start}, which failed")
        if time.monotonic() > end:
            return f"{row.name}: not begun, the time is over"
        clock = time.monotonic()
        run_row(stages(experiment, row, place), out / row.name, place.threads)
        return f"{row.name}: {time.monotonic() - clock:.0f} s"

    failed = 0
    with ThreadPoolExecutor(arguments.workers) as pool:
        for row in in_order(experiment.named(arguments.rows)):
            begun[row.name] = pool.submit(whole, row)
        try:
            for future in as_completed(begun.values()):
                failed += not _report_end(future)
        except KeyboardInterrupt:
            # What runs has had the same signal and ends by itself; what waits is not begun.
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return 1 if failed else 0


def _report_end(future: Future[str]) -> bool:
    """Print how a row ended; returns whether well."""
    try:
        print(future.result(), flush=True)
    except (ValueError, OSError, RuntimeError) as error:
        print(f"run_tradeoff: {error}", file=sys.stderr, flush=True)
        return False
    return True


if __name__ == "__main__":
    raise SystemExit(main())
