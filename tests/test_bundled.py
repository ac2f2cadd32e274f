"""The checkpoint that ships: what it is, what it gives, and that it does so in every batch and chunk."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from soundcodec_llmcodec import coding
from soundcodec_llmcodec.checkpoint_files import WEIGHTS_FILE
from soundcodec_llmcodec.checkpoints import ASSETS, BASE_NAME, BUNDLED_NAMES, DEFAULT_NAME
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.teachers import PREFIX as TEACHER
from soundcodec_llmcodec.weights_files import CheckpointError

MINI = Path(__file__).parents[1] / "eval" / "mini" / "data"
GOLDEN = Path(__file__).parent / "golden_tokens.json"


@pytest.fixture(scope="module")
def codec() -> LLMCodec:
    return LLMCodec.from_pretrained()


@pytest.fixture(scope="module")
def speech() -> list[tuple[str, np.ndarray, int]]:
    """(id, samples, rate) of the mini set's speech."""
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(MINI / "Speech-00000-of-00001.parquet").to_pylist()
    return [(row["id"], *soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")) for row in rows]


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_it_is_what_the_readme_says(name):
    codec = LLMCodec.from_pretrained(name)
    assert codec.name == name
    assert (codec.config.codebook_size, codec.config.frame_rate, codec.config.num_quantizers) == (20_480, 50.0, 1)
    assert codec.config.bitrate_bps == pytest.approx(716.1, abs=0.1)
    assert codec.config.attention_window is not None
    assert sum(path.stat().st_size for path in (ASSETS / name).iterdir()) <= 20 * 2**20
    card = (ASSETS / name / "README.md").read_text(encoding="utf-8")
    assert codec.weights_hash[:12] in card
    assert "CC BY-SA" in card


def test_the_baseline_differs_by_future_tokens_alone(codec):
    """What makes a comparison of the two one of the objective: one recipe, but for that loss and its language model."""
    base = LLMCodec.from_pretrained(BASE_NAME)
    assert base.config == codec.config
    assert base.weights_hash != codec.weights_hash
    ours, theirs = (dict(one.info["trained"]["recipe"]) for one in (codec, base))
    assert set(ours["losses"]) - set(theirs["losses"]) == {"future_tokens"}
    assert ours["language"]["targets"] == "encoder"
    # Neither trained a prior: what its settings are says nothing.
    different = {key for key in ours if ours[key] != theirs[key]} - {"losses", "language", "prior"}
    assert different == set()
    assert all(ours["losses"][name] == loss for name, loss in theirs["losses"].items())
    assert codec.info["trained"]["steps"] == base.info["trained"]["steps"] == 1150


@pytest.mark.parametrize("name", BUNDLED_NAMES)
def test_no_package_of_a_teacher_is_needed(name, monkeypatch):
    """The baseline's file leaves the frozen encoder out; the default codec's, which is the same, is at hand."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    held = load_file(ASSETS / name / WEIGHTS_FILE)
    assert any(key.startswith(TEACHER) for key in held) == (name == DEFAULT_NAME)
    assert any(key.startswith(TEACHER) for key in LLMCodec.from_pretrained(name).model.state_dict())


def test_an_install_without_its_weights_says_so(monkeypatch, tmp_path):
    monkeypatch.setattr("soundcodec_llmcodec.checkpoints.ASSETS", tmp_path)
    with pytest.raises(CheckpointError, match="'llmcodec_base' comes with the package, but"):
        LLMCodec.from_pretrained(BASE_NAME)


def test_its_tokens_are_the_ones_recorded_for_it(codec, speech):
    """Other processors may decide a near-tie otherwise, so one token in a hundred may differ; a mistake moves all."""
    golden = json.loads(GOLDEN.read_text())
    assert golden["codec_hash"] == codec.weights_hash
    name, samples, rate = next(clip for clip in speech if clip[0] == golden["clip"])
    unit = codec.encode(samples, rate).unit
    expected = torch.tensor(golden["tokens"])
    assert unit.shape == expected.shape, name
    assert (unit != expected).float().mean() <= 0.01


def test_speech_comes_back_as_speech(codec, speech):
    """Mean STOI over the synthetic speech: far above what a broken decoder or shuffled tokens give."""
    pystoi = pytest.importorskip("pystoi")
    intact, shuffled = [], []
    for _, samples, rate in speech:
        tokens = codec.encode(samples, rate)
        audio = codec.decode(tokens)
        assert audio.shape == samples.shape
        intact.append(pystoi.stoi(samples, audio, rate))
        order = torch.randperm(len(tokens), generator=torch.Generator().manual_seed(0))
        mixed = codec.decode(tokens.unit[order], sampling_rate=rate, n_samples=len(samples))
        shuffled.append(pystoi.stoi(samples, mixed, rate))
    assert np.mean(intact) > 0.75
    assert np.mean(shuffled) < 0.3


def test_a_batch_and_chunks_give_the_same_tokens(codec, speech):
    single = [codec.encode(samples, rate) for _, samples, rate in speech]
    batch = codec.encode_batch([samples for _, samples, _ in speech], [rate for _, _, rate in speech])
    assert single == batch
    joined = torch.cat([codec.decode_codes(tokens.codes[0]) for tokens in single])
    whole = coding.encode(codec.model, joined, None, 10**9)
    for chunk in (512, coding.CHUNK_FRAMES):
        assert torch.equal(coding.encode(codec.model, joined, None, chunk), whole)
    audio = coding.decode(codec.model, whole, 10**9)
    torch.testing.assert_close(coding.decode(codec.model, whole, 512), audio, atol=1e-5, rtol=0)
