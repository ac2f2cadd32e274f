"""The command superb-run."""

from __future__ import annotations

import argparse
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.cli.command_errors import CommandError
from soundcodec_llmcodec.superb.adapter import DEVICE_VARIABLE
from soundcodec_llmcodec.superb.register import register, unregister


def run(arguments: argparse.Namespace) -> Callable[[], int]:
    """`llmcodec superb-run`: check and prepare the script now; returns what runs it."""
    script = prepare_script(arguments)
    return lambda: run_script(script, arguments.args)


def prepare_script(arguments: argparse.Namespace) -> Path:
    """Check the script of `llmcodec superb-run`, set its codecs' environment and register them; returns its path."""
    if not arguments.script.is_file():
        raise CommandError(f"there is no script {arguments.script}")
    script = arguments.script.resolve()
    if arguments.checkpoint is not None:
        given = Path(arguments.checkpoint)
        os.environ[checkpoints.CHECKPOINT_VARIABLE] = str(given.resolve()) if given.exists() else arguments.checkpoint
    if arguments.device is not None:
        checkpoints.usable_device(arguments.device)
        os.environ[DEVICE_VARIABLE] = arguments.device
    _put_first(os.getcwd(), str(script.parent))
    register()
    return script


def run_script(script: Path, args: Sequence[str]) -> int:
    """Run a script as `python SCRIPT ARGS` would, and take the codecs out of the registry again."""
    argv = sys.argv
    sys.argv = [str(script), *args]
    try:
        runpy.run_path(str(script), run_name="__main__")
    finally:
        sys.argv = argv
        unregister()
    return 0


def _put_first(*folders: str) -> None:
    """Folders to the front of sys.path, the last of them first."""
    for folder in folders:
        if folder in sys.path:
            sys.path.remove(folder)
        sys.path.insert(0, folder)
