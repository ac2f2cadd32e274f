"""Plain values (YAML, command line) to nested frozen dataclasses, with errors that name the key."""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from soundcodec_llmcodec.nearest import did_you_mean
from soundcodec_llmcodec.runs.errors import TrainConfigError

T = TypeVar("T")


def build(kind: type[T], values: Any, where: str = "") -> T:
    """A dataclass of this kind from a mapping of its fields; what is left out has its default.

    Numbers may be text ("1e-3" is text in YAML 1.1). Raises TrainConfigError for unknown keys (suggesting the nearest)
    and for values of another kind.
    """
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise TrainConfigError(f"{where or 'the config'} takes key: value lines, got {values!r}")
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind) if field.init]  # type: ignore[arg-type]
    for key in values:
        if key not in names:
            hint = did_you_mean(str(key), names)
            raise TrainConfigError(f"unknown key {_joined(where, key)!r}{hint} The keys here are: {', '.join(names)}")
    fields = {key: convert(hints[key], value, _joined(where, key)) for key, value in values.items()}
    try:
        return kind(**fields)
    except TypeError as error:  # a field without a default
        raise TrainConfigError(f"{where or 'the config'}: {error}") from error
    except TrainConfigError as error:
        raise TrainConfigError(f"{where}: {error}" if where else str(error)) from error
    except ValueError as error:
        raise TrainConfigError(f"{where or 'the config'}: {error}") from error


def convert(hint: Any, value: Any, where: str) -> Any:
    """A value as its field's type wants it."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        options = [option for option in arguments if option is not type(None)]
        exact = [option for option in options if isinstance(option, type) and type(value) is option]
        return convert(exact[0] if exact else options[-1] if len(options) > 1 else options[0], value, where)
    if origin is typing.Literal:
        if value not in arguments:
            raise TrainConfigError(f"{where} is one of {', '.join(map(str, arguments))}, got {value!r}")
        return value
    if origin is tuple:
        return _tuple(arguments, value, where)
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if not isinstance(value, Mapping):
            raise TrainConfigError(f"{where} takes key: value lines, got {value!r}")
        return {str(key): convert(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return build(typing.cast(type, hint), value, where)
    return _plain(hint, value, where)


def plain(value: Any) -> Any:
    """A config as JSON- and YAML-ready data, which `build` reads back."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """`over` on top of `base`; mappings are merged key by key, everything else is replaced."""
    result = {key: value for key, value in base.items() if key not in over}
    for key, value in over.items():
        below = base.get(key)
        result[key] = merged(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return result


def _joined(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _tuple(arguments: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    items = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if arguments[-1] is Ellipsis:
        return tuple(convert(arguments[0], item, where) for item in items)
    if len(items) != len(arguments):
        raise TrainConfigError(f"{where} takes {len(arguments)} values, got {value!r}")
    return tuple(convert(kind, item, where) for kind, item in zip(arguments, items, strict=True))


def _plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        return _number(value, where)
    if hint is int:
        number = _number(value, where)
        if number != int(number):
            raise TrainConfigError(f"{where} must be a whole number, got {value!r}")
        return int(number)
    if not isinstance(value, hint):
        expected = "true or false" if hint is bool else "text" if hint is str else getattr(hint, "__name__", hint)
        raise TrainConfigError(f"{where} must be {expected}, got {value!r}")
    return value


def _number(value: Any, where: str) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise TrainConfigError(f"{where} must be a number, got {value!r}")
    return number
