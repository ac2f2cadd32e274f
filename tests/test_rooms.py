"""The house (docs/architecture.md): which room imports which, and that a name stands for one thing."""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "soundcodec_llmcodec"
TREES = (PACKAGE, "eval", "experiments")
# Rooms of the package, and what they import nothing of: what stands beside and above them.
ABOVE = {
    "nn": ("train", "lm", "runs", "cli", "data", "listening", "export", "superb", "streaming"),
    "measures": ("train", "lm", "runs", "cli", "data", "nn", "listening", "pages", "superb"),
    "pages": ("train", "lm", "runs", "cli", "data", "nn", "listening", "superb"),
    "streaming": ("train", "lm", "runs", "cli", "data", "listening", "superb"),
    "superb": ("train", "lm", "runs", "cli", "data", "listening"),
    "data": ("train", "lm", "runs", "cli", "listening", "superb"),
    "runs": ("train", "lm", "cli", "data", "listening", "superb"),
    "listening": ("train", "lm", "runs", "cli", "superb"),
    "export": ("train", "lm", "runs", "cli", "listening", "superb"),
    "lm": ("train", "cli", "listening", "superb"),
    "train": ("lm/training", "cli", "listening", "superb"),
}
MEASUREMENTS = ("abx", "reconstruction", "salmon", "predictability", "probes")
# Rooms that several measurements share.
SHARED = ("harness", "representations")


@cache
def imports_of(folder: str) -> frozenset[tuple[str, str]]:
    """(file, module) of all that the files below a folder import, wherever in them."""
    modules: set[tuple[str, str]] = set()
    for path in (ROOT / folder).rglob("*.py"):
        name = path.relative_to(ROOT).as_posix()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {(name, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules |= {(name, f"{node.module}.{alias.name}") for alias in node.names}
    assert modules
    return frozenset(modules)


def crossing(folder: str, room: str) -> list[tuple[str, str]]:
    """The imports of a room's modules by a folder's files."""
    prefix = room.replace("/", ".") + "."
    return sorted((file, module) for file, module in imports_of(folder) if f"{module}.".startswith(prefix))


@pytest.mark.parametrize(("room", "others"), ABOVE.items(), ids=ABOVE)
def test_a_room_imports_nothing_of_the_rooms_beside_and_above_it(room, others):
    for other in others:
        assert crossing(f"{PACKAGE}/{room}", f"{PACKAGE}/{other}") == []


@pytest.mark.parametrize("other", ["eval", "experiments", "benchmarks", "tests", "examples"])
def test_the_package_stands_alone(other):
    assert crossing(PACKAGE, other) == []


@pytest.mark.parametrize("measurement", MEASUREMENTS)
def test_what_measurements_share_knows_no_measurement(measurement):
    for room in SHARED:
        assert crossing(f"eval/{room}", f"eval/{measurement}") == []


def test_the_harness_knows_no_representation():
    assert crossing("eval/harness", "eval/representations") == []


@pytest.mark.parametrize("room", MEASUREMENTS)
def test_measurements_stand_side_by_side(room):
    """But for the suite builder, whose recogniser is a metric's."""
    for other in set(MEASUREMENTS) - {room}:
        crossed = [
            (file, module)
            for file, module in crossing(f"eval/{room}", f"eval/{other}")
            if not (file.startswith("eval/salmon/build/") and module.startswith("eval.reconstruction.metrics"))
        ]
        assert crossed == []


def test_a_file_name_occurs_once():
    names = Counter(path.name for tree in TREES for path in (ROOT / tree).rglob("*.py"))
    del names["__init__.py"]
    assert [name for name, count in names.items() if count > 1] == []


def test_a_class_name_occurs_once():
    names: Counter[str] = Counter()
    for tree in TREES:
        for path in (ROOT / tree).rglob("*.py"):
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            names.update(node.name for node in nodes if isinstance(node, ast.ClassDef))
    assert [name for name, count in names.items() if count > 1] == []
