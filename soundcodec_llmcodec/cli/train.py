"""The command `train`: a config, data, a folder; resumes where the folder's last run stopped."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from soundcodec_llmcodec.cli import training_options

if TYPE_CHECKING:
    from soundcodec_llmcodec.train.train_config import TrainConfig


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec train`."""
    parser.description = __doc__
    parser.epilog = "further: llmcodec train plot RUN, llmcodec train export RUN, llmcodec train push FOLDER owner/name"
    training_options.add_config_options(
        parser,
        default="compact",
        bundled="compact, compact_llm, compact_prior, published, tiny",
        data="--data",
        data_help="FOLDER, FOLDER:SPLIT or HUB_ID:SPLIT; several are joined",
        validation="data",
        key="losses.mel=15",
    )
    parser.add_argument("--cache", type=Path, help="where decoded audio is kept (default: OUT/cache)")
    parser.add_argument("--skip-nonfinite", type=int, default=0, metavar="N", help="steps with a NaN to pass over")
    training_options.add_run_options(
        parser, exported="the codec", export_only="export the newest checkpoint without training"
    )


def train(arguments: argparse.Namespace) -> int:
    """`llmcodec train`: train, validate, export; returns the exit status.

    Raises TrainConfigError, DataError, CheckpointError, TrainingError and the like, which say what to do.
    """
    from soundcodec_llmcodec.train.train_config import load_config

    config = load_config(arguments.config, training_options.overrides_of(arguments, "data", "validation"))
    return 0 if training_options.only_prints(config, arguments) else _run(config, arguments)


def _run(config: TrainConfig, arguments: argparse.Namespace) -> int:
    from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
    from soundcodec_llmcodec.runs.errors import TrainConfigError
    from soundcodec_llmcodec.train.codec_trainer import Trainer
    from soundcodec_llmcodec.train.outputs import export_trained_codec

    trainer = Trainer(
        config,
        arguments.out,
        training_options.device_of(arguments),
        arguments.cache,
        not arguments.quiet,
        skip_nonfinite=arguments.skip_nonfinite,
    )
    if arguments.export_only and not checkpoints_in(trainer.checkpoints):
        raise TrainConfigError(f"nothing to export: no checkpoint is in {trainer.checkpoints}")
    if not arguments.export_only:
        trainer.run(training_options.max_seconds(arguments))
    validation = trainer.validate()
    trainer.monitor.close()
    if not trainer.world.is_main:
        return 0
    for problem in trainer.corpus.bad:
        print(f"not read: {problem}", file=sys.stderr)
    info = {"validation": validation.to_dict()} if validation else {}
    export_trained_codec(arguments.out, trainer.state, arguments.export or arguments.out / "export", info)
    return 0
