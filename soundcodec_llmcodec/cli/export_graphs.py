"""The command export."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from soundcodec_llmcodec.cli.codec_choice import load_codec
from soundcodec_llmcodec.cli.command_errors import CommandError, one_line


def export(arguments: argparse.Namespace) -> int:
    """`llmcodec export`: write the codec's graphs, each checked against the codec; returns the exit status."""
    from soundcodec_llmcodec.export import export_folder as folders
    from soundcodec_llmcodec.export import graph_writing

    jobs = [(arguments.onnx, graph_writing.write_onnx), (arguments.torch_export, graph_writing.write_torch_export)]
    jobs = [(folder, write) for folder, write in jobs if folder is not None]
    if not jobs:
        raise CommandError("nothing to export: give --onnx DIR, --torch-export DIR or both")
    if len({os.path.realpath(folder) for folder, _ in jobs}) < len(jobs):
        raise CommandError(f"--onnx and --torch-export need folders of their own, both are {jobs[0][0]}")
    try:
        if arguments.onnx is not None:
            graph_writing.onnx_packages()
        for folder, _ in jobs:
            folders.check_target(folder)
        codec = load_codec(arguments.codec, "cpu")
        for folder, write in jobs:
            agreement = write(codec, folder)
            if not arguments.quiet:
                print(_summary(folder, agreement.tokens, agreement.near_ties, agreement.largest_difference))
    except (folders.ExportError, ImportError) as error:
        raise CommandError(one_line(error)) from error
    return 0


def _summary(folder: Path, tokens: int, near_ties: int, largest_difference: float) -> str:
    size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    equal = (
        f"{tokens} tokens equal"
        if not near_ties
        else f"{tokens} tokens equal but for {near_ties} frames that rounding decides"
    )
    return f"{folder}: {size:.1f} MB; {equal}, audio within {largest_difference:.1e} of the codec's"
