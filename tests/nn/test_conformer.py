"""Attention in blocks is attention in a band, and padding is as if it were not there."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn.conformer import Attention, Conformer, attend, rotary_tables, rotate

CONFIG = CodecConfig.preset("tiny")  # a window of 4 frames


@pytest.fixture
def attention():
    torch.manual_seed(0)
    return Attention(CONFIG).eval()


def by_hand(attention: Attention, x: torch.Tensor) -> torch.Tensor:
    """Softmax over the frames within the window, one query at a time, with absolute positions."""
    frames = x.shape[1]
    q, k, v = (
        part.view(frames, attention.num_heads, attention.head_dim).transpose(0, 1)
        for part in attention.to_qkv(x)[0].chunk(3, dim=-1)
    )
    cos, sin = rotary_tables(torch.arange(frames), attention.head_dim)
    q, k = rotate(q, cos, sin), rotate(k, cos, sin)
    rows = []
    for i in range(frames):
        near = slice(max(0, i - attention.window), i + attention.window + 1)
        scores = (q[:, i : i + 1] @ k[:, near].transpose(1, 2)) / attention.head_dim**0.5
        rows.append((scores.softmax(-1) @ v[:, near])[:, 0])
    return attention.to_out(torch.stack(rows, dim=0).reshape(frames, -1))[None]


@pytest.mark.parametrize("frames", [1, 4, 5, 16, 17, 31, 64])
@torch.no_grad()
def test_window_is_what_a_hand_computes(attention, frames):
    """Up to 16 frames go through one banded block, more through blocks of three windows."""
    x = torch.randn(1, frames, CONFIG.hidden_size, generator=torch.Generator().manual_seed(frames))
    torch.testing.assert_close(attention(x), by_hand(attention, x), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("window", [4, None])
@pytest.mark.parametrize(("own", "padded"), [(3, 9), (10, 40), (20, 40), (33, 34)])
@torch.no_grad()
def test_padding_is_as_if_it_were_not_there(window, own, padded):
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, attention_window=window)
    conformer = Conformer(config, 2).eval()
    x = torch.randn(1, padded, config.hidden_size)
    x[:, own:] *= 100
    mask = (torch.arange(padded) < own)[None]
    together = conformer(x, mask)
    torch.testing.assert_close(together[:, :own], conformer(x[:, :own]), atol=1e-5, rtol=1e-4)
    assert torch.isfinite(together).all()
    assert not torch.allclose(conformer(x)[:, :own], together[:, :own], atol=1e-3)


def test_attention_written_out_for_training_is_the_fused_one():
    generator = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, length, 8, generator=generator) for length in (5, 7, 7))
    keys = torch.rand(2, 1, 5, 7, generator=generator) < 0.7
    keys[:, :, :, 0] = True
    for mask in (None, keys):
        fused = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        torch.testing.assert_close(attend(q.clone().requires_grad_(), k, v, mask), fused, atol=1e-6, rtol=1e-5)


def test_under_autocast_the_residual_stream_is_float32():
    conformer = Conformer(CONFIG, 1)
    x = torch.randn(1, 6, CONFIG.hidden_size, generator=torch.Generator().manual_seed(0)).bfloat16()
    seen = []
    conformer.layers[0].final_layer_norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].dtype))
    with torch.autocast("cpu", torch.bfloat16):
        conformer(x)
    assert seen == [torch.float32]
