"""The rows of docs/recipe.md are what they say: one change at a time, and the long run is `compact`'s own recipe."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec.checkpoints import BUNDLED_NAMES
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.train.train_config import TrainConfig, load_config

ROOT = Path(__file__).parents[2]
ROWS = sorted((ROOT / "experiments" / "recipe").glob("*.yaml"))


def read(name: str) -> TrainConfig:
    return load_config(str(ROOT / "experiments" / "recipe" / f"{name}.yaml"))


def differences(one: TrainConfig, other: TrainConfig) -> set[str]:
    before, after = one.to_dict(), other.to_dict()
    losses = {f"losses.{name}" for name in {*one.losses, *other.losses} if one.weight(name, 0) != other.weight(name, 0)}
    return {key for key in before if key != "losses" and before[key] != after[key]} | losses


@pytest.mark.parametrize("path", ROWS, ids=lambda path: path.stem)
def test_every_row_can_be_run(path):
    assert load_config(str(path)).codec_config.bitrate_bps == pytest.approx(716.1, abs=0.1)


def test_rows_change_one_thing_each():
    assert differences(read("from_midpoint"), read("loudness")) == {"losses.stft", "losses.loudness"}
    assert differences(read("loudness"), read("teacher")) == {"losses.teacher"}
    assert differences(read("from_kept"), read("stft")) == {"losses.stft"}
    assert differences(read("stft"), read("harmonics")) == {"losses.pitch", "codec"}
    for row in ("no_semantic", "phase"):
        assert differences(read("base"), read(row)) == {"codec"}


def test_rows_from_the_midpoint_go_on_where_its_rate_is_held():
    """The same batches and rates up to step 2,000, and then a rate that comes down."""
    midpoint, row = read("midpoint"), read("from_midpoint")
    rates = [[c.optimizer.rate_at(step, c.steps) for step in (0, 299, 1_999)] for c in (midpoint, row)]
    assert rates[0] == rates[1]
    assert row.optimizer.rate_at(2_499, row.steps) < 0.1 * rates[0][-1] < midpoint.optimizer.rate_at(2_499, 10**6)


def test_the_long_run_is_compacts_recipe():
    changed = differences(load_config("compact"), read("long"))
    assert changed <= {"steps", "optimizer", "log_every", "validate_every", "checkpoint_every", "keep_checkpoints"}


def test_the_page_names_only_rows_that_are_there():
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    named = set(re.findall(r"experiments/recipe/(\w+)\.yaml", page)) | set(
        re.findall(r"^\| `(\w+)`", page, re.MULTILINE)
    )
    assert named
    assert named <= {path.stem for path in ROWS} | {"compact", "llmcodec", "llmcodec_base"}


def test_the_bundled_pair_is_compacts_and_codes_speech():
    """What the long run has reached: of the preset's shape, with the hashes that the page names."""
    page = (ROOT / "docs" / "recipe.md").read_text(encoding="utf-8")
    clip = ROOT / "soundcodec_llmcodec" / "assets" / "demo" / "speech-english.flac"
    samples, _ = soundfile.read(clip, dtype="float32")
    for name in BUNDLED_NAMES:
        codec = LLMCodec.from_pretrained(name)
        assert codec.config == CodecConfig.preset("compact")
        assert f"`{codec.weights_hash[:8]}`" in page
        back = codec.decode(codec.encode(clip))
        assert len(back) == len(samples)
        # Untrained weights give noise whose envelope has nothing to do with the clip's.
        envelopes = [np.abs(x[: len(x) // 800 * 800]).reshape(-1, 800).mean(axis=1) for x in (samples, back)]
        assert np.corrcoef(*envelopes)[0, 1] > 0.9


def test_the_pair_differs_by_the_language_objective_alone():
    assert differences(read("pair_base"), read("pair_llm")) == {"losses.future_tokens", "language"}
