"""Which codes are in use, and what becomes of those that are not."""

from __future__ import annotations

import pytest
import torch
from objective_parts import CODEC, quantized_noise, tiny_codec

from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.train.revival import CodeUsage, RevivalConfig, revive

ALONE = World()


def used(*steps: list[int], size: int = 8, window: int = 4) -> CodeUsage:
    usage = CodeUsage(1, size)
    for codes in steps:
        usage.update(torch.tensor(codes)[None, None], window, ALONE)
    return usage


def test_shares_are_the_plain_mean_at_first_and_move_afterwards():
    usage = used([0, 0, 1, 1], [0, 0, 0, 0])
    assert usage.shares[0, :2].tolist() == [0.75, 0.25]
    usage = used(*[[0]] * 4, [1])
    assert usage.shares[0, :2].tolist() == pytest.approx([0.75, 0.25])


def test_entropy_and_codes_in_use():
    usage = used([0, 1, 2, 3])
    assert usage.entropy_bits() == pytest.approx(2.0)
    assert int(usage.in_use(0.02)) == 4
    usage.shares[0, 4:] = 1 / 8  # as after a revival
    assert usage.entropy_bits() <= 3.0


def test_hardly_used_codes_take_the_place_of_latents_and_forget_their_past():
    model = tiny_codec()
    quantized = quantized_noise(model)
    usage = CodeUsage(1, CODEC.codebook_size)
    usage.update(quantized.codes, 4, ALONE)
    alive = quantized.codes.unique()
    weight = model.tokenizer.vq.levels[0]._codebook.weight
    optimizer = torch.optim.AdamW([weight])
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    before, past = weight.detach().clone(), optimizer.state[weight]["exp_avg"]
    config = RevivalConfig(every=1, threshold=0.02, most=5)
    revived = revive(model, usage, quantized, optimizer, config, torch.Generator().manual_seed(0), ALONE)
    changed = (weight != before).any(dim=1).nonzero().flatten()
    assert revived == len(changed) == 5
    assert not set(changed.tolist()) & set(alive.tolist())
    latents = quantized.latents[:, 0].reshape(-1, weight.shape[1])
    assert all((latents == weight[code]).all(dim=1).any() for code in changed)
    assert (past[changed] == 0).all()
    assert (past[alive] != 0).all()
    # They have time to be used before they are dead again.
    again = revive(model, usage, quantized, optimizer, config, torch.Generator().manual_seed(0), ALONE)
    assert again == 5
    assert not set((weight != before).any(dim=1).nonzero().flatten().tolist()) <= set(changed.tolist())


def test_the_same_generator_revives_the_same():
    made = []
    for _ in range(2):
        model = tiny_codec()
        quantized = quantized_noise(model)
        usage = CodeUsage(1, CODEC.codebook_size)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        config = RevivalConfig(every=1)
        revive(model, usage, quantized, optimizer, config, torch.Generator().manual_seed(3), ALONE)
        made.append(model.tokenizer.vq.levels[0].codebook.detach().clone())
    assert torch.equal(*made)
