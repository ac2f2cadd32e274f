"""Codecs, metrics and data sets of one's own: from Python files (--include) and from installed packages, which name a
module in the entry point group `soundcodec_llmcodec.eval`. docs/extend.md has the forms. Imports no torch, because
processes that score read included metrics too.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from eval.harness.foreign_errors import FOREIGN_ERRORS, described
from soundcodec_llmcodec.nearest import did_you_mean

# Metrics are imported where one is met: commands that have none start faster.
if TYPE_CHECKING:
    from eval.harness.metric import Signal
    from eval.harness.score import Score

ENTRY_POINTS = "soundcodec_llmcodec.eval"
CODECS = "CODECS"
_METRIC, _DATASET = "included_metric", "included_dataset"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class IncludeError(ValueError):
    """A file or package that cannot be included, or a name in it that is taken."""


@dataclass(frozen=True)
class DataSetForm:
    """The arguments that the decorator `dataset` was given for a function; `name` is the function's without one."""

    name: str
    splits: tuple[str, ...] | None
    size: int | None
    synthetic: bool


@dataclass(frozen=True)
class Included:
    """Something of one's own: a codec's class or factory, a metric, or a data set's function, by name.

    `place` is the file, or the entry point as GROUP:NAME; `digest` is the SHA-256 (hex) of the file's bytes, so that
    journals and caches notice another one.
    """

    kind: Literal["codec", "metric", "dataset"]
    name: str
    value: Any
    place: str
    digest: str

    @property
    def where(self) -> str:
        """The place as people read it."""
        return Path(self.place).name if Path(self.place).is_file() else self.place


@dataclass(frozen=True)
class _Module:
    content: Mapping[str, Any]
    entries: tuple[Included, ...]


_modules: dict[str, _Module] = {}


def metric(
    *,
    unit: str,
    direction: Literal["lower", "higher"],
    name: str | None = None,
    definition: str | None = None,
    value_range: tuple[float | None, float | None] = (None, None),
    needs: Sequence[str] = (),
) -> Callable[[_Function], _Function]:
    """Make a metric of a function (reference, estimate, rate) -> float of samples float32 (S,) and their rate in Hz.

    `name` is the function's without it, `definition` the first line of its docstring; `needs` are modules that it
    imports. What the function raises is the clip's reason for having no value.
    """
    if direction not in ("lower", "higher"):
        raise IncludeError(f"a metric's direction is 'lower' or 'higher', whichever is better, got {direction!r}")
    from eval.harness.metric import Metric
    from eval.harness.score import Score

    def decorated(function: _Function) -> _Function:
        description = definition or (function.__doc__ or "").strip().split("\n")[0] or function.__name__
        title = name or function.__name__

        def compute(reference: Signal, estimate: Signal) -> Score:
            value = function(reference.samples, estimate.samples, reference.rate)
            return value if isinstance(value, Score) else Score.of(value)

        included = Metric(title, description, unit, direction, value_range, "", 0, compute, needs=tuple(needs))
        setattr(function, _METRIC, included)
        return function

    return decorated


def dataset(
    name: str | None = None,
    *,
    splits: Sequence[str] | None = None,
    size: int | None = None,
    synthetic: bool = False,
) -> Callable[[_Function], _Function]:
    """Make a data set of a function that yields rows (id, audio, rate) or (id, audio, rate, text).

    With `splits`, the function is called with a split's name, otherwise with nothing. `size` is the number of rows of a
    split; without it, all are gone through once to count them. `synthetic` marks the numbers as not for reporting.
    """

    def decorated(function: _Function) -> _Function:
        form = DataSetForm(name or function.__name__, None if splits is None else tuple(splits), size, synthetic)
        setattr(function, _DATASET, form)
        return function

    return decorated


def load(places: Iterable[str] | None) -> None:
    """Read files, folders of .py files and entry points (GROUP:NAME), and all installed entry points; those that were
    read before are not read again. Raises IncludeError."""
    for entry_point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _read_entry_point(entry_point)
    for place in places or ():
        if not place.startswith(f"{ENTRY_POINTS}:"):
            for file in _files(Path(place).expanduser()):
                _read_file(file)


def included(kind: Literal["codec", "metric", "dataset"]) -> dict[str, Included]:
    """What was included of a kind, by name."""
    return {entry.name: entry for module in _modules.values() for entry in module.entries if entry.kind == kind}


def places_of_metrics() -> tuple[str, ...]:
    """The places of included metrics, for processes that score."""
    return tuple(dict.fromkeys(entry.place for entry in included("metric").values()))


def codec_in(file: Path, name: str | None) -> Included:
    """The codec NAME of a file, a class or a factory; the only one there without a name. Raises IncludeError."""
    module = _read_file(file.expanduser())
    codecs = {entry.name: entry for entry in module.entries if entry.kind == "codec"}
    if name is None:
        if len(codecs) != 1:
            raise IncludeError(f"{file} has the codecs {sorted(codecs)}; name one: {file}:NAME")
        return next(iter(codecs.values()))
    if name in codecs:
        return codecs[name]
    value = module.content.get(name)
    if not callable(value):
        hint = did_you_mean(name, codecs, ".")
        names = ", ".join(codecs) or "none"
        raise IncludeError(f"{file} has no class or function {name!r}{hint} Its codecs are: {names}")
    return Included("codec", name, value, str(file.expanduser().resolve()), _digest(file.expanduser()))


