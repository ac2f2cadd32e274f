"""Every command that README and documentation show is one that its program takes, and most are run on stand-ins."""

from __future__ import annotations

import argparse
import contextlib
import runpy
import shutil
import sys
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile
from pages import ROOT
from written_commands import Written, blocks, everything

from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.checkpoints import ASSETS

pytest.importorskip("transformers")
# Programs that are not ours; what pip is told is looked at, the rest is taken as it is.
OTHERS = ("python3 -m venv", ". ", "pip ", "ruff ", "mypy", "python -m pytest", "mkdir ", "cp ", "cd ")
THEIRS = ("scripts/update_leaderboard.py",)  # run within Codec-SUPERB's checkout
# What stands for what: a word, or what stands before the colon of PLACE:SPLIT.
STAND_INS = {
    "FOLDER_OR_HUB_ID": "data",
    "compact": "tiny",  # the config of seconds for the config of hours
    "small": "tiny",
    "slprl/SALMon": "mini",
    "eval/mini": str(ROOT / "eval" / "mini"),
}
# Pages whose commands are run in this order and in one folder, and how many of their blocks (None: all).
RUN = {"README.md": None, "docs/quickstart.md": None, "docs/evaluate.md": 1, "docs/train.md": None}
RUN |= {"docs/language_models.md": None}
# What makes minutes seconds and changes nothing of what is tried.
QUICKLY = {
    "eval/superb_tiny.py": ["--limit", "1", "--workers", "0", "--quiet"],
    "eval/salmon.py": ["--limit", "1", "--quiet"],
    "eval/predictability.py": ["--quiet"],
    "--data": ["--set", "steps=2", "--quiet"],
    "--tokens": ["--steps", "2", "--quiet"],
}
# Data with text and a voice are needed; tests/lm/training/test_lm_speaking.py and tests/experiments run them.
SPEAKING = ("llmcodec lm train --config speech", "llmcodec lm speak", "python experiments/semantic/")
# Not run: they upload, start eight processes, trace graphs (tests/export does) or set up an environment.
NOT_RUN = ("llmcodec train push", "torchrun ", "llmcodec export", *SPEAKING, *OTHERS)
# What only `train` and `lm train` have.
TRAINING_OPTIONS = {"config", "set", "out"}


class ParsedError(Exception):
    """The command line was taken; what follows would take hours."""


