"""The command `lm train`: token corpora, a config, a folder; resumes where the folder's last run stopped."""

from __future__ import annotations

import argparse

from soundcodec_llmcodec.cli import training_options

WHICH = ("best", "last")  # weights of a run that can be exported


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm train`."""
    parser.description = __doc__
    training_options.add_config_options(
        parser,
        default="small",
        bundled="small, smollm2, speech, tiny",
        data="--tokens",
        data_help="token corpora, DIR or DIR:SPLIT, all of one codec",
        validation="token corpora",
        key="scratch.layers=6",
    )
    parser.add_argument("--steps", type=int, help="how many steps the whole run has")
    parser.add_argument("--codec", help="the codec whose code vectors scratch.rows.kind=codebook takes")
    training_options.add_run_options(parser, exported="the language model", export_only="export without training")
    parser.add_argument("--export-which", choices=WHICH, default="best", help="weights to export (default: best)")
    parser.add_argument("--name", help="what tables call the language model (default: the export folder's name)")


def train(arguments: argparse.Namespace) -> int:
    """`llmcodec lm train`: train, validate and export; returns the exit status.

    Raises TrainConfigError, TokenCorpusError, TrainingError and the like; and TokenLMError, before anything trains,
    where the export would overwrite what is no model of ours.
    """
    from soundcodec_llmcodec.lm.training.lm_config import load_config

    overrides = training_options.overrides_of(arguments, "tokens", "validation", "steps", "codec")
    config = load_config(arguments.config, overrides)
    if training_options.only_prints(config, arguments):
        return 0
    from soundcodec_llmcodec.lm.lm_folder import NEURAL, check_target
    from soundcodec_llmcodec.lm.training.lm_export import export_run

    target = arguments.export or arguments.out / "export"
    check_target(target, NEURAL)
    if not arguments.export_only:
        from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer

        trainer = LMTrainer(config, arguments.out, training_options.device_of(arguments), not arguments.quiet)
        trainer.run(training_options.max_seconds(arguments))
        trainer.monitor.close()
        if not trainer.world.is_main:
            return 0
    step = export_run(arguments.out, target, arguments.export_which, arguments.name, arguments.codec)
    print(f"{target} (weights of step {step})")
    return 0
