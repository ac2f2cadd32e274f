"""musicnn: what a music tagger hears in windows of 3 s, from the weights that the package musicnn carries.

The package's own code needs TensorFlow and a NumPy of 2018 and is not run; because the package asks for them, it is
installed without its dependencies. Source: Pons and Serra 2019, "musicnn: pre-trained convolutional neural networks
for music audio tagging", and the package's models.py (ISC licence); its MSD_musicnn learnt 50 tags of the Million Song
Dataset.

Letters: B windows, S samples, F frames, M mel bands, C channels, D features.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

from eval.sets.tensorflow_checkpoint import read_tensors
from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.measures.mel_filters import mel_filters

PACKAGE = "musicnn"
MODEL = "MSD_musicnn"
RATE = 16_000
WINDOW = 3 * RATE
FEATURES, TAGS = 200, 50
_FRAMES, _BANDS, _FFT, _HOP = 187, 96, 512, 256
_EPSILON = 1e-3  # of tf.layers.batch_normalization
_BATCH = 16

Weights = Mapping[str, torch.Tensor]


def weights_folder() -> Path:
    """Where the package's weights lie. Raises ImportError, which says how to install it."""
    spec = importlib.util.find_spec(PACKAGE)
    folder = None if spec is None or spec.origin is None else Path(spec.origin).parent / MODEL
    if folder is None or not (folder / ".index").is_file():
        raise ImportError(missing("the embedding musicnn", PACKAGE, command=f"pip install --no-deps {PACKAGE}"))
    return folder


@functools.cache
def package_weights() -> Weights:
    """The package's weights by TensorFlow's names, read once in a process."""
    arrays = read_tensors(f"{weights_folder()}/")
    return {name: torch.tensor(array) for name, array in arrays.items() if "Adam" not in name}


def hear(samples: np.ndarray, weights: Weights | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Features (B, 200), those before the last layer, and the tags' logits (B, 50), float32, of samples (S,) at RATE.

    Whole windows of 3 s, side by side; what is left at the end is not heard, and a shorter clip is repeated to 3 s.
    """
    weights = package_weights() if weights is None else weights
    if len(samples) < WINDOW:
        samples = np.resize(samples, WINDOW)  # it repeats
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    with torch.inference_mode():
        parts = [
            _network(torch.from_numpy(np.stack([log_mel(window) for window in windows[i : i + _BATCH]])), weights)
            for i in range(0, len(windows), _BATCH)
        ]
    features, logits = (torch.cat(outputs).numpy() for outputs in zip(*parts, strict=True))
    return features, logits


def log_mel(window: np.ndarray) -> np.ndarray:
    """log10(10000 P + 1) float32 (F, M) of a window's mel power P, as librosa 0.7 gave it: reflected at both ends."""
    padded = np.pad(window.astype(np.float32), _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP][:_FRAMES]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
    power = np.abs(np.fft.rfft(frames * hann, axis=1)) ** 2
    return np.log10(10_000 * power @ mel_filters(RATE, _FFT, _BANDS).T + 1).astype(np.float32)


def _network(mel: torch.Tensor, weights: Weights) -> tuple[torch.Tensor, torch.Tensor]:
    """Features (B, 200) and logits (B, 50) of log mel spectrograms (B, F, M)."""
    front = _front_end(_normalized(mel[:, None], weights, 0), weights)
    first = _over_time(front, weights, 5)
    second = first + _over_time(first, weights, 6)
    third = second + _over_time(second, weights, 7)
    joined = torch.cat([front, first, second, third], 1)
    # The greatest and the mean of a channel stand beside each other.
    pooled = torch.stack([joined.amax(2), joined.mean(2)], 2).flatten(1)
    hidden = _normalized(pooled, weights, 9) @ weights["dense/kernel"] + weights["dense/bias"]
    features = _normalized(hidden.relu(), weights, 10)
    return features, features @ weights["dense_1/kernel"] + weights["dense_1/bias"]


def _front_end(mel: torch.Tensor, weights: Weights) -> torch.Tensor:
    """(B, C, F) of (B, 1, F, M): two shapes of timbre and three of rhythm, the strongest over the bands each."""
    outputs = []
    for layer in range(5):
        kernel, bias = _convolution(weights, layer)
        before = (kernel.shape[2] - 1) // 2  # TensorFlow's "same": of an odd number of zeros, one more comes after
        padded = functional.pad(mel, (0, 0, before, kernel.shape[2] - 1 - before))
        convolved = _normalized(functional.conv2d(padded, kernel, bias).relu(), weights, layer + 1)
        outputs.append(convolved.amax(3))
    return torch.cat(outputs, 1)


def _over_time(values: torch.Tensor, weights: Weights, layer: int) -> torch.Tensor:
    """A convolution over 7 frames and all channels, (B, C, F) to (B, 64, F)."""
    kernel, bias = _convolution(weights, layer)  # (64, 1, 7, C)
    convolved = functional.conv1d(values, kernel[:, 0].transpose(1, 2), bias, padding=3)
    return _normalized(convolved.relu(), weights, layer + 1)


def _convolution(weights: Weights, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Kernel (C_out, C_in, frames, bands) and bias (C_out,)."""
    name = "conv2d" if layer == 0 else f"conv2d_{layer}"
    return weights[f"{name}/kernel"].permute(3, 2, 0, 1), weights[f"{name}/bias"]


def _normalized(values: torch.Tensor, weights: Weights, layer: int) -> torch.Tensor:
    """Batch normalization of (B, C, ...) by the statistics of the training."""
    name = "batch_normalization" if layer == 0 else f"batch_normalization_{layer}"
    mean, variance, gamma, beta = (
        weights[f"{name}/{part}"] for part in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    return functional.batch_norm(values, mean, variance, gamma, beta, eps=_EPSILON)
