"""`llmcodec listen` and `llmcodec demo`, in this process."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.cli.listen import DEMO_CLIPS, DEMO_NAMES
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A current folder with a sound file, and two tiny codecs beside it, the first of them the default."""
    for seed, name in enumerate(("first", "second")):
        LLMCodec.random(CodecConfig.preset("tiny"), seed=seed).save_pretrained(tmp_path / "codecs" / name)
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv(checkpoints.CHECKPOINT_VARIABLE, str(tmp_path / "codecs" / "first"))
    soundfile.write("in.wav", np.random.default_rng(0).uniform(-0.5, 0.5, 9_000), 16_000)
    return folder


def fails(capsys, *argv: str) -> str:
    assert main(list(argv)) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("llmcodec: error: ")
    return line


def test_the_page_lies_beside_the_input_and_may_be_made_again(here, capsys):
    (here / "deep").mkdir()
    (here / "in.wav").rename(here / "deep" / "a.b.wav")
    assert main(["listen", "deep/a.b.wav"]) == 0
    page = here / "deep" / "a.b.listen.html"
    assert "deep/a.b.listen.html: 1 clip" in capsys.readouterr().out
    first = page.read_bytes()
    assert main(["listen", "deep/a.b.wav", "--quiet"]) == 0
    assert page.read_bytes() == first
    assert capsys.readouterr().out == ""
    assert sorted(path.name for path in (here / "deep").iterdir()) == ["a.b.listen.html", "a.b.wav"]


def test_nothing_else_is_overwritten(here, capsys):
    Path("in.listen.html").write_text("mine")
    assert "is no page of this command" in fails(capsys, "listen", "in.wav")
    assert Path("in.listen.html").read_text() == "mine"
    digest = hashlib.sha256(Path("in.wav").read_bytes()).digest()
    assert "with .html" in fails(capsys, "listen", "in.wav", "-o", "in.wav")
    assert hashlib.sha256(Path("in.wav").read_bytes()).digest() == digest
    Path("in.wav").rename("in.html")
    assert "is no page of this command" in fails(capsys, "listen", "in.html", "-o", "in.html")


def test_several_files_and_codecs_are_one_page(here, capsys):
    soundfile.write("other.flac", np.zeros((30_000, 2)), 44_100)
    assert (
        main(["listen", "in.wav", "other.flac", "-o", ".", "--codec", "../codecs/first", "--codec", "../codecs/second"])
        == 0
    )
    text = Path("in.listen.html").read_text(encoding="utf-8")
    assert text.count("<audio") == 2 * 3
    assert "in.wav and 1 more" in text
    assert ">first<" in text
    assert ">second<" in text
    assert not list(here.glob("*.partial*"))


def test_seconds_bound_what_is_taken(here, capsys):
    assert main(["listen", "in.wav", "--seconds", "0.25"]) == 0
    assert "1 cut to 0.25 s" in capsys.readouterr().out
    assert 'aria-valuemax="12"' in Path("in.listen.html").read_text(encoding="utf-8")
    assert "--seconds above 0" in fails(capsys, "listen", "in.wav", "--seconds", "0")
    assert "--seconds above 0" in fails(capsys, "listen", "in.wav", "--seconds", "nan")


def test_bad_input_is_one_clear_line_and_no_page(here, capsys):
    Path("text.wav").write_text("no sound")
    Path("empty.wav").write_bytes(b"")
    soundfile.write("nan.wav", np.array([0.0, np.nan, 0.0]), 16_000, subtype="FLOAT")
    assert "missing.wav" in fails(capsys, "listen", "missing.wav")
    assert "text.wav as audio" in fails(capsys, "listen", "in.wav", "text.wav")
    assert "empty.wav is empty" in fails(capsys, "listen", "empty.wav")
    assert "nan.wav: the audio has NaN" in fails(capsys, "listen", "nan.wav")
    assert "is a folder" in fails(capsys, "listen", ".")
    assert "nowhere" in fails(capsys, "listen", "in.wav", "--codec", "nowhere")
    assert "the folder no does not exist" in fails(capsys, "listen", "in.wav", "-o", "no/page.html")
    assert not list(here.glob("*.html"))


def test_open_hands_the_page_to_the_browser(here, monkeypatch, capsys):
    opened = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or True)
    assert main(["listen", "in.wav", "--open"]) == 0
    assert opened == [(here / "in.listen.html").as_uri()]


def test_demo_shows_the_bundled_clips(here, capsys):
    assert main(["demo"]) == 0
    text = Path("llmcodec-demo.html").read_text(encoding="utf-8")
    assert text.count("<audio") == 2 * len(DEMO_NAMES)
    assert "They are synthetic" in text
    assert main(["demo", "-o", "x.html", "--codec", "../codecs/second", "--quiet"]) == 0
    assert ">second<" in Path("x.html").read_text(encoding="utf-8")


def test_the_bundled_clips_are_small_and_the_mini_sets():
    parquet = pytest.importorskip("pyarrow.parquet")
    data = Path(__file__).parents[2] / "eval" / "mini" / "data"
    known = {row["bytes"] for file in data.glob("*.parquet") for row in parquet.read_table(file)["audio"].to_pylist()}
    stored = [(DEMO_CLIPS / name).read_bytes() for name in DEMO_NAMES]
    assert set(stored) <= known
    assert sum(map(len, stored)) < 300_000
    assert {path.name for path in DEMO_CLIPS.iterdir()} == {*DEMO_NAMES, "README.md"}
    assert all(soundfile.info(io.BytesIO(one)).subtype == "PCM_16" for one in stored)
