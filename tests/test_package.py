"""What the package shows: its public names, its types, and objects that say in a line what they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

import soundcodec_llmcodec
from soundcodec_llmcodec.checkpoints import CheckpointError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.superb import Codec

ROOT = Path(__file__).parents[1]


def test_dir_shows_every_public_name_before_it_is_used():
    shown = "import soundcodec_llmcodec as package; print(*dir(package))"
    run = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, cwd=ROOT, check=True)
    public = [name for name in run.stdout.split() if not name.startswith("_")]
    assert public == sorted(soundcodec_llmcodec.__all__)
    assert "__version__" in run.stdout.split()


def test_the_types_are_packed(tmp_path):
    build = [sys.executable, "setup.py", "-q", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "soundcodec_llmcodec" / "py.typed").is_file()


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
