"""Make report.html of a run folder again, from what the folder holds.

python eval/report.py RUN_FOLDER [--output FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__" and not __package__:
    import checkout_path  # noqa: F401

import argparse
from collections.abc import Sequence

from eval.harness import command


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    return command.main("report", argv, _parse, _write)


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="report",
        description=(__doc__ or "").split("\n\n")[0],
        epilog="Exit codes: 0 written, 2 could not be made.",
    )
    parser.add_argument("folder", type=Path, help="what superb_tiny.py or salmon.py --output wrote")
    parser.add_argument("--output", type=Path, help="the file to write (default: report.html in the folder)")
    return parser.parse_args(argv)


def _write(arguments: argparse.Namespace, _command_line: Sequence[str]) -> int:
    written = write(arguments.folder, arguments.output)
    print(f"{written} ({written.stat().st_size / 1e6:.1f} MB)")
    return command.DONE


def write(folder: Path, output: Path | None = None) -> Path:
    """Write the report of a run folder of any kind. Returns where. Raises ReportError."""
    from eval.harness.pages import run_report
    from eval.reconstruction.report import REPORT_OF_RECONSTRUCTION
    from eval.salmon.report import REPORT_OF_SALMON

    return run_report.of_folder(folder, (REPORT_OF_RECONSTRUCTION, REPORT_OF_SALMON)).write(folder, output)


if __name__ == "__main__":
    sys.exit(main())
