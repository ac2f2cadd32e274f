"""Models of shapes alone: the same modules, with nothing drawn and nothing computed for them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.nn.shapes_only import shapes_only


@pytest.mark.parametrize("magnitudes", [None, {"bands": 24, "low_bins": 40}])
def test_a_model_has_the_shapes_it_has_otherwise_and_nothing_is_drawn(magnitudes):
    config = CodecConfig.from_dict({**CodecConfig.preset("tiny").to_dict(), "magnitudes": magnitudes, "harmonics": {}})
    before = torch.get_rng_state()
    with shapes_only():
        model = CodecModel(config)
    assert torch.equal(torch.get_rng_state(), before)
    real = CodecModel(config)
    described = {name: (tensor.shape, tensor.dtype) for name, tensor in real.state_dict().items()}
    assert {name: (tensor.shape, tensor.dtype) for name, tensor in model.state_dict().items()} == described
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    # What is in no checkpoint is computed, or it would be missing.
    kept = {name: buffer for name, buffer in model.named_buffers() if name not in described}
    others = dict(real.named_buffers())
    assert all(torch.equal(buffer, others[name]) for name, buffer in kept.items())


def test_what_names_its_own_device_is_left_to_it():
    with shapes_only():
        window = torch.hann_window(8, device="cpu")
        layer = nn.Linear(3, 2, device="cpu")
        free = nn.Linear(3, 2)
    assert torch.equal(window, torch.hann_window(8))
    assert layer.weight.device.type == "cpu"
    assert layer.weight.abs().max() <= 3**-0.5
    assert layer.weight.abs().max() > 0
    assert free.weight.is_meta
