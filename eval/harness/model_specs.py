"""What every measurement asks of its models: names without doubt, and that what cannot be loaded costs only itself."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import parse_qsl


class UnknownSpecError(ValueError):
    """A text that means no model. A run does not start."""


class LoadError(RuntimeError):
    """A model that is known by name but cannot be had here: weights, a package or a program are missing.

    The message names what is missing and how to get it. A run goes on with the others.
    """


class ReconstructionError(RuntimeError):
    """A codec that could not reconstruct a clip, or gave back something that is no reconstruction of it."""


@dataclass(frozen=True)
class Unloaded:
    """A model that could not be loaded, and why; the run went on without it."""

    name: str
    reason: str


class Labelled(Protocol):
    """A model to load, with what tables call it."""

    @property
    def label(self) -> str:
        """What tables call it."""


_Spec = TypeVar("_Spec", bound=Labelled)
_Model = TypeVar("_Model")


def labelled(text: str, spec_signs: str = ":/?") -> tuple[str | None, str]:
    """LABEL and SPEC of `[LABEL=]SPEC`; None without a label.

    A label holds neither '=' nor what a SPEC is made of, so that the '=' in runs/rate=0.1 belongs to the folder.
    """
    match = re.fullmatch(rf"([^={re.escape(spec_signs)}]*)=(.*)", text, re.DOTALL)
    return (match[1].strip(), match[2]) if match else (None, text)


def with_options(text: str, rest: str) -> tuple[str, dict[str, str]]:
    """What stands before the '?' of a SPEC's `rest`, and the options after it. Raises UnknownSpecError."""
    source, mark, query = rest.partition("?")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True) if mark else []
    except ValueError as error:
        raise UnknownSpecError(f"expected KIND:NAME?key=value&key=value, got {text!r}") from error
    options = dict(pairs)
    if not source or len(options) < len(pairs):
        raise UnknownSpecError(f"expected KIND:NAME with each option once, got {text!r}")
    return source, options


def place_name(path: Path, weights_file: str) -> str:
    """What a checkpoint is called by where it lies: its folder, or a file of another name than every one's."""
    whole = path.resolve()
    return whole.parent.name if whole.name == weights_file else whole.stem if whole.is_file() else whole.name


def check_labels(labels: Sequence[str], kind: str, form: str) -> None:
    """Raise ValueError for two models of one label, or a label that no table can hold; `form` is how to give one."""
    twice = sorted({label for label in labels if labels.count(label) > 1})
    if twice:
        raise ValueError(f"two {kind}s are called {', '.join(twice)}; give one another name: {form}")
    odd = next((label for label in labels if "|" in label or not label.isprintable()), None)
    if odd is not None:
        raise ValueError(f"the label {odd!r} cannot stand in a table; give another name: {form}")


def check_baseline(baseline: str | None, names: Sequence[str], kind: str) -> None:
    """Raise ValueError for a --baseline that is none of a run's models."""
    if baseline is not None and baseline not in names:
        raise ValueError(f"--baseline {baseline!r} is none of the {kind}s of this run: {', '.join(names)}")


def load_each(
    specs: Sequence[_Spec], load: Callable[[_Spec], _Model], program: str, kind: str
) -> tuple[list[_Model], tuple[Unloaded, ...]]:
    """The models that can be had, and those that cannot, which are said on stderr.

    Raises ValueError where there is none to measure, and whatever `load` raises but LoadError.
    """
    models, unloaded = [], []
    for spec in specs:
        try:
            models.append(load(spec))
        except LoadError as error:
            unloaded.append(Unloaded(spec.label, " ".join(str(error).split())))
    reasons = [f"{model.name}: {model.reason}" for model in unloaded]
    if not models:
        raise ValueError(f"no {kind} could be loaded; {'; '.join(reasons)}")
    for reason in reasons:
        print(f"{program}: left out: {reason}", file=sys.stderr)
    return models, tuple(unloaded)