@contextlib.contextmanager
def only_parsing(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Programs stop once their arguments are parsed; training ones once their whole config is made."""
    parse = argparse.ArgumentParser.parse_args

    def parse_args(parser, args=None, namespace=None):
        found = parse(parser, args, namespace)
        if parser.prog != "llmcodec" or not set(vars(found)) >= TRAINING_OPTIONS:
            raise ParsedError
        return found

    def trainer(*_, **__):
        raise ParsedError

    with monkeypatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, "parse_args", parse_args)
        patch.setattr("soundcodec_llmcodec.train.codec_trainer.Trainer", trainer)
        patch.setattr("soundcodec_llmcodec.lm.training.lm_trainer.LMTrainer", trainer)
        yield


def run(words: Sequence[str]) -> int:
    """A command of ours in this process; returns its exit status."""
    words = list(words)
    if words[0] == "torchrun":
        words = ["python", *words[words.index("-m") :]]
    if words[:3] == ["python", "-m", "soundcodec_llmcodec"]:
        return main(words[3:])
    if words[0] == "llmcodec":
        return main(words[1:])
    argv, path = sys.argv, list(sys.path)
    by_module = words[1] == "-m"
    sys.argv = [str(ROOT / words[1]), *words[2:]] if not by_module else words[2:]
    sys.path.insert(0, str(ROOT if by_module else Path(sys.argv[0]).parent))
    try:
        if by_module:
            runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        else:
            runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        sys.argv, sys.path[:] = argv, path
    return 0


def is_ours(command: Written) -> bool:
    text = " ".join(command.words)
    return not text.startswith(OTHERS) and not any(word in THEIRS for word in command.words)


ALL = everything()


def test_no_page_lost_its_commands():
    """A pattern that finds nothing would pass every test below."""
    pages = {command.page for command in ALL if is_ours(command)}
    assert {
        "README.md",
        "docs/results.md",
        "docs/recipe.md",
        "docs/evaluate.md",
        "docs/train.md",
        "benchmarks/README.md",
    } <= pages
    assert len([command for command in ALL if is_ours(command)]) > 40


@pytest.mark.parametrize("command", [one for one in ALL if is_ours(one)], ids=str)
def test_its_program_takes_it(command, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    with only_parsing(monkeypatch):
        try:
            run(command.words)
        except ParsedError:
            return
        except SystemExit:
            pass
    pytest.fail(f"{command} is not taken: {capsys.readouterr().err.strip().splitlines()[-1:]}")


@pytest.mark.parametrize("command", ALL, ids=str)
def test_what_it_names_of_the_repository_is_there(command):
    rooms = ("eval/", "examples/", "experiments/", "benchmarks/", "docs/", "soundcodec_llmcodec/", "constraints.txt")
    named = [word.partition(":")[0] for word in command.words if word.startswith(rooms)]
    assert [word for word in named if not (ROOT / word).exists()] == []
    if command.words[:2] == ("pip", "install") and "-e" in command.words and command.words[-1] != ".":
        extras = command.words[command.words.index("-e") + 1].removeprefix(".[").removesuffix("]").split(",")
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        assert [extra for extra in extras if f"\n{extra} = [" not in project] == []


def stood_in(words: Sequence[str]) -> list[str]:
    """A command on stand-ins."""
    made = []
    for word in words:
        place, colon, split = word.partition(":")
        made.append(f"{STAND_INS.get(place, place)}{colon}{split}")
    return made + next((more for name, more in QUICKLY.items() if name in words), [])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where a reader of README would be: some speech, and a data set of two splits."""
    where = tmp_path_factory.mktemp("reader")
    samples, rate = soundfile.read(ASSETS / "demo" / "speech-english.flac", dtype="float32")
    assert len(samples) > 4 * rate
    soundfile.write(where / "speech.flac", samples, rate)
    for split, starts in {"train": (0, 1, 2), "validation": (3, 2.5)}.items():
        (where / "data" / split).mkdir(parents=True)
        for start in starts:
            part = samples[int(start * rate) :][: int(1.2 * rate)]
            soundfile.write(where / "data" / split / f"{start}.wav", part, rate)
    return where


def test_pages_run_from_top_to_bottom(folder, monkeypatch, capfd):
    """In their order and in one folder, as what a later command needs an earlier one leaves."""
    monkeypatch.chdir(folder)
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    done = {}
    for command in (command for page, most in RUN.items() for block in blocks(page)[:most] for command in block):
        text = " ".join(command.words)
        if text.startswith(NOT_RUN):
            continue
        if "runs/mini" in text:  # two examples write there: each is somebody's first
            shutil.rmtree("runs/mini", ignore_errors=True)
        status = run(stood_in(command.words))
        err = capfd.readouterr().err
        # Programs of Debian are named where they are missing, and the rest is measured.
        missing = "opus_6k" in text and ("opus-tools" in err or "codec2" in err)
        assert status == (1 if missing else 0), f"{text}: {err}"
        done[text] = status
    assert len(done) >= 18
    assert len(opened) == 1
    prompt, rate = soundfile.read("speech.wav")
    longer, same = soundfile.read("longer.wav")
    assert rate == same
    assert len(prompt) > 3 * rate
    assert abs(len(longer) - 7 * rate) <= 0.02 * rate  # three seconds, and the four that are the default
    assert np.isfinite(longer).all()
    for made in ("speech.llmc", "speech.listen.html", "runs/mini/report.html", "runs/mine/export"):
        assert Path(made).exists(), made
    assert {path.name for path in Path("runs/mine/exports").iterdir()} == {"codec", "published", "bundle"}
    assert (folder / "runs" / "lm" / "export" / "config.json").is_file()
