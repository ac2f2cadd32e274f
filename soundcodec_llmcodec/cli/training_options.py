"""What the commands `train` and `lm train` share: options of a run, printing its config, device and time limit."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any


def add_config_options(
    parser: argparse.ArgumentParser, *, default: str, bundled: str, data: str, data_help: str, validation: str, key: str
) -> None:
    """The config, the data that override it, and where the run goes. `data` is the flag of training data, `key` an
    example of --set."""
    parser.set_defaults(misused=parser.error)  # what options need each other is seen once they are read
    parser.add_argument("--config", default=default, help=f"a bundled config ({bundled}) or a YAML file")
    parser.add_argument(data, nargs="+", action="extend", help=data_help)
    parser.add_argument("--validation", nargs="+", action="extend", help=f"held-out {validation}, written as {data}")
    parser.add_argument("--out", type=Path, help="the run's folder (needed); an earlier run there is resumed")
    parser.add_argument(
        "--set",
        nargs="+",
        action="extend",
        default=[],
        metavar="KEY=VALUE",
        help=f"override a key of the config, such as {key}",
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print every key with its value, as --config reads it, and exit"
    )


def add_run_options(parser: argparse.ArgumentParser, *, exported: str, export_only: str) -> None:
    """Where the run computes, how long, and what it leaves; `exported` is what goes to --export."""
    parser.add_argument("--device", help="cpu, cuda, cuda:1 (default: cuda where there is one)")
    parser.add_argument("--max-minutes", type=float, help="stop after about this long, with a checkpoint")
    parser.add_argument("--export", type=Path, help=f"where {exported} goes at the end (default: OUT/export)")
    parser.add_argument("--export-only", action="store_true", help=export_only)
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no log lines")


def overrides_of(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The config's values that the command line sets: by --set, and by the options of these names that were given."""
    from soundcodec_llmcodec.runs.config_files import parse_overrides

    options = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    return parse_overrides(arguments.set) | options


def only_prints(config: Any, arguments: argparse.Namespace) -> bool:
    """Print the config where that is all that is asked for; exits as argparse does where a run has no folder."""
    if not arguments.print_config:
        if arguments.out is None:
            arguments.misused("the following arguments are required: --out")
        return False
    from soundcodec_llmcodec.runs.config_keys import commented_yaml

    print(commented_yaml(config), end="")
    return True


def device_of(arguments: argparse.Namespace) -> str:
    """The device that was named, or the best there is. Raises CheckpointError for one that is not here."""
    from soundcodec_llmcodec.checkpoints import usable_device
    from soundcodec_llmcodec.runs.distributed import best_device

    return str(usable_device(arguments.device or best_device()))


def max_seconds(arguments: argparse.Namespace) -> float | None:
    """How long the run may take, None for as long as it takes."""
    return None if arguments.max_minutes is None else 60 * arguments.max_minutes
