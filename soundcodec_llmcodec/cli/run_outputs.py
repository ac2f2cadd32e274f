"""The commands of `llmcodec train` that follow training: plot, export and push."""

from __future__ import annotations

import argparse
from pathlib import Path

from soundcodec_llmcodec.train.export_kinds import KINDS

CURVES = "curves.png"


def plot_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec train plot`."""
    parser.description = "The command `train plot`: the curves of one or more runs in one picture."
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder; several are overlaid")
    parser.add_argument("--out", type=Path, help=f"the PNG to write (default: {CURVES} in the first run's folder)")


def plot(arguments: argparse.Namespace) -> int:
    """Draw the curves of runs. Raises RecordsError for a folder without a log, ImportError without matplotlib."""
    from soundcodec_llmcodec.runs.plot import plot as draw

    print(draw(arguments.runs, arguments.out or arguments.runs[0] / CURVES))
    return 0


def export_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec train export`."""
    parser.description = "Export a run's newest checkpoint."
    parser.add_argument("run", type=Path, help="the run's folder")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=["codec"], help="what to write (default: codec)")
    parser.add_argument("--out", type=Path, help="below which folder (default: RUN/exports)")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--float32", action="store_true", help="the codec's weights as they are, not halved")
    precision.add_argument("--int8", action="store_true", help="the codec's matrices at 8 bits, a quarter of float32")


def export(arguments: argparse.Namespace) -> int:
    """Export a run's newest checkpoint, each kind to a folder of its own, and print where."""
    import torch

    from soundcodec_llmcodec.train.outputs import export_run

    dtype = torch.float32 if arguments.float32 else torch.int8 if arguments.int8 else torch.float16
    for path in export_run(arguments.run, tuple(arguments.kinds), arguments.out or arguments.run / "exports", dtype):
        print(path)
    return 0


def push_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec train push`."""
    parser.description = "Upload an exported folder to the hub."
    parser.add_argument("folder", type=Path)
    parser.add_argument("repo_id", help="owner/name; made, private, where it is new")
    parser.add_argument("--public", action="store_true", help="for everyone to see")


def push(arguments: argparse.Namespace) -> int:
    """Upload an exported folder to the hub, and print its address."""
    from soundcodec_llmcodec.train.card import push as upload

    print(upload(arguments.folder, arguments.repo_id, private=not arguments.public))
    return 0
