"""Weights at 8 bits: what is stored is the codec, the same for everyone who reads it."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file, save_file

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.weights_files import CheckpointError
from soundcodec_llmcodec.weights_int8 import SCALE, packed, unpacked


def test_every_number_is_within_half_a_step_of_its_group():
    weight = torch.randn(70, 300, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 3, 70)[:, None]
    back = unpacked(packed({"w": weight}))["w"]
    for start in range(0, 300, 64):
        group = weight[:, start : start + 64]
        step = group.abs().amax(1, keepdim=True) / 127
        # A scale of float16 is rounded by 2 ** -11 at most, over 127 steps.
        assert ((back[:, start : start + 64] - group).abs() <= step * (0.5 + 127 * 2**-11 + 1e-3)).all()


def test_shapes_zeros_and_small_tensors():
    held = {
        "conv": torch.randn(128, 3, 50),
        "zero": torch.zeros(128, 128),
        "bias": torch.randn(300),
        "codebook": torch.randn(20_480, 8),
        "count": torch.tensor(3),
    }
    stored = packed(held)
    assert {name for name, tensor in stored.items() if tensor.dtype == torch.int8} == {"conv", "zero"}
    assert stored["conv"].shape == (128, 3, 50)
    back = unpacked(stored)
    assert set(back) == set(held)
    assert torch.equal(back["zero"], held["zero"])
    assert torch.equal(back["codebook"], held["codebook"].half())
    assert torch.equal(back["count"], held["count"])
    assert back["conv"].dtype == torch.float32
    assert (back["conv"] - held["conv"]).norm() < 0.01 * held["conv"].norm()


def test_a_codec_at_8_bits_is_one_codec_wherever_it_is_read(tiny_codec, tmp_path, noise):
    for name, dtype in (("int8", torch.int8), ("half", torch.float16)):
        tiny_codec.save_pretrained(tmp_path / name, dtype)
    loaded = LLMCodec.from_pretrained(tmp_path / "int8")
    described = checkpoints.load(tmp_path / "int8")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    # Stored anew in float32 it is the same codec; the hash is that of what is read.
    loaded.save_pretrained(tmp_path / "again")
    again = LLMCodec.from_pretrained(tmp_path / "again")
    assert again.weights_hash == loaded.weights_hash == checkpoints.weights_hash(described.config, described.model)
    assert loaded.weights_hash != tiny_codec.weights_hash
    clip = noise(5_000)
    assert torch.equal(again.encode_samples(clip), loaded.encode_samples(clip))
    sizes = [(tmp_path / name / checkpoints.WEIGHTS_FILE).stat().st_size for name in ("int8", "half")]
    assert sizes[0] < 0.9 * sizes[1]  # most of a tiny codec is its codebook


@pytest.mark.parametrize("damage", ["shape", "alone", "type"])
def test_scales_that_do_not_fit_are_a_checkpoint_error(tiny_codec, tmp_path, damage):
    tiny_codec.save_pretrained(tmp_path, torch.int8)
    path = tmp_path / checkpoints.WEIGHTS_FILE
    tensors = load_file(path)
    name = next(name for name in tensors if name.endswith(SCALE))
    if damage == "shape":
        tensors[name] = tensors[name][:, :0].contiguous()
    elif damage == "alone":
        tensors["other" + SCALE] = tensors[name].clone()
    else:
        tensors[name] = tensors[name].int()
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match="int8_scale"):
        checkpoints.load(path)
