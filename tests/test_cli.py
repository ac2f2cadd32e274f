"""The command line, in this process; what leaves it is checked, not how it is done."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec import __version__, checkpoints, tokens
from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.cli.command_tree import TREE, Command, parse
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.runs.errors import TrainingError


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Two tiny checkpoints."""
    base = tmp_path_factory.mktemp("checkpoints")
    for seed, name in enumerate(("first", "second")):
        LLMCodec.random(CodecConfig.preset("tiny"), seed=seed).save_pretrained(base / name)
    return base


@pytest.fixture
def here(tmp_path, monkeypatch, folders):
    """An empty current folder, with the first tiny checkpoint as the default codec."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(checkpoints.CHECKPOINT_VARIABLE, str(folders / "first"))
    return tmp_path


def noise(path: str, n: int = 20_011, rate: int = 44_100, channels: int = 1, **more) -> np.ndarray:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    samples = (np.random.default_rng(0).standard_normal((n, channels)) * 0.1).astype(np.float32)
    soundfile.write(path, samples, rate, **more)
    return samples


def fails(capsys, *argv: str) -> str:
    """Run a command that must fail as a user's error; returns its one line."""
    assert main(list(argv)) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err
    lines = captured.err.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("llmcodec: error: ")
    return lines[0]


# -- encode and decode -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "rate"), [("in.flac", 44_100), ("in.wav", 8_000), ("in.wav", 192_000)])
def test_round_trip_gives_back_the_rate_and_every_sample(here, capsys, name, rate):
    noise(name, rate=rate, channels=2)
    assert main(["encode", name, "-o", "in.llmc"]) == 0
    assert main(["decode", "in.llmc", "-o", "out.wav"]) == 0
    assert "in.llmc -> out.wav" in capsys.readouterr().out
    out, out_rate = soundfile.read("out.wav", always_2d=True)
    assert (out.shape, out_rate) == ((20_011, 1), rate)
    assert sorted(path.name for path in here.iterdir()) == sorted([name, "in.llmc", "out.wav"])


def test_files_hold_what_the_library_gives(here, folders):
    noise("in.wav", channels=2, subtype="FLOAT")
    codec = LLMCodec.from_pretrained(folders / "first")
    clip = codec.encode("in.wav")
    assert main(["encode", "in.wav", "-o", "in.llmc", "--quiet"]) == 0
    stored = tokens.load("in.llmc")
    assert np.array_equal(stored.codes, clip.codes)
    assert (stored.codec_hash, stored.codec_name) == (codec.weights_hash, "first")
    assert main(["decode", "in.llmc", "-o", "out.wav", "--float", "--quiet"]) == 0
    np.testing.assert_array_equal(soundfile.read("out.wav", dtype="float32")[0], codec.decode(clip))


def test_channels_can_be_kept(here):
    noise("in.wav", channels=2)
    assert main(["encode", "in.wav", "-o", "in.llmc", "--keep-channels"]) == 0
    assert main(["decode", "in.llmc", "-o", "out.flac"]) == 0
    assert soundfile.read("out.flac")[0].shape == (20_011, 2)


def test_another_rate_on_the_way_out(here):
    noise("in.wav", n=44_100)
    main(["encode", "in.wav", "-o", "in.llmc"])
    assert main(["decode", "in.llmc", "-o", "out.wav", "--sampling-rate", "16000"]) == 0
    assert soundfile.read("out.wav")[0].shape == (16_000,)


def test_the_domain_restricts_the_codes(here, capsys):
    noise("in.wav")
    assert main(["encode", "in.wav", "-o", "in.llmc", "--domain", "other"]) == 0
    assert tokens.load("in.llmc").codes.min() >= 256
    assert "speech, other" in fails(capsys, "encode", "in.wav", "-o", "x.llmc", "--domain", "birds")


def test_quiet_says_nothing(here, capsys):
    noise("in.wav")
    main(["encode", "in.wav", "-o", "in.llmc", "--quiet"])
    captured = capsys.readouterr()
    assert captured.out + captured.err == ""


# -- another codec's tokens --------------------------------------------------------------------------------------------
def test_tokens_of_another_codec_need_force(here, capsys, folders):
    noise("in.wav")
    main(["encode", "in.wav", "-o", "in.llmc", "--quiet"])
    second = str(folders / "second")
    line = fails(capsys, "decode", "in.llmc", "-o", "out.wav", "--checkpoint", second)
    for name in ("first", "second"):
        weights_hash = LLMCodec.from_pretrained(folders / name).weights_hash
        assert f" {weights_hash[:12]} ({name})" in line
    assert not Path("out.wav").exists()
    assert main(["decode", "in.llmc", "-o", "out.wav", "--checkpoint", second, "--force"]) == 0
    assert soundfile.read("out.wav")[0].shape == (20_011,)


