"""A token corpus of a tiny codec, and the settings of a run on it."""

from __future__ import annotations

import pytest
from counting_corpus import counting, write_corpus

from soundcodec_llmcodec.data.token_corpus import TokenSource


@pytest.fixture(scope="session")
def codec_folder(tiny_codec, tmp_path_factory):
    """The tiny codec as a checkpoint folder."""
    from soundcodec_llmcodec import checkpoints

    folder = tmp_path_factory.mktemp("codec") / "tiny"
    checkpoints.save(folder, tiny_codec.config, tiny_codec.model)
    return folder


@pytest.fixture(scope="session")
def source(tiny_codec) -> TokenSource:
    """The tiny codec's facts."""
    return TokenSource.of(tiny_codec)


@pytest.fixture(scope="session")
def corpus(source, tmp_path_factory):
    """A token corpus of it: train and validation."""
    size = source.vocabulary_size
    splits = {"train": counting(size, 60, 0), "validation": counting(size, 8, 1)}
    return write_corpus(tmp_path_factory.mktemp("tokens") / "counting", source, splits)


@pytest.fixture
def settings(corpus, codec_folder):
    """A run's plain values, but for what a test is about."""
    return {
        "tokens": [f"{corpus}:train"],
        "validation": [f"{corpus}:validation"],
        "codec": str(codec_folder),
        "steps": 8,
        "row_tokens": 48,
        "batch_rows": 4,
        "scratch": {"layers": 1, "width": 16, "heads": 2, "dropout": 0.1, "token_dropout": 0.1},
        "optimizer": {"learning_rate": 1e-2, "final_learning_rate": 1e-3, "warmup": 2},
        "log_every": 4,
        "validate_every": 4,
        "checkpoint_every": 4,
    }
