"""Every key of a config with what it is: as YAML with comments, and as a Markdown table."""

from __future__ import annotations

import dataclasses
import math
import textwrap
import types
import typing
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from soundcodec_llmcodec.runs.config_values import plain
from soundcodec_llmcodec.setting import about_of, items_of

WIDTH = 100  # of lines of comments


@dataclasses.dataclass(frozen=True)
class ConfigKey:
    """A key by its dotted path; `value` is its default, None together with `required` where it has none.

    `section` is the config that it holds keys of, where it does.
    """

    path: str
    kind: str
    value: Any
    about: str
    required: bool = False
    section: type | None = None


def commented_yaml(config: Any) -> str:
    """A config as YAML that `--config` reads, each key below a comment of what it is."""
    return "".join(f"{line}\n" for line in _yaml_lines(config, ""))


def keys_of(config: type, above: str = "", default: Any = None) -> Iterator[ConfigKey]:
    """All keys of a config's class, sections after one another, with their defaults within `default`."""
    hints = typing.get_type_hints(config)
    for field in dataclasses.fields(config):
        section = _section_of(hints[field.name])
        value, required = _default_of(field) if default is None else (getattr(default, field.name), False)
        path = f"{above}{field.name}"
        yield ConfigKey(path, _kind_text(hints[field.name]), value, about_of(field), required, section)
        if section is not None and value is not None:
            yield from keys_of(section, f"{path}.", value)


def key_table(keys: Iterable[ConfigKey]) -> str:
    """Keys as a Markdown table: key, type, default, what it is."""
    rows = ["| Key | Type | Default | What it is |", "|---|---|---|---|"]
    for key in keys:
        if key.section is not None and key.value is not None:
            rows.append(f"| **`{key.path}`** | section | | {_cell(key.about)} |")
            continue
        default = "needed" if key.required else f"`{_flow(key.value)}`"
        rows.append(f"| `{key.path}` | {_cell(key.kind)} | {_cell(default)} | {_cell(key.about)} |")
    return "\n".join([*rows, ""])


def _yaml_lines(config: Any, indent: str) -> Iterator[str]:
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        yield from _comment(about_of(field), indent)
        items = items_of(field)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            yield f"{indent}{field.name}:"
            yield from _yaml_lines(value, f"{indent}  ")
        elif isinstance(value, Mapping) and value and items:
            yield f"{indent}{field.name}:"
            for name, item in value.items():
                yield from _comment(items.get(name, ""), f"{indent}  ")
                yield f"{indent}  {name}: {_flow(item)}"
        else:
            yield f"{indent}{field.name}: {_flow(value)}"


def _comment(text: str, indent: str) -> list[str]:
    start = f"{indent}# "
    return textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False)


def _flow(value: Any) -> str:
    """A value in one line of YAML."""
    import yaml

    text = yaml.safe_dump(plain(value), default_flow_style=True, sort_keys=False, allow_unicode=True, width=math.inf)
    return str(text).removesuffix("\n").removesuffix("\n...")


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _default_of(field: dataclasses.Field[Any]) -> tuple[Any, bool]:
    """(the default, whether there is none)."""
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory(), False
    return (None, True) if field.default is dataclasses.MISSING else (field.default, False)


def _section_of(hint: Any) -> type | None:
    """The config that a field of this type holds, None where it holds none."""
    options = [option for option in typing.get_args(hint) or (hint,) if dataclasses.is_dataclass(option)]
    optional = typing.get_origin(hint) in (typing.Union, types.UnionType)
    return options[0] if options and (optional or options[0] is hint) else None  # type: ignore[return-value]


def _kind_text(hint: Any) -> str:
    """A field's type in a reader's words."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if hint is type(None):
        return "null"
    if origin is typing.Literal:
        return " or ".join(f"`{choice}`" for choice in arguments)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind_text(option) for option in arguments)
    if origin is tuple:
        if arguments[-1] is Ellipsis:
            return f"list of {_kind_text(arguments[0])}"
        return f"[{', '.join(map(_kind_text, arguments))}]"
    if dataclasses.is_dataclass(hint) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return "section"
    return {bool: "true or false", int: "whole number", float: "number", str: "text"}.get(hint, str(hint))