def test_force_does_not_decode_what_cannot_be(here, capsys, tmp_path):
    config = CodecConfig.from_dict(
        {**CodecConfig.preset("tiny").to_dict(), "codebook_size": 256, "codebook_partitions": {}}
    )
    LLMCodec.random(config).save_pretrained(tmp_path / "small")
    noise("in.wav")
    main(["encode", "in.wav", "-o", "in.llmc", "--quiet"])
    line = fails(capsys, "decode", "in.llmc", "-o", "out.wav", "--checkpoint", "small", "--force")
    assert "1 levels of 512 codes" in line
    assert "1 of 256" in line


# -- many files --------------------------------------------------------------------------------------------------------
def test_folders_keep_their_shape(here, capsys):
    noise("corpus/a.wav")
    noise("corpus/deep/b.flac", channels=2)
    Path("corpus/notes.txt").write_text("not audio")
    assert main(["encode", "corpus", "-o", "out", "--quiet"]) == 0
    assert sorted(str(path) for path in Path("out").rglob("*.*")) == ["out/a.llmc", "out/deep/b.llmc"]
    assert main(["decode", "out", "-o", "back", "--quiet"]) == 0
    assert sorted(str(path) for path in Path("back").rglob("*.*")) == ["back/a.wav", "back/deep/b.wav"]
    assert soundfile.info("back/deep/b.wav").frames == 20_011


def test_a_folder_is_read_as_every_reader_reads_it(here, capsys):
    """Hidden files left out; sound that is not read is named, but for what has a readable twin."""
    for name in ("corpus/a.aiff", "corpus/twin.wav", "corpus/.hidden.wav", "corpus/__MACOSX/a.wav"):
        noise(name)
    Path("corpus/._a.wav").write_bytes(b"\0\5\x16\7" * 40)
    for name in ("twin", "alone"):
        Path(f"corpus/{name}.m4a").write_bytes(b"\0\0\0\x20ftypM4A " + bytes(2_000))
    assert main(["encode", "corpus", "-o", "out", "--quiet"]) == 2
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.llmc", "twin.llmc"]
    told = capsys.readouterr().err
    assert "alone.m4a: it is an MP4 file" in told
    assert "1 of 3 files failed" in told


def test_one_bad_file_does_not_stop_the_others(here, capsys):
    noise("a.wav")
    noise("c.wav")
    Path("b.wav").write_text("not audio")
    assert main(["encode", "a.wav", "b.wav", "c.wav", "-o", "out"]) == 2
    captured = capsys.readouterr()
    assert "error: cannot read b.wav" in captured.err
    assert "1 of 3 files failed" in captured.err
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.llmc", "c.llmc"]


def test_what_is_there_can_be_skipped(here):
    noise("a.wav")
    noise("b.wav")
    Path("out").mkdir()
    Path("out/a.llmc").write_bytes(b"kept")
    assert main(["encode", "a.wav", "b.wav", "-o", "out", "--skip-existing", "--quiet"]) == 0
    assert Path("out/a.llmc").read_bytes() == b"kept"
    assert len(tokens.load("out/b.llmc")) == 23
    assert main(["encode", "a.wav", "-o", "out/", "--quiet"]) == 0
    assert len(tokens.load("out/a.llmc")) == 23


def test_clashes_are_found_before_any_work(here, capsys):
    noise("a.wav")
    noise("a.flac")
    Path("file").write_text("")
    Path("empty").mkdir()
    assert "both be written" in fails(capsys, "encode", "a.wav", "a.flac", "-o", "out")
    assert "is a file" in fails(capsys, "encode", "a.wav", "a.flac", "-o", "file")
    assert "is an input too" in fails(capsys, "encode", "a.wav", "-o", "a.wav")
    assert "no .wav" in fails(capsys, "encode", "empty", "-o", "out")
    assert not Path("out").exists()


