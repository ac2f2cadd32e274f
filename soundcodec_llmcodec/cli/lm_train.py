"""The command `lm train`: token corpora, a config, a folder; resumes where the folder's last run stopped."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig

WHICH = ("best", "last")  # weights of a run that can be exported


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec lm train`."""
    parser.description = __doc__
    parser.set_defaults(misused=parser.error)  # what options need each other is seen once they are read
    _add_settings(parser)
    _add_running(parser)


def _add_settings(parser: argparse.ArgumentParser) -> None:
    """What is trained, on what, and where."""
    parser.add_argument(
        "--config",
        default="small",
        help="a bundled config (small, smollm2, tiny) or a YAML file",
    )
    parser.add_argument(
        "--tokens",
        nargs="+",
        action="extend",
        help="token corpora, DIR or DIR:SPLIT, all of one codec",
    )
    parser.add_argument(
        "--validation",
        nargs="+",
        action="extend",
        help="held-out token corpora, written as --tokens",
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
        help="override a key, such as scratch.layers=6",
    )
    parser.add_argument("--steps", type=int, help="how many steps the whole run has")
    parser.add_argument("--codec", help="the codec whose code vectors scratch.rows.kind=codebook takes")
    parser.add_argument(
        "--print-config",
        action="store_true",
        help="print every key with its value, as --config reads it, and exit",
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    """How the run goes, and what it leaves."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda where there is one)")
    parser.add_argument(
        "--max-minutes",
        type=float,
        help="stop after about this long, with a checkpoint",
    )
    parser.add_argument(
        "--export",
        type=Path,
        help="where the language model goes at the end (default: OUT/export)",
    )
    parser.add_argument(
        "--export-which",
        choices=WHICH,
        default="best",
        help="weights to export (default: best)",
    )
    parser.add_argument(
        "--name",
        help="what tables call the language model (default: the export folder's name)",
    )
    parser.add_argument("--export-only", action="store_true", help="export without training")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no log lines")


def train(arguments: argparse.Namespace) -> int:
    """`llmcodec lm train`: train, validate and export; returns the exit status.

    Raises TrainConfigError, TokenCorpusError, TrainingError and the like; and TokenLMError, before anything trains,
    where the export would overwrite what is no model of ours.
    """
    if arguments.print_config:
        from soundcodec_llmcodec.runs.config_keys import commented_yaml

        print(commented_yaml(_config(arguments)), end="")
        return 0
    if arguments.out is None:
        arguments.misused("the following arguments are required: --out")
    from soundcodec_llmcodec.lm.lm_folder import NEURAL, check_target
    from soundcodec_llmcodec.lm.training.lm_export import export_run

    target = arguments.export or arguments.out / "export"
    check_target(target, NEURAL)
    if not arguments.export_only:
        from soundcodec_llmcodec.checkpoints import usable_device
        from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer
        from soundcodec_llmcodec.runs.distributed import best_device

        config, device = (
            _config(arguments),
            str(usable_device(arguments.device or best_device())),
        )
        trainer = LMTrainer(config, arguments.out, device, not arguments.quiet)
        trainer.run(None if arguments.max_minutes is None else 60 * arguments.max_minutes)
        trainer.monitor.close()
        if not trainer.world.is_main:
            return 0
    step = export_run(arguments.out, target, arguments.export_which, arguments.name, arguments.codec)
    print(f"{target} (weights of step {step})")
    return 0


def _config(arguments: argparse.Namespace) -> LMTrainConfig:
    """The config that the command line describes."""
    from soundcodec_llmcodec.lm.training.lm_config import load_config
    from soundcodec_llmcodec.runs.config_files import parse_overrides

    overrides = parse_overrides(arguments.set)
    for name in ("tokens", "validation", "steps", "codec"):
        if getattr(arguments, name) is not None:
            overrides[name] = getattr(arguments, name)
    return load_config(arguments.config, overrides)
