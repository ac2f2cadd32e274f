"""What the folder of a run, of a codec's or a language model's, keeps of its settings, and what a resume changes."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.runs.errors import TrainConfigError

CONFIG = "config.yaml"
# Where things lie is no setting: data are known by what is in them.
PLACES = ("data", "validation", "init")
# Facts that are hashes of the training clips, of which a person sees nothing.
_HASHES_OF_CLIPS = ("data", "tokens_hash")


class Config(Protocol):
    """A run's settings."""

    def to_dict(self) -> dict[str, Any]:
        """All of them, ready for JSON and YAML."""


def write_config(folder: Path, config: Config, places: Collection[str] = PLACES) -> None:
    """Write `config.yaml`: every setting of the run but for its places, as `--config` reads it."""
    import yaml

    text = yaml.safe_dump(_plain(config, places), sort_keys=False, allow_unicode=True)
    with written_whole(folder / CONFIG) as path:
        path.write_text(text, encoding="utf-8")


def changes(before: Config, now: Config, places: Collection[str] = PLACES) -> dict[str, str]:
    """Dotted keys whose values differ between the config that a run was under and the present one: 'before -> now'.

    `before` is made of what was saved, so that a key that came to be since then has its default.
    """
    old, new = (dict(_leaves(_plain(config, places))) for config in (before, now))
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return {key: f"{old.get(key)!r} -> {new.get(key)!r}" for key in keys}


def check_same(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any], keys: Iterable[str]) -> None:
    """Raise TrainConfigError where a dotted key has another value now than in the run that `folder` is of."""
    before, now = (json.loads(json.dumps(values)) for values in (before, now))
    pairs = {key: (_at(before, key), _at(now, key)) for key in keys}
    changed = [_difference(key, was, new) for key, (was, new) in pairs.items() if was != new]
    if changed:
        raise TrainConfigError(
            f"{folder} is of another run: {'; '.join(changed)}. Use the same values, or another --out"
        )


def _difference(key: str, was: Any, new: Any) -> str:
    """What to say of a value that has changed."""
    if key in _HASHES_OF_CLIPS:
        return "the training clips differ from those of this run (another data set, other files or another order)"
    return f"{key} was {was!r}, now {new!r}"


def _plain(config: Config, places: Collection[str]) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(config.to_dict()))
    return {key: value for key, value in values.items() if key not in places}


def _at(values: Mapping[str, Any], path: str) -> Any:
    """What a dotted key names in nested values; None where it is not there."""
    value: Any = values
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _leaves(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value
