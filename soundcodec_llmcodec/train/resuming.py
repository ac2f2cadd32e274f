"""What a run's folder keeps of its settings, and what a resume changes of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.train.config import TrainConfig, make_config

CONFIG = "config.yaml"
# Where things lie is no setting: data are known by what is in them.
_PLACES = ("data", "validation", "init")


def write_config(folder: Path, config: TrainConfig) -> None:
    """Write `config.yaml`: every setting of the run, as `--config` reads it."""
    import yaml

    text = yaml.safe_dump(_plain(config), sort_keys=False, allow_unicode=True)
    with written_whole(folder / CONFIG) as path:
        path.write_text(text, encoding="utf-8")


def changes(saved: Mapping[str, Any], config: TrainConfig) -> dict[str, str]:
    """Dotted keys that have another value than in the config (as saved) that a run was under: 'before -> now'."""
    # What was saved before a key came to be had the key's default.
    before, now = (dict(_leaves(_plain(one))) for one in (make_config(saved), config))
    keys = [key for key in {**before, **now} if before.get(key) != now.get(key)]
    return {key: f"{before.get(key)!r} -> {now.get(key)!r}" for key in keys}


def _plain(config: TrainConfig) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return {key: value for key, value in values.items() if key not in _PLACES}


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
