"""Which room imports which: training a codec and training a language model stand side by side on `runs`."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "soundcodec_llmcodec"
NAME = PACKAGE.name


def imports_of(folder: Path) -> set[str]:
    """The modules that files below a folder import, wherever in them."""
    modules: set[str] = set()
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                modules |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                modules |= {f"{node.module}.{alias.name}" for alias in node.names}
    return modules


@pytest.mark.parametrize(
    ("room", "others"),
    [("train", ["lm.training"]), ("lm/training", ["train"]), ("runs", ["train", "lm", "cli"]), ("nn", ["train", "lm"])],
)
def test_a_room_imports_nothing_of_the_rooms_beside_and_above_it(room, others):
    modules = imports_of(PACKAGE / room)
    assert any(module.startswith(f"{NAME}.") for module in modules)
    for other in others:
        assert [module for module in modules if f"{module}.".startswith(f"{NAME}.{other}.")] == []