# -- errors ------------------------------------------------------------------------------------------------------------
def test_user_errors_are_one_line_and_leave_nothing(here, capsys):
    noise("in.wav")
    Path("text.wav").write_text("not audio")
    Path("none.wav").write_bytes(b"")
    Path("none.llmc").write_bytes(b"")
    noise("empty.wav", n=0)
    noise("slow.wav", rate=6_000)
    main(["encode", "in.wav", "-o", "in.llmc", "--quiet"])
    Path("cut.llmc").write_bytes(Path("in.llmc").read_bytes()[:-9])
    before = sorted(path.name for path in here.iterdir())
    cases = [
        (["encode", "missing.wav", "-o", "x.llmc"], "no file missing.wav"),
        (["encode", "text.wav", "-o", "x.llmc"], "cannot read text.wav as audio"),
        (["encode", "empty.wav", "-o", "x.llmc"], "empty.wav: it has no samples"),
        (["encode", "none.wav", "-o", "x.llmc"], "none.wav is empty (0 bytes)"),
        (["encode", "slow.wav", "-o", "x.llmc"], "got 6000; resample"),
        (["encode", "in.wav", "-o", "x"], "name a token file with .llmc"),
        (["decode", "none.llmc", "-o", "x.wav"], "none.llmc: the token file is empty (0 bytes)"),
        (["info", "none.wav"], "none.wav is empty (0 bytes)"),
        (["encode", "in.wav", "-o", "no/x.llmc"], "folder no does not exist"),
        (["encode", "in.wav", "-o", "x.llmc", "--device", "nonsense"], "device 'nonsense'"),
        (["encode", "in.wav", "-o", "x.llmc", "--checkpoint", "nowhere"], "nowhere"),
        (["decode", "missing.llmc", "-o", "x.wav"], "no file missing.llmc"),
        (["decode", "in.wav", "-o", "x.wav"], "in.wav: not a token file"),
        (["decode", "cut.llmc", "-o", "x.wav"], "cut.llmc: the token file is cut short"),
        (["decode", "in.llmc", "-o", "x.docx"], "x.docx"),
        (["decode", "in.llmc", "-o", "x.flac", "--float"], "--float"),
        (["decode", "in.llmc", "-o", "x.wav", "--sampling-rate", "3"], "8,000 to 192,000"),
        (["decode", "in.llmc", "-o", "x.opus"], "44100"),
        (["info", "missing.wav"], "no file missing.wav"),
        (["info", "text.wav"], "cannot read text.wav"),
        (["info", "cut.llmc"], "cut short"),
        (["info", "nowhere"], "nowhere"),
        (["superb-run", "missing.py"], "no script missing.py"),
    ]
    for argv, message in cases:
        assert message in fails(capsys, *argv), argv
    assert sorted(path.name for path in here.iterdir()) == before


def test_tokens_are_not_written_under_a_sound_files_name(here, capsys):
    noise("in.wav")
    noise("x.wav", n=100)
    before = Path("x.wav").read_bytes()
    assert "x.wav: name a token file with .llmc" in fails(capsys, "encode", "in.wav", "-o", "x.wav")
    assert Path("x.wav").read_bytes() == before
    assert main(["encode", "in.wav", "-o", os.devnull, "--quiet"]) == 0


def test_an_interrupted_encode_leaves_what_was_there(here, capsys, monkeypatch):
    noise("in.wav")
    Path("in.llmc").write_bytes(b"before")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(LLMCodec, "encode_samples", interrupted)
    assert main(["encode", "in.wav", "-o", "in.llmc"]) == 130
    assert "stopped" in capsys.readouterr().err
    assert Path("in.llmc").read_bytes() == b"before"
    assert sorted(path.name for path in here.iterdir()) == ["in.llmc", "in.wav"]


def test_usage_errors_exit_with_2(here):
    for argv in ([], ["nonsense"], ["encode", "in.wav"], ["encode", "-o", "x"]):
        with pytest.raises(SystemExit) as caught:
            main(argv)
        assert caught.value.code == 2


