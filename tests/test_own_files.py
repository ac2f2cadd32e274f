"""Folders of ours that others have put files into."""

from __future__ import annotations

import pytest

from soundcodec_llmcodec.files import put_folder, remove_own


@pytest.fixture
def scratch(tmp_path):
    (tmp_path / "scratch").mkdir()
    for name in ("weights", "facts"):
        (tmp_path / "scratch" / name).write_text(f"new {name}")
    return tmp_path / "scratch"


def test_a_folder_goes_with_its_own_files_alone(tmp_path):
    for folder in ("ours", "shared"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "weights").write_text("old")
    (tmp_path / "shared" / "notes.txt").write_text("mine")
    for folder in ("ours", "shared", "none"):
        remove_own(tmp_path / folder, ("weights", "facts"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["notes.txt", "shared"]


@pytest.mark.parametrize("mine", [[], ["notes.txt"]])
@pytest.mark.parametrize("old", [[], ["weights"], ["weights", "facts"]])
def test_a_folder_takes_its_place_beside_what_others_put_there(tmp_path, scratch, old, mine):
    target = tmp_path / "step-1"
    for name in (*old, *mine):
        target.mkdir(exist_ok=True)
        (target / name).write_text(name)
    put_folder(scratch, target, ("weights", "facts"))
    assert {path.name: path.read_text() for path in target.iterdir()} == {
        "weights": "new weights",
        "facts": "new facts",
        **{name: name for name in mine},
    }
    assert not scratch.exists()
