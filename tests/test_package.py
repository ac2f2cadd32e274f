"""What the package shows: its public names, its types, and objects that say in a line what they are."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

import soundcodec_llmcodec
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.superb import Codec
from soundcodec_llmcodec.weights_files import CheckpointError

ROOT = Path(__file__).parents[1]


def test_dir_shows_every_public_name_before_it_is_used():
    shown = "import soundcodec_llmcodec as package; print(*dir(package))"
    run = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, cwd=ROOT, check=True)
    public = [name for name in run.stdout.split() if not name.startswith("_")]
    assert public == sorted(soundcodec_llmcodec.__all__)
    assert "__version__" in run.stdout.split()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel that is built of a copy: nothing is left in the checkout."""
    pytest.importorskip("setuptools", minversion="77")
    copy, out = tmp_path_factory.mktemp("copy"), tmp_path_factory.mktemp("dist")
    shutil.copytree(
        ROOT / "soundcodec_llmcodec", copy / "soundcodec_llmcodec", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    build = [sys.executable, "-c", f"from setuptools import build_meta; build_meta.build_wheel({str(out)!r})"]
    subprocess.run(build, cwd=copy, check=True, capture_output=True)
    with zipfile.ZipFile(next(out.glob("*.whl"))) as opened:
        yield opened


def test_everything_is_packed(wheel):
    names = set(wheel.namelist())
    files = [
        path for path in (ROOT / "soundcodec_llmcodec").rglob("*") if path.is_file() and "__pycache__" not in path.parts
    ]
    assert {"py.typed", "template.html", "tiny.yaml", "model.safetensors"} <= {path.name for path in files}
    assert [str(path.relative_to(ROOT)) for path in files if path.relative_to(ROOT).as_posix() not in names] == []
    assert {name.split("/")[0].split("-")[0] for name in names} == {"soundcodec_llmcodec"}


def test_the_version_stands_once(wheel):
    described = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert f"\nVersion: {soundcodec_llmcodec.__version__}\n" in wheel.read(described).decode()


def extras_of_project() -> dict[str, list[str]]:
    tomllib = pytest.importorskip("tomllib")
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]


def test_dev_holds_every_extra():
    extras = extras_of_project()

    def reached(name: str) -> set[str]:
        below = [requirement for requirement in extras[name] if requirement.startswith("soundcodec-llmcodec[")]
        inner = [extra for text in below for extra in text.partition("[")[2].removesuffix("]").split(",")]
        return {name}.union(*map(reached, inner))

    assert reached("test") == set(extras)


def test_messages_name_extras_that_there_are():
    """In `missing(what, package, extra)`, `install(extra)`, and a metric's `extra=`."""
    extras = set(extras_of_project())
    named: set[str] = set()
    for path in [*(ROOT / "soundcodec_llmcodec").rglob("*.py"), *(ROOT / "eval").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            given = [keyword.value for keyword in node.keywords if keyword.arg == "extra"]
            given += node.args[2:3] if function == "missing" else node.args[:1] if function == "install" else []
            texts = [value.value for value in given if isinstance(value, ast.Constant) and isinstance(value.value, str)]
            named |= {extra for text in texts for extra in text.split(",")}
    assert {"train", "lm", "onnx", "eval", "eval-all"} <= named <= extras


def test_a_missing_package_is_said_in_one_form():
    assert (
        missing("X", "p", "lm")
        == "X needs the package p, which is not installed: pip install 'soundcodec-llmcodec[lm]'"
    )
    assert missing("X", "p") == "X needs the package p, which is not installed: pip install p"
    assert missing("X", "p", "lm", command="pip install --no-deps p").endswith("not installed: pip install --no-deps p")


def test_rates_of_a_codec(tiny_codec):
    assert (tiny_codec.sample_rate, tiny_codec.frame_rate) == (16_000, 50.0)


def test_moving_a_codec(noise):
    codec = LLMCodec.random(CodecConfig.preset("tiny"))
    tokens = codec.encode(noise(640), 16_000)
    assert codec.to("cpu") is codec
    assert codec.to(torch.device("cpu")).encode(noise(640), 16_000) == tokens
    assert codec.to("meta").device.type == "meta"
    wrapped = Codec(codec=LLMCodec.random(CodecConfig.preset("tiny")))
    assert wrapped.to("meta") is wrapped
    assert wrapped.device == "meta"
    with pytest.raises(CheckpointError, match="cuda:77"):
        codec.to("cuda:77")
    with pytest.raises(TypeError, match="optimize"):
        codec.to(torch.float16)


def test_objects_say_what_they_are(tiny_codec, unbounded_codec, noise):
    codec = LLMCodec.random(tiny_codec.config, seed=3)
    assert repr(codec) == "LLMCodec('random-3', 16000 Hz, 50 frames/s, 512 codes, on cpu)"
    codec.encode(noise(640), 16_000)
    assert codec.weights_hash[:12] in repr(codec)
    assert repr(Codec(codec=codec)) == f"Codec('llmcodec', {codec!r})"
    decoder = tiny_codec.stream_decoder(sampling_rate=24_000)
    decoder.push([1, 2, 3])
    assert repr(decoder).startswith("StreamDecoder(open, 24000 Hz")
    assert "3 waiting" in repr(decoder)
    decoder.flush()
    assert "flushed" in repr(decoder)
    assert "approximate" in repr(unbounded_codec.stream_decoder())
    encoder = tiny_codec.stream_encoder(16_000)
    encoder.close()
    assert repr(encoder).startswith("StreamEncoder(closed, 16000 Hz")
    assert "approximate" not in repr(encoder)
