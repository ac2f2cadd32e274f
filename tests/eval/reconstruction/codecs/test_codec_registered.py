"""Upper bounds, and codecs of soundcodec_llmcodec as the harness sees them."""

from __future__ import annotations

import numpy as np
import pytest

from eval.harness import fingerprints
from eval.harness.clips import CorpusClip
from eval.reconstruction.codecs import LoadError, ReconstructionError, load


def test_identity_is_the_clip(assert_contract, clips):
    model = load("x=identity")
    for clip, samples in zip(clips, assert_contract(model), strict=True):
        np.testing.assert_array_equal(samples, clip.samples)
    assert (model.info.name, model.info.kind) == ("x", "bound")


def test_resampling_takes_away_what_is_above_the_rate(assert_contract):
    assert_contract(load("resample_16k"))
    rate = 48_000
    time = np.arange(rate) / rate
    low, high = (0.5 * np.sin(2 * np.pi * frequency * time).astype(np.float32) for frequency in (1_000, 6_000))
    both = CorpusClip("x", "Speech", "s", low + high, rate, "d")
    for name, kept in (("resample_8k", low), ("resample_16k", low + high)):
        model = load(name)
        (made,) = model.decode(model.encode([both]), [both])
        # The ends ring; the middle is exact.
        np.testing.assert_allclose(made[5_000:-5_000], kept[5_000:-5_000], atol=2e-3)
    assert load("resample_8k").info.sample_rate == 8_000


def test_a_checkpoint_folder_is_a_codec(tmp_path, tiny_codec, assert_contract, clips):
    tiny_codec.save_pretrained(tmp_path / "mine")
    model = load(str(tmp_path / "mine"))
    assert_contract(model)
    info = model.info
    assert (info.name, info.kind, info.checkpoint_hash) == ("mine", "llmcodec", tiny_codec.weights_hash)
    assert info.bitrate_bps == tiny_codec.config.bitrate_bps
    assert tiny_codec.weights_hash in info.identity
    assert load("llmcodec", checkpoint=tmp_path / "mine").info.identity == info.identity
    for item, clip in zip(model.encode(clips), clips, strict=True):
        assert item.codes.shape == (1, tiny_codec.config.frames(-(-len(clip.samples) * 16_000 // clip.rate)))


def test_the_identity_changes_with_the_sources(tmp_path):
    (tmp_path / "a.py").write_text("x = 1")
    before = fingerprints.of_files(tmp_path, ["a.py"])
    (tmp_path / "a.py").write_text("x = 2")
    assert fingerprints.of_files(tmp_path, ["a.py"]) != before
    assert "sources" in fingerprints.of_package()


def test_a_folder_that_is_no_checkpoint_is_left_out(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(LoadError, match=r"empty.*no config\.json"):
        load(str(tmp_path / "empty"))


def test_an_empty_clip_fails_by_name():
    empty = CorpusClip("nothing", "Speech", "s", np.zeros(0, np.float32), 16_000, "d")
    with pytest.raises(ReconstructionError, match="'nothing' is empty"):
        load("resample_8k").encode([empty])
