"""musicnn by its package's weights: the layers against plain sums on random weights, and what it hears where the
package is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from eval.sets import musicnn

SHAPES = {
    **{
        f"conv2d{'_' * (i > 0)}{i or ''}/kernel": shape
        for i, shape in enumerate(
            [(7, 38, 1, 204), (7, 67, 1, 204), (128, 1, 1, 51), (64, 1, 1, 51), (32, 1, 1, 51), (7, 561, 1, 64)]
            + [(7, 64, 1, 64)] * 2
        )
    },
    "dense/kernel": (1506, 200),
    "dense_1/kernel": (200, 50),
}
WIDTHS = [1, 204, 204, 51, 51, 51, 64, 64, 64, 1506, 200]


@pytest.fixture(scope="module")
def weights():
    """Random weights, and statistics of training that are no identity."""
    generator = torch.Generator().manual_seed(0)
    drawn = {}
    for name, shape in SHAPES.items():
        drawn[name] = torch.randn(shape, generator=generator) / np.prod(shape[:-1]) ** 0.5
        drawn[name.replace("kernel", "bias")] = 0.1 * torch.randn(shape[-1], generator=generator)
    for layer, width in enumerate(WIDTHS):
        name = f"batch_normalization_{layer}" if layer else "batch_normalization"
        for part in ("moving_mean", "beta"):
            drawn[f"{name}/{part}"] = 0.1 * torch.randn(width, generator=generator)
        for part in ("moving_variance", "gamma"):
            drawn[f"{name}/{part}"] = 0.5 + torch.rand(width, generator=generator)
    return drawn


def noise(seconds, seed=0):
    return (0.1 * np.random.default_rng(seed).normal(size=round(seconds * musicnn.RATE))).astype(np.float32)


def plain(weights, layer, values):
    """A layer's convolution of TensorFlow, (T, M, 1), at every place where its kernel fits, with what comes after."""
    name = f"conv2d_{layer}" if layer else "conv2d"
    kernel, bias = weights[f"{name}/kernel"].numpy(), weights[f"{name}/bias"].numpy()
    places = np.lib.stride_tricks.sliding_window_view(values, kernel.shape[:2])
    convolved = np.maximum(np.einsum("tmij,ijc->tmc", places, kernel[:, :, 0], optimize=True) + bias, 0)
    return normal(weights, layer + 1, convolved)


def normal(weights, layer, values):
    name = f"batch_normalization_{layer}" if layer else "batch_normalization"
    mean, variance, gamma, beta = (
        weights[f"{name}/{part}"].numpy() for part in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return (values - mean) / np.sqrt(variance + 1e-3) * gamma + beta


def test_the_network_is_that_of_the_package_in_plain_sums(weights):
    """After models.py: channels last, one window, no tensor library."""
    window = noise(3)
    mel = normal(weights, 0, musicnn.log_mel(window)[:, :, None])[:, :, 0]
    front = []
    for layer, (before, after) in enumerate([(3, 3), (3, 3), (63, 64), (31, 32), (15, 16)]):
        front.append(plain(weights, layer, np.pad(mel, ((before, after), (0, 0)))).max(1))
    parts = [np.concatenate(front, 1)]
    for layer in (5, 6, 7):
        (middle,) = plain(weights, layer, np.pad(parts[-1], ((3, 3), (0, 0)))).transpose(1, 0, 2)
        parts.append(middle if layer == 5 else middle + parts[-1])
    joined = np.concatenate(parts, 1)
    pooled = np.stack([joined.max(0), joined.mean(0)], 1).reshape(-1)
    hidden = normal(weights, 9, pooled) @ weights["dense/kernel"].numpy() + weights["dense/bias"].numpy()
    expected = normal(weights, 10, np.maximum(hidden, 0))
    logits = expected @ weights["dense_1/kernel"].numpy() + weights["dense_1/bias"].numpy()
    (features,), (tags,) = musicnn.hear(window, weights)
    assert features == pytest.approx(expected, abs=1e-3)
    assert tags == pytest.approx(logits, abs=1e-3)


def test_windows_are_heard_by_themselves_and_a_short_clip_is_repeated(weights):
    samples = noise(7)
    features, tags = musicnn.hear(samples, weights)
    assert features.shape == (2, 200)
    assert tags.shape == (2, 50)
    (second,), _ = musicnn.hear(samples[musicnn.WINDOW :], weights)
    assert features[1] == pytest.approx(second, abs=1e-4)
    (short,), _ = musicnn.hear(samples[: musicnn.RATE], weights)
    (repeated,), _ = musicnn.hear(np.tile(samples[: musicnn.RATE], 3), weights)
    assert np.array_equal(short, repeated)


def test_the_spectrogram_is_librosas():
    librosa = pytest.importorskip("librosa")
    window = noise(3)
    power = librosa.feature.melspectrogram(
        y=window, sr=16_000, n_fft=512, hop_length=256, n_mels=96, pad_mode="reflect"
    )
    assert musicnn.log_mel(window) == pytest.approx(np.log10(10_000 * power.T + 1)[:187], abs=1e-4)


def test_the_packages_weights_tell_drums_from_a_chord():
    try:
        musicnn.weights_folder()
    except ImportError as error:
        pytest.skip(str(error))
    time = np.arange(musicnn.WINDOW) / musicnn.RATE
    chord = 0.1 * sum(np.sin(2 * np.pi * hz * time) for hz in (220, 277.2, 329.6)).astype(np.float32)
    beats = (noise(3) * 8 * np.exp(-20 * (time % 0.25))).astype(np.float32)
    _, ((calm), (driven)) = musicnn.hear(np.concatenate([chord, beats]))
    dance, ambient = 6, 28  # of MSD_LABELS
    assert calm[ambient] - calm[dance] > driven[ambient] - driven[dance] + 1
