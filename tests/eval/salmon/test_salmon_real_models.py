"""Real codecs and language models, small and untrained: loading, sharing, refusals, and scores whatever the batches."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from salmon_stubs import PART, plan

from eval.harness.model_specs import LoadError
from eval.salmon.salmon_models import Loader, Model, parse
from eval.salmon.salmon_run import run
from eval.salmon.suite import Pair, PairedRecording
from soundcodec_llmcodec.audio import resample
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.counted import NgramLM
from soundcodec_llmcodec.lm.scores import CodecMismatchError
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.vocabulary import TokenSpec


def sound(seed: int, seconds: float, rate: int = 16_000) -> PairedRecording:
    rng = np.random.default_rng(seed)
    samples = resample(0.2 * rng.standard_normal(round(seconds * 16_000)).astype(np.float32), 16_000, rate)
    return PairedRecording(samples, rate, hashlib.sha256(samples.tobytes()).hexdigest())


@pytest.fixture(scope="module")
def pairs() -> list[Pair]:
    lengths = np.random.default_rng(1).uniform(0.1, 1.2, size=(10, 2))
    rates = [16_000, 44_100, 8_000, 22_050, 48_000]
    return [
        Pair(PART, str(i), *(sound(10 * i + k, seconds, rates[(i + k) % 5]) for k, seconds in enumerate(both)))
        for i, both in enumerate(lengths)
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, str]:
    """A codec, another one, and language models over the first one's tokens."""
    from transformers import LlamaConfig, LlamaForCausalLM, set_seed

    root = tmp_path_factory.mktemp("models")
    codecs = {name: LLMCodec.random(CodecConfig.preset("tiny"), seed) for name, seed in (("codec", 0), ("other", 1))}
    for name, codec in codecs.items():
        codec.save_pretrained(root / name)
    source = TokenSource.of(LLMCodec.from_pretrained(root / "codec"))
    size = source.vocabulary_size
    set_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=size + 2, **sizes)).eval()
    NeuralTokenLM(model, TokenSpec(0, size), source, bos_id=size, eos_id=size + 1, name="tiny").save(root / "neural")
    clips = [np.random.default_rng(seed).integers(size, size=50) for seed in range(20)]
    NgramLM.count(clips, source, 2).save(root / "bigram")
    return {path.name: str(path) for path in root.iterdir()}


def loaded(folders: dict[str, str], *lms: str) -> list[Model]:
    loader = Loader()
    names = [folders.get(lm, lm) for lm in lms]
    return [loader.load(parse(f"{lm}={folders['codec']}@{name}")) for lm, name in zip(lms, names, strict=True)]


@pytest.fixture(scope="module")
def one_by_one(folders, pairs):
    return run(plan(loaded(folders, "neural", "bigram", "uniform"), pairs, batch_size=1), progress=False)


@pytest.mark.parametrize("batch_size", [3, 16])
def test_scores_do_not_depend_on_the_batch_size(folders, pairs, one_by_one, batch_size):
    outcome = run(plan(loaded(folders, "neural", "bigram", "uniform"), pairs, batch_size=batch_size), progress=False)
    for model, alone in zip(outcome.models, one_by_one.models, strict=True):
        for score, expected in zip(model.scores[PART], alone.scores[PART], strict=True):
            assert (score.positive_tokens, score.negative_tokens) == (
                expected.positive_tokens,
                expected.negative_tokens,
            )
            assert score.positive == pytest.approx(expected.positive, abs=1e-4)
            assert score.negative == pytest.approx(expected.negative, abs=1e-4)


def test_a_score_is_that_of_the_codec_and_the_model_by_themselves(folders, pairs, one_by_one):
    codec = LLMCodec.from_pretrained(folders["codec"])
    lm = NeuralTokenLM.load(folders["neural"])
    for pair, score in zip(pairs[:5], one_by_one.models[0].scores[PART], strict=False):
        codes = codec.encode(pair.positive.samples, pair.positive.rate).unit.numpy()
        (expected,) = lm.score([codes])
        assert score.positive_tokens == len(codes)
        assert score.positive == pytest.approx(-expected.audio_nll.sum(), abs=1e-4)


def test_a_uniform_model_ties_at_every_length(one_by_one):
    uniform = one_by_one.models[2].scores[PART]
    assert any(score.positive_tokens != score.negative_tokens for score in uniform)
    assert [score.point("token") for score in uniform] == [0.5] * 10


def test_models_of_one_codec_share_it_and_tell_what_they_are(folders):
    neural, bigram = loaded(folders, "neural", "bigram")
    assert neural.tokenizer is bigram.tokenizer
    codec = LLMCodec.from_pretrained(folders["codec"])
    info = neural.info
    assert (info.codec, info.codec_hash, info.lm, info.lm_prefix) == ("codec", codec.weights_hash, "tiny", "bos")
    assert (info.token_rate, info.bitrate_bps) == (codec.config.token_rate, codec.config.bitrate_bps)
    assert info.vocabulary_size == codec.config.codebook_size
    assert info.lm_parameters == neural.lm.parameters > 0
    assert bigram.info.lm_parameters is None


def test_another_codec_s_language_model_is_refused(folders):
    for lm in ("neural", "bigram"):
        with pytest.raises(CodecMismatchError, match="was trained on tokens of codec"):
            Loader().load(parse(f"{folders['other']}@{folders[lm]}"))


def test_what_cannot_be_read_is_a_load_error(folders, tmp_path):
    with pytest.raises(LoadError, match=r"token_lm\.json"):
        Loader().load(parse(f"{folders['codec']}@{tmp_path}"))
    with pytest.raises(LoadError, match="is no checkpoint"):
        Loader().load(parse(f"{tmp_path}@uniform"))
    with pytest.raises(LoadError, match="cannot use the device"):
        Loader("tpu9").load(parse(f"{folders['codec']}@uniform"))
