"""The language model that ships: whose tokens it reads, that it has learned something, and what it goes on with."""

from __future__ import annotations

import io
import stat
from pathlib import Path

import numpy as np
import pytest
import soundfile

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import continue_audio
from soundcodec_llmcodec.lm.loading import BUNDLED, load_token_lm
from soundcodec_llmcodec.lm.scores import BOS, CodecMismatchError

pytest.importorskip("transformers")
MINI = Path(__file__).parents[2] / "eval" / "mini" / "data" / "Speech-00000-of-00001.parquet"
UNIFORM_BITS = np.log2(20_480)


@pytest.fixture(scope="module")
def codec() -> LLMCodec:
    return LLMCodec.from_pretrained()


@pytest.fixture(scope="module")
def lm(codec):
    return load_token_lm("bundled", TokenSource.of(codec))


@pytest.fixture(scope="module")
def clips(codec) -> list[np.ndarray]:
    """Tokens of the mini set's speech."""
    pq = pytest.importorskip("pyarrow.parquet")
    rows = pq.read_table(MINI, columns=["audio"]).to_pylist()
    sounds = [soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32") for row in rows]
    tokens = codec.encode_batch([samples for samples, _ in sounds], [rate for _, rate in sounds])
    return [clip.unit.numpy() for clip in tokens]


def bits(lm, clips) -> float:
    scores = lm.score(clips)
    return float(sum(score.audio_nll.sum() for score in scores) / sum(map(len, clips)) / np.log(2))


def test_it_is_what_its_card_says(lm):
    files = [path for path in BUNDLED.iterdir() if path.is_file()]
    assert sum(path.stat().st_size for path in files) <= 12 * 2**20
    assert all(path.stat().st_mode & stat.S_IROTH for path in files)
    assert (lm.vocabulary_size, lm.full_size, lm.prefix) == (20_480, 20_482, BOS)
    assert lm.codec_hash[:12] in (BUNDLED / "README.md").read_text(encoding="utf-8")


def test_it_predicts_voices_that_it_has_never_heard_from_their_order(lm, clips):
    found = bits(lm, clips)
    shuffled = [np.random.default_rng(0).permutation(clip) for clip in clips]
    # Learned: far below a uniform guess; and from the order of tokens, not only from which there are.
    assert found < UNIFORM_BITS - 3
    assert bits(lm, shuffled) > found + 2


def test_it_is_refused_for_another_codecs_tokens(tiny_codec):
    with pytest.raises(CodecMismatchError, match="was trained on tokens of codec"):
        load_token_lm("bundled", TokenSource.of(tiny_codec))


def test_what_it_goes_on_with_is_likelier_than_noise(codec, lm, clips):
    prompt = codec.decode(clips[0][:100])
    made, again = (continue_audio(codec, lm, prompt, 16_000, seconds=1.0, seed=0, may_end=False) for _ in "12")
    assert made.tokens.tolist() == again.tokens.tolist()
    assert (len(made.tokens), made.prompt_frames) == (50, 100)
    assert len(made.audio) == 150 * 320
    assert np.isfinite(made.audio).all()
    heard = codec.encode(prompt, 16_000).unit.numpy()
    drawn = np.random.default_rng(0).integers(0, 20_480, 50)
    ours, noise = lm.score([np.concatenate((heard, new)) for new in (made.tokens, drawn)])
    assert ours.audio_nll[-50:].mean() < noise.audio_nll[-50:].mean() - 2