def forget(names: Iterable[str] | None = None) -> None:
    """Take what was included out again: places, or all of them. For tests and notebooks."""
    for place in list(_modules) if names is None else names:
        for entry in _modules.pop(place, _Module({}, ())).entries:
            if entry.kind == "metric":
                from eval.harness import metric_registry

                metric_registry.unregister(entry.name)


def _files(place: Path) -> list[Path]:
    if place.is_file() and place.suffix == ".py":
        return [place]
    if not place.is_dir():
        what = "a file that is no .py" if place.exists() else "nothing"
        raise IncludeError(f"--include {place}: expected a .py file or a folder of them, and there is {what}")
    files = sorted(file for file in place.glob("*.py") if not file.name.startswith(("_", ".")))
    if not files:
        raise IncludeError(f"--include {place}: the folder has no .py files of its own")
    return files


def _read_file(file: Path) -> _Module:
    place = str(file.resolve())
    if place in _modules:
        return _modules[place]
    if not file.is_file():
        raise IncludeError(f"there is no file {str(file)!r}")
    digest = _digest(file)
    name = f"included_{digest[:12]}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise IncludeError(f"{file} cannot be read as a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    if str(file.resolve().parent) not in sys.path:
        sys.path.append(str(file.resolve().parent))  # what lies beside it can be imported, and hides nothing
    try:
        spec.loader.exec_module(module)
    except (*FOREIGN_ERRORS, SyntaxError) as error:
        del sys.modules[name]
        raise IncludeError(f"{file} cannot be included: {described(error)}") from error
    return _registered(place, vars(module), name, digest)


def _read_entry_point(entry_point: importlib.metadata.EntryPoint) -> None:
    place = f"{ENTRY_POINTS}:{entry_point.name}"
    if place in _modules:
        return
    try:
        value = entry_point.load()
        module = value if isinstance(value, ModuleType) else sys.modules[value.__module__]
        file = Path(module.__file__ or "")
        digest = _digest(file) if file.is_file() else hashlib.sha256(entry_point.value.encode()).hexdigest()
        content = vars(value) if isinstance(value, ModuleType) else {entry_point.name: value}
    except (*FOREIGN_ERRORS, SyntaxError) as error:
        # Other people's package, which a run that does not name it can do without.
        print(f"left out: the installed {place} ({entry_point.value}): {described(error)}", file=sys.stderr)
        _modules[place] = _Module({}, ())
        return
    _registered(place, content, module.__name__, digest)


def _registered(place: str, content: Mapping[str, Any], module: str, digest: str) -> _Module:
    entries = tuple(Included(kind, name, value, place, digest) for kind, name, value in _entries(content, module))
    names = [(entry.kind, entry.name) for entry in entries]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise IncludeError(f"{place} has two of the kind {twice[0]} called {twice[1]!r}")
    for entry in entries:
        before = included(entry.kind).get(entry.name)
        if before is not None:
            raise IncludeError(f"{place} and {before.place} both have the {entry.kind} {entry.name!r}; rename one")
    if metrics := [entry for entry in entries if entry.kind == "metric"]:
        from eval.harness import metric_registry

        for entry in metrics:
            if entry.name in metric_registry.METRICS:
                raise IncludeError(f"{entry.place}: there is a metric {entry.name!r} already; give it another name")
        for entry in metrics:
            metric_registry.register(entry.value, entry.place, entry.digest)
    _modules[place] = _Module(content, entries)
    return _modules[place]


def _entries(
    content: Mapping[str, Any], module: str
) -> Iterator[tuple[Literal["codec", "metric", "dataset"], str, Any]]:
    """What a module has of its own; what it imported from here or elsewhere is none of it."""
    seen: set[int] = set()
    for name, value in content.items():
        if id(value) in seen:
            continue
        seen.add(id(value))
        if name == CODECS and isinstance(value, Mapping):
            yield from (("codec", str(key), factory) for key, factory in value.items())
        elif _is_metric(value):
            yield "metric", value.name, value
        elif isinstance(value, list | tuple):
            yield from (("metric", each.name, each) for each in value if _is_metric(each))
        elif getattr(value, "__module__", None) == module:
            if (metric := getattr(value, _METRIC, None)) is not None and _is_metric(metric):
                yield "metric", metric.name, metric
            elif isinstance(getattr(value, _DATASET, None), DataSetForm):
                yield "dataset", getattr(value, _DATASET).name, value
            elif isinstance(value, type) and not name.startswith("_") and _is_codec(value):
                yield "codec", name, value


def form_of(entry: Included) -> DataSetForm:
    """The decorator's arguments of an included data set."""
    form: DataSetForm = getattr(entry.value, _DATASET)
    return form


def _is_metric(value: Any) -> bool:
    """Whether it is a metric, and none of those that are here and were only imported."""
    module = sys.modules.get("eval.harness.metric")
    if module is None or not isinstance(value, module.Metric):
        return False
    from eval.harness import metric_registry

    return not metric_registry.is_registered(value)


def _is_codec(value: type) -> bool:
    return all(callable(getattr(value, name, None)) for name in ("encode", "decode"))


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
