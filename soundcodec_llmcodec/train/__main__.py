"""The command `train`: a config, data, a folder; resumes where the folder's last run stopped."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from soundcodec_llmcodec.checkpoints import usable_device
from soundcodec_llmcodec.train.config import TrainConfigError, load_config, parse_override
from soundcodec_llmcodec.train.state import checkpoints_in
from soundcodec_llmcodec.train.trainer import Trainer


def parser() -> argparse.ArgumentParser:
    """The command line of `train`."""
    parser = argparse.ArgumentParser(prog="llmcodec train", description=__doc__)
    parser.add_argument("--config", default="compact", help="a bundled config (compact, tiny) or a YAML file")
    parser.add_argument("--data", nargs="+", help="FOLDER, FOLDER:SPLIT or HUB_ID:SPLIT; several are joined")
    parser.add_argument("--validation", nargs="+", help="held-out data, written as --data")
    parser.add_argument("--out", required=True, type=Path, help="the run's folder; an earlier run there is resumed")
    parser.add_argument("--set", nargs="+", default=[], metavar="KEY=VALUE", help="override a key of the config")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--cache", type=Path, help="where decoded audio is kept (default: OUT/cache)")
    parser.add_argument("--max-minutes", type=float, help="stop after about this long, with a checkpoint")
    parser.add_argument("--export", type=Path, help="where the codec goes at the end (default: OUT/export)")
    parser.add_argument("--export-only", action="store_true", help="export the newest checkpoint without training")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Train, validate, export.

    Raises TrainConfigError, DataError, CheckpointError or TrainingError, which say what to do.
    """
    arguments = parser().parse_args(argv)
    overrides: dict[str, Any] = dict(parse_override(text) for text in arguments.set)
    for name in ("data", "validation"):
        if getattr(arguments, name):
            overrides[name] = getattr(arguments, name)
    config = load_config(arguments.config, overrides)
    device = str(usable_device(arguments.device))
    trainer = Trainer(config, arguments.out, device, arguments.cache, not arguments.quiet)
    if arguments.export_only and not checkpoints_in(trainer.checkpoints):
        raise TrainConfigError(f"nothing to export: no checkpoint is in {trainer.checkpoints}")
    if not arguments.export_only:
        trainer.run(None if arguments.max_minutes is None else 60 * arguments.max_minutes)
    validation = trainer.validate()
    for problem in trainer.corpus.bad:
        print(f"not read: {problem}", file=sys.stderr)
    info = {"validation": validation.to_dict()} if validation else {}
    trainer.export(arguments.export or arguments.out / "export", info)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
