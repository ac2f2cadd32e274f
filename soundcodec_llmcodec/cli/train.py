"""The command `train`: a config, data, a folder; resumes where the folder's last run stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundcodec_llmcodec.train.train_config import TrainConfig


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec train`."""
    parser.description = __doc__
    parser.set_defaults(misused=parser.error)  # what options need each other is seen once they are read
    parser.epilog = "further: llmcodec train plot RUN, llmcodec train export RUN, llmcodec train push FOLDER owner/name"
    _add_settings(parser)
    _add_running(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What is trained, on what, and where."""
    parser.add_argument(
        "--config",
        default="compact",
        help="a bundled config (compact, compact_llm, compact_prior, published, tiny) or a YAML file",
    )
    parser.add_argument(
        "--data",
        nargs="+",
        action="extend",
        help="FOLDER, FOLDER:SPLIT or HUB_ID:SPLIT; several are joined",
    )
    parser.add_argument(
        "--validation",
        nargs="+",
        action="extend",
        help="held-out data, written as --data",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="the run's folder (needed); an earlier run there is resumed",
    )
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the config, such as losses.mel=15",
    )
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print every key with its value, as --config reads it, and exit",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    """How the run goes, and what it leaves."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda where there is one)")
    parser.add_argument("--cache", type=Path, help="where decoded audio is kept (default: OUT/cache)")
    parser.add_argument(
        "--max-minutes",
        type=float,
        help="stop after about this long, with a checkpoint",
    )
    parser.add_argument(
        "--skip-nonfinite",
        type=int,
        default=0,
        metavar="N",
        help="steps with a NaN to pass over",
    )
    parser.add_argument(
        "--export",
        type=Path,
        help="where the codec goes at the end (default: OUT/export)",
    )
    parser.add_argument(
        "--export-only",
        action="store_true",
        help="export the newest checkpoint without training",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no log lines")


def train(arguments: argparse.Namespace) -> int:
    """`llmcodec train`: train, validate, export; returns the exit status.

    Raises TrainConfigError, DataError, CheckpointError, TrainingError and the like, which say what to do.
    """
    from soundcodec_llmcodec.runs.config_files import parse_overrides
    from soundcodec_llmcodec.train.train_config import load_config

    overrides = parse_overrides(arguments.set)
    for name in ("data", "validation"):
        if getattr(arguments, name):
            overrides[name] = getattr(arguments, name)
    config = load_config(arguments.config, overrides)
    if arguments.print_config:
        from soundcodec_llmcodec.runs.config_keys import commented_yaml

        print(commented_yaml(config), end="")
        return 0
    if arguments.out is None:
        arguments.misused("the following arguments are required: --out")
    return _run(config, arguments)


def _run(config: TrainConfig, arguments: argparse.Namespace) -> int:
    from soundcodec_llmcodec.checkpoints import usable_device
    from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
    from soundcodec_llmcodec.runs.distributed import best_device
    from soundcodec_llmcodec.runs.errors import TrainConfigError
    from soundcodec_llmcodec.train.codec_trainer import Trainer
    from soundcodec_llmcodec.train.outputs import export_trained_codec

    trainer = Trainer(
        config,
        arguments.out,
        str(usable_device(arguments.device or best_device())),
        arguments.cache,
        not arguments.quiet,
        skip_nonfinite=arguments.skip_nonfinite,
    )
    if arguments.export_only and not checkpoints_in(trainer.checkpoints):
        raise TrainConfigError(f"nothing to export: no checkpoint is in {trainer.checkpoints}")
    if not arguments.export_only:
        trainer.run(None if arguments.max_minutes is None else 60 * arguments.max_minutes)
    validation = trainer.validate()
    trainer.monitor.close()
    if not trainer.world.is_main:
        return 0
    for problem in trainer.corpus.bad:
        print(f"not read: {problem}", file=sys.stderr)
    info = {"validation": validation.to_dict()} if validation else {}
    export_trained_codec(arguments.out, trainer.state, arguments.export or arguments.out / "export", info)
    return 0