def test_version(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert capsys.readouterr().out == f"llmcodec {__version__}\n"


# -- info --------------------------------------------------------------------------------------------------------------
def described(capsys, what: str) -> dict:
    assert main(["info", what, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_info_of_tokens(here, capsys, folders):
    noise("in.wav", n=44_100, channels=2)
    main(["encode", "in.wav", "-o", "in.llmc", "--quiet"])
    found = described(capsys, "in.llmc")
    assert found["kind"] == "tokens"
    assert (found["duration_s"], found["sampling_rate"], found["n_samples"]) == (1.0, 44_100, 44_100)
    assert (found["frames"], found["frame_rate"], found["codebook_size"]) == (50, 50.0, 512)
    assert found["bitrate_bps"] == 450.0
    assert found["file_bytes"] == Path("in.llmc").stat().st_size
    assert found["codec_hash"] == LLMCodec.from_pretrained(folders / "first").weights_hash


def test_info_of_audio_counts_the_frames_that_encode_makes(here, capsys):
    for n, rate in ((44_100, 44_100), (20_011, 48_000), (1, 8_000)):
        noise("in.wav", n=n, rate=rate, channels=2)
        main(["encode", "in.wav", "-o", "in.llmc", "--quiet"])
        found = described(capsys, "in.wav")
        assert (found["kind"], found["channels"], found["sampling_rate"]) == ("audio", 2, rate)
        assert found["frames"] == len(tokens.load("in.llmc"))


def test_info_of_audio_whose_header_states_no_length(here, capsys):
    noise("a.flac", rate=16_000)
    data = bytearray(Path("a.flac").read_bytes())
    data[21:26] = bytes([data[21] & 0xF0, 0, 0, 0, 0])
    Path("b.flac").write_bytes(bytes(data))
    described = []
    for name in ("a.flac", "b.flac"):
        assert main(["info", name, "--json"]) == 0
        described.append({**json.loads(capsys.readouterr().out), "file": None})
    assert described[0] == described[1]
    assert described[0]["n_samples"] == 20_011


def test_info_of_a_checkpoint(here, capsys, folders):
    codec = LLMCodec.from_pretrained(folders / "second")
    for what in (str(folders / "second"), str(folders / "second" / "model.safetensors")):
        found = described(capsys, what)
        assert (found["kind"], found["hash"]) == ("checkpoint", codec.weights_hash)
        assert found["parameters"] == sum(weights.numel() for weights in codec.model.parameters())
        assert found["domains"] == ["speech", "other"]
    assert main(["info", str(folders / "second")]) == 0
    assert codec.weights_hash in capsys.readouterr().out


# -- superb-run --------------------------------------------------------------------------------------------------------
@pytest.fixture
def sound_codec(here):
    """A stand-in for Codec-SUPERB's package in the current folder, as in its checkout."""
    folder = here / "SoundCodec" / "codec"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text(
        "import importlib\n"
        "def load_codec(name): return importlib.import_module('SoundCodec.codec.' + name).Codec()\n"
        "def list_codec(): return ['theirs']\n"
    )
    yield here
    for name in [name for name in sys.modules if name.split(".")[0] == "SoundCodec"]:
        del sys.modules[name]


def test_superb_run_is_python_with_the_codecs_registered(sound_codec, capsys, monkeypatch, folders):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setenv(checkpoints.CHECKPOINT_VARIABLE, "overridden")
    scripts = sound_codec / "scripts"
    scripts.mkdir()
    (scripts / "neighbour.py").write_text("VALUE = 7\n")
    (scripts / "script.py").write_text(
        textwrap.dedent(
            """
            import json, sys
            from neighbour import VALUE
            from SoundCodec.codec import list_codec, load_codec
            if __name__ == "__main__":
                codec = load_codec("llmcodec")
                found = [sys.argv, __file__, VALUE, list_codec(), codec.codec.weights_hash]
                print(json.dumps(found))
                sys.exit(3)
            """
        )
    )
    argv = list(sys.argv)
    with pytest.raises(SystemExit) as caught:
        main(["superb-run", "--checkpoint", str(folders / "second"), "scripts/script.py", "--limit", "2", "-o", "x"])
    assert caught.value.code == 3
    given, file, value, names, weights = json.loads(capsys.readouterr().out)
    assert given == [str(scripts / "script.py"), "--limit", "2", "-o", "x"]
    assert file == str(scripts / "script.py")
    assert value == 7
    assert set(names) == {"theirs", "soundcodec_llmcodec", *checkpoints.NAMES}
    assert weights == LLMCodec.from_pretrained(folders / "second").weights_hash
    assert sys.argv == argv
    assert sys.modules["SoundCodec.codec"].list_codec() == ["theirs"]


def test_a_scripts_own_error_is_not_hidden(sound_codec, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("script.py").write_text("raise ValueError('the script fails')\n")
    with pytest.raises(ValueError, match="the script fails"):
        main(["superb-run", "script.py"])


def test_superb_run_without_codec_superb(here, capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "SoundCodec", None)
    Path("script.py").write_text("print('ran')\n")
    assert "pip install" in fails(capsys, "superb-run", "script.py")


# -- the tree of commands ----------------------------------------------------------------------------------------------
def commands_of(command: Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Every command with the words that name it, groups among them."""
    yield words, command
    for name in command.commands:
        yield from commands_of(command.below(name), (*words, name))


COMMANDS = dict(commands_of(TREE))
# Each takes a second or more to import.
HEAVY = ("torch", "numpy", "transformers", "pandas", "soundfile", "scipy", "datasets", "huggingface_hub", "safetensors")


def test_every_command_is_in_the_tree():
    assert {" ".join(words) for words in COMMANDS} == {
        *("", "encode", "decode", "info", "tokenize", "listen", "demo", "export", "superb-run"),
        *("train", "train plot", "train export", "train push"),
        *("lm", "lm train", "lm count", "lm score", "lm continue", "lm speak", "lm tokenizer"),
    }


def test_no_help_imports_what_only_running_needs():
    """All in one process: what one of them imports stays in sys.modules."""
    program = f"""
import contextlib, io, sys
from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.cli.command_tree import TREE, Command, parse
for words in {list(COMMANDS)}:
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*words, "--help"])
    name = " ".join(("llmcodec", *words))
    assert text.getvalue().startswith("usage: " + name + " [-h]"), text.getvalue()
    assert not [heavy for heavy in {HEAVY} if heavy in sys.modules], (name, sorted(sys.modules))
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("words", [words for words, command in COMMANDS.items() if command.run], ids=" ".join)
def test_what_runs_a_command_is_there(words):
    module, _, name = COMMANDS[words].run.partition(":")
    run = getattr(importlib.import_module(f"soundcodec_llmcodec.cli.{module}"), name)
    assert callable(run)
    assert run.__doc__


@pytest.mark.parametrize(
    ("argv", "meant"),
    [
        (
            ["encod", "in.wav"],
            "llmcodec: error: argument COMMAND: .* 'encod' .*; did you mean 'encode'\\?",
        ),
        (["lm", "scores"], "llmcodec lm: error: argument COMMAND: .*; did you mean 'score'\\?"),
        (["train", "exprot", "run"], "llmcodec train: error: argument COMMAND: .*; did you mean 'export'\\?"),
        (["xyz"], r"llmcodec: error: argument COMMAND: invalid choice: 'xyz' \(choose from .*'lm'\)$"),
        (["train", "xyz", "--out", "run"], "llmcodec train: error: unrecognized arguments: xyz$"),
    ],
)
def test_a_word_that_is_no_command(argv, meant, capsys):
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert re.search(meant, capsys.readouterr().err.strip())


def test_a_run_can_be_called_like_a_command(here, capsys):
    """The first word alone names what is done to a run."""
    assert "runs/plot" in fails(capsys, "train", "plot", "runs/plot")
    command, arguments = parse(["train", "export", "plot", "--kinds", "codec", "lm"])
    assert command.run == "run_outputs:export"
    assert (arguments.run, arguments.kinds) == (Path("plot"), ["codec", "lm"])


def test_a_missing_package_is_named_with_its_extra(here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundcodec_llmcodec.train.codec_trainer", None)
    line = fails(capsys, "train", "--out", "run")
    assert "pip install 'soundcodec-llmcodec[train]'" in line
    assert "which is not installed" in line


def test_a_run_that_breaks_off_is_one_line(here, capsys, monkeypatch):
    def breaks(arguments):
        raise TrainingError("NaN at step 3")

    for name, argv in (("train", ["train"]), ("lm_train", ["lm", "train"])):
        monkeypatch.setattr(f"soundcodec_llmcodec.cli.{name}.train", breaks)
        assert fails(capsys, *argv, "--out", "run") == "llmcodec: error: NaN at step 3"


def test_loading_and_encoding_do_not_import_torchs_compiler(here):
    """It takes longer than both."""
    noise("in.wav")
    program = "import sys; from soundcodec_llmcodec.__main__ import main; main(['encode', 'in.wav', '-o', 'in.llmc']); "
    program += "print([name for name in ('torch._dynamo', 'sympy', 'transformers', 'pandas') if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


# -- an hour -----------------------------------------------------------------------------------------------------------
@pytest.mark.slow
def test_an_hour_of_stereo_stays_in_bounded_memory(here):
    second = (np.random.default_rng(0).standard_normal((48_000, 2)) * 0.1).astype(np.float32)
    with soundfile.SoundFile("hour.wav", "w", 48_000, 2, "PCM_16") as file:
        for _ in range(3_600):
            file.write(second)
    peaks = []
    for source in ("second.wav", "hour.wav"):
        soundfile.write("second.wav", second, 48_000)
        program = "import resource, sys; from soundcodec_llmcodec.__main__ import main; main(sys.argv[1:]); "
        program += "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
        command = [sys.executable, "-c", program, "encode", source, "-o", "out.llmc", "--quiet"]
        peaks.append(int(subprocess.run(command, capture_output=True, text=True, check=True).stdout))
    assert len(tokens.load("out.llmc")) == 180_000
    scale = 1 if sys.platform == "darwin" else 1_024
    assert (peaks[1] - peaks[0]) * scale < 2 << 30
