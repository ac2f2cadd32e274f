"""Folders in pieces, and a run in stages that each know nothing but the pieces of the one before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from experiments import pieces
from experiments.pieces import PiecesError, main, pack, unpack

STAGE = Path(pieces.__file__).parent / "gpu_stage.sh"


@pytest.fixture
def folder(tmp_path):
    """Files of some sizes, one in a folder of its own."""
    made = tmp_path / "made"
    (made / "inner").mkdir(parents=True)
    (made / "a.bin").write_bytes(os.urandom(5_000))
    (made / "inner" / "b.bin").write_bytes(os.urandom(70_000))
    (made / "inner" / "empty").write_bytes(b"")
    return made


def test_what_is_packed_is_unpacked_and_no_piece_is_too_large(folder, tmp_path):
    made = pack(folder, tmp_path / "packed", 16 / 1024)
    assert len(made) == 5
    assert max(path.stat().st_size for path in made) <= 16 * 1024
    unpack(tmp_path / "packed", tmp_path / "again")
    for path in folder.rglob("*"):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(folder)).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(("harm", "why"), [("missing", "002.piece is missing"), ("damaged", "002.piece is damaged")])
def test_a_lost_or_damaged_piece_is_named_and_nothing_is_written(folder, tmp_path, harm, why):
    made = pack(folder, tmp_path / "packed", 16 / 1024)
    if harm == "missing":
        made[2].unlink()
    else:
        made[2].write_bytes(made[2].read_bytes()[:-1] + b"?")
    with pytest.raises(PiecesError, match=why):
        unpack(tmp_path / "packed", tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_commands_say_what_is_wrong(tmp_path, capsys):
    assert main(["unpack", str(tmp_path), str(tmp_path / "out")]) == 2
    assert main(["pack", str(tmp_path), str(tmp_path / "out")]) == 2
    assert "no whole pieces.json" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="a bash script")
def test_two_stages_are_one_run(audio_folder, tmp_path):
    """Two stages of a step each, in other folders, end where one run of two steps ends, bit for bit."""
    train = ["--config", "tiny", "--data", str(audio_folder), "--device", "cpu", "--cache", str(tmp_path / "cache")]
    settings = ["--set", "losses.adversarial=0", "losses.feature_matching=0", "batch_size=2", "steps=2"]
    environment = {**os.environ, "PYTHON": sys.executable, "OMP_NUM_THREADS": "1", "MIB": "0.25"}

    def stage(name: str, before: str, after: str, minutes: str) -> None:
        command = ["bash", str(STAGE), before, after, minutes, *train, *settings]
        subprocess.run(command, check=True, env={**environment, "RUN": str(tmp_path / name)}, capture_output=True)

    one, two, whole = (str(tmp_path / name) for name in ("one", "two", "whole"))
    stage("run-1", "none", one, "0.0")  # over after a step
    stage("run-2", one, two, "0.0")
    stage("run-3", "none", whole, "9")
    for packed in (two, whole):
        unpack(Path(packed), Path(packed) / "state")
    first, second = (load_file(Path(p) / "state" / "step-00000002" / "state.safetensors") for p in (two, whole))
    assert first.keys() == second.keys()
    assert all((first[name] == second[name]).all() for name in first)
    assert max(p.stat().st_size for p in Path(two).glob("*.piece")) <= 256 * 1024
