"""Where a training config's values come from: YAML files with their bases, and the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.runs.config_values import merged
from soundcodec_llmcodec.runs.errors import TrainConfigError

BASE = "base"


@dataclass(frozen=True)
class BundledConfigs:
    """The configs of one kind of run: the folder of those that come with the package, what errors call one, and how
    the short forms that a file may have are written out."""

    folder: Path
    kind: str
    written_out: Callable[[Mapping[str, Any]], dict[str, Any]] = dict

    @property
    def names(self) -> list[str]:
        """Those that come with the package."""
        return sorted(path.stem for path in self.folder.glob("*.yaml"))

    def values(self, name_or_path: str, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The values of a bundled config or a YAML file, with those of its base below them and `overrides` on top.

        A file's key `base` names a config (bundled, or a file beside it) that it is a difference to. Raises
        TrainConfigError for a file that is not there, is no YAML, or is its own base.
        """
        return merged(self._read(name_or_path, (), None), self.written_out(overrides or {}))

    def _read(self, name_or_path: str, seen: tuple[str, ...], beside: Path | None) -> dict[str, Any]:
        """`seen` are the files that led here, `beside` the folder of the last of them."""
        import yaml

        near = [] if beside is None else [beside / name_or_path, beside / f"{name_or_path}.yaml"]
        places = [*near, Path(name_or_path), self.folder / f"{name_or_path}.yaml"]
        path = next((place for place in places if place.is_file()), None)
        if path is None:
            raise TrainConfigError(f"no {self.kind} {name_or_path!r}: give a YAML file or one of {self.names}")
        if str(path.resolve()) in seen:
            raise TrainConfigError(f"{path} is its own base, by way of {', '.join(seen)}")
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except yaml.YAMLError as error:
            raise TrainConfigError(f"{path} is not YAML: {error}") from error
        if not isinstance(values, dict):
            raise TrainConfigError(f"{path} should hold key: value lines, got {type(values).__name__}")
        base = values.pop(BASE, None)
        values = self.written_out(values)
        if base is None:
            return values
        return merged(self._read(str(base), (*seen, str(path.resolve())), path.parent), values)


def parse_override(text: str) -> dict[str, Any]:
    """'key=value' or 'section.key=value', with the value read as YAML, as a nested mapping."""
    import yaml

    path, separator, value = text.partition("=")
    if not separator or not path.strip():
        raise TrainConfigError(f"expected key=value, got {text!r}")
    try:
        nested: Any = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise TrainConfigError(f"the value in {text!r} is not YAML: {error}") from error
    for key in reversed(path.strip().split(".")):
        nested = {key: nested}
    return nested


def parse_overrides(texts: Iterable[str]) -> dict[str, Any]:
    """What several `parse_override` say together; of two that say the same key, the later counts."""
    overrides: dict[str, Any] = {}
    for text in texts:
        overrides = merged(overrides, parse_override(text))
    return overrides
