"""The nearest code, the losses, and where gradients go."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch.nn import functional

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.nn import quantizer as quantizer_file
from soundcodec_llmcodec.nn.quantizer import ResidualQuantizer

CONFIG = CodecConfig.preset("tiny")


@pytest.fixture
def features():
    return torch.randn(2, 30, CONFIG.hidden_size, generator=torch.Generator().manual_seed(1))


def quantizer(levels: int = 1) -> ResidualQuantizer:
    torch.manual_seed(0)
    return ResidualQuantizer(dataclasses.replace(CONFIG, num_quantizers=levels))


def test_the_code_is_the_nearest_by_angle(features):
    levels = quantizer()
    result = levels(features, 0, 512, want_margins=True)
    level = levels.levels[0]
    latents, book = (functional.normalize(x, dim=-1) for x in (result.latents[:, 0], level.codebook))
    distances = torch.cdist(latents, book[None].expand(2, -1, -1))
    assert torch.equal(result.codes[:, 0], distances.argmin(-1))
    ordered = (latents @ book.t()).sort(dim=-1, descending=True).values
    torch.testing.assert_close(result.margins[:, 0], ordered[..., 0] - ordered[..., 1])
    partition = levels(features, 256, 512)
    assert torch.equal(partition.codes[:, 0], 256 + distances[..., 256:].argmin(-1))


def test_losses_are_mean_squares_and_gradients_go_where_they_should(features):
    features = features.requires_grad_(True)
    levels = quantizer()
    result = levels(features, 0, 512)
    book = levels.levels[0].codebook
    expected = (result.latents[:, 0] - book[result.codes[:, 0]]).square().mean()
    torch.testing.assert_close(result.commitment_loss, expected)
    torch.testing.assert_close(result.codebook_loss, expected)
    (to_book,) = torch.autograd.grad(result.codebook_loss, book, retain_graph=True)
    assert to_book.abs().sum() > 0
    assert torch.autograd.grad(result.commitment_loss, book, retain_graph=True, allow_unused=True) == (None,)
    assert torch.autograd.grad(result.codebook_loss, features, retain_graph=True, allow_unused=True) == (None,)
    (straight,) = torch.autograd.grad(result.features.sum(), features)
    assert straight.abs().sum() > 0


def test_losses_of_vectors_by_hand():
    """Latents (3, 4) and (0, 2) against codes (1, 1) and (0, 1): squares 4, 9, 0 and 1, a mean of 3.5."""
    torch.manual_seed(0)
    config = dataclasses.replace(CONFIG, codebook_dim=2)
    level = ResidualQuantizer(config).levels[0]
    with torch.no_grad():
        level.in_proj.weight = torch.eye(2, config.hidden_size)[..., None]
        level.in_proj.bias.zero_()
        level.codebook.copy_(torch.tensor([-1.0, -1.0]))
        level.codebook[5], level.codebook[9] = torch.tensor([1.0, 1.0]), torch.tensor([0.0, 1.0])
    features = torch.zeros(1, 2, config.hidden_size)
    features[0, :, :2] = torch.tensor([[3.0, 4.0], [0.0, 2.0]])
    features.requires_grad_(True)
    result = level(features, 0, config.codebook_size)
    assert result.codes.tolist() == [[[5, 9]]]
    assert result.commitment_loss.item() == pytest.approx(3.5)
    assert result.codebook_loss.item() == pytest.approx(3.5)
    # A mean square's slope is 2 / 4 times the difference: latents are drawn to codes, codes to latents.
    (drawn,) = torch.autograd.grad(result.commitment_loss, features, retain_graph=True)
    torch.testing.assert_close(drawn[0, :, :2], 0.5 * torch.tensor([[2.0, 3.0], [0.0, 1.0]]))
    (book,) = torch.autograd.grad(result.codebook_loss, level.codebook)
    torch.testing.assert_close(book[[5, 9]], -0.5 * torch.tensor([[2.0, 3.0], [0.0, 1.0]]))
    assert book.abs().sum() == book[[5, 9]].abs().sum()


@torch.no_grad()
def test_levels_code_what_is_left_over_and_embed_to_the_same_features(features):
    levels = quantizer(3)
    result = levels(features, 0, 512)
    assert result.codes.shape == (2, 3, 30)
    torch.testing.assert_close(levels.embed(result.codes), result.features)
    first, second = levels.levels[:2]
    rest = features - first.embed(result.codes[:, 0])
    assert torch.equal(second(rest, 0, 512).codes[:, 0], result.codes[:, 1])


@pytest.mark.parametrize("codes", [2, 63, 64, 65, 128, 640, 1_000])
def test_the_search_finds_the_first_of_the_largest_and_its_lead(codes):
    similarities = torch.randn(50, codes, generator=torch.Generator().manual_seed(codes))
    similarities[7] = similarities[7].round()  # rows with many equals
    similarities[8] = 0.5
    similarities[9, codes - 1] = similarities[9, 0] = 9.0
    best, lead = quantizer_file._largest(similarities, True)
    two = similarities.sort(dim=1, descending=True, stable=True)
    assert torch.equal(best, two.indices[:, 0])
    assert torch.equal(lead, two.values[:, 0] - two.values[:, 1])
    assert torch.equal(quantizer_file._largest(similarities, False)[0], best)
