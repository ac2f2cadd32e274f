"""The figures: against closed forms, against the trainer's own counts, and on the very same tokens."""

from __future__ import annotations

import math

import numpy as np
import predict_corpora as corpora
import pytest

from eval.predictability import estimates, predictability_table, predictors
from eval.predictability import predictability_run as runs
from eval.predictability.predictors import Counts, How, Scored
from eval.predictability.token_sets import PredictError, TokenSetSpec, read, same_clips
from soundcodec_llmcodec.lm.scores import CodecMismatchError, TokenScores
from soundcodec_llmcodec.train.code_perplexity import predictability


@pytest.fixture
def spec(tmp_path) -> TokenSetSpec:
    train = corpora.write(tmp_path / "tokens", "train", corpora.clips(60, 0), corpora.source())
    test = corpora.write(tmp_path / "tokens", "test", corpora.clips(15, 1), corpora.source())
    return TokenSetSpec(test, train)


def measured(spec: TokenSetSpec, *names: str) -> dict[str, estimates.PredictabilityEstimates]:
    found = runs.run([read(spec)], names or None, [()], How())
    return {one.scored.name: one for one in found.rows}


def test_a_uniform_model_needs_all_bits_whatever_the_clip(spec):
    one = measured(spec, "uniform")["uniform"]
    tokens = read(spec)
    assert one.audio_nats.mean == pytest.approx(math.log(32), rel=1e-6)
    assert one.audio_nats.exp().mean == pytest.approx(32, rel=1e-5)
    assert one.bits.mean == pytest.approx(5, rel=1e-6)
    assert one.bits_per_s.mean == pytest.approx(5 * 50, rel=1e-6)
    assert one.audio_nats.low == pytest.approx(one.audio_nats.high)
    assert one.n_tokens == sum(len(clip) for clip in tokens.clips)


def test_context_explains_what_the_unigram_cannot(spec):
    found = measured(spec)
    assert list(found) == ["uniform", "unigram", "bigram", "trigram"]
    assert found["bigram"].bits.mean < 0.6 * found["unigram"].bits.mean
    assert found["unigram"].explained.mean == 0
    bigram = found["bigram"].explained
    assert bigram.mean == pytest.approx(1 - found["bigram"].bits.mean / found["unigram"].bits.mean)
    assert 0 < bigram.low < bigram.mean < bigram.high < 1


def test_every_token_counts_the_same_and_intervals_are_over_clips(spec):
    bigram = measured(spec, "bigram")["bigram"]
    assert bigram.audio_nats.mean == pytest.approx(bigram.clip_audio.sum() / bigram.clip_tokens.sum())
    per_clip = bigram.clip_audio / bigram.clip_tokens
    assert abs(bigram.audio_nats.mean - per_clip.mean()) > 1e-6
    assert per_clip.min() < bigram.audio_nats.low < bigram.audio_nats.mean < bigram.audio_nats.high < per_clip.max()


def test_two_fold_counts_are_the_trainers(spec):
    alone = TokenSetSpec(spec.test)
    found = measured(alone, "unigram", "bigram")
    expected = predictability(read(alone).clips, corpora.SIZE)
    assert found["unigram"].bits.mean == pytest.approx(expected.unigram_bits, rel=1e-9)
    assert found["bigram"].bits.mean == pytest.approx(expected.bigram_bits, rel=1e-9)


class Certain:
    """Knows every token but a clip's first, which it does not score, and 8 tokens that are no codes."""

    name, vocabulary_size, full_size, prefix, codec_hash, identity = "certain", 32, 40, "none", None, "c" * 64

    def score(self, clips, *, batch_tokens=4096):
        return [TokenScores(np.full(len(clip) - 1, 0.5), np.full(len(clip) - 1, 0.75)) for clip in clips]


def test_both_vocabularies_are_told_and_the_first_token_is_no_ones(spec, monkeypatch):
    monkeypatch.setattr(predictors, "load_token_lm", lambda *_: Certain())
    one = measured(spec, "certain")["certain"]
    tokens = read(spec)
    assert (one.audio_nats.mean, one.full_nats.mean) == (pytest.approx(0.5), pytest.approx(0.75))
    assert one.n_tokens == tokens.n_tokens - len(tokens.clips)
    unigram = Counts(tokens, 1).scored(1)
    rest = np.concatenate([scores.audio_nll[1:] for scores in unigram.scores])
    assert one.explained.mean == pytest.approx(1 - 0.5 / rest.mean())
    text = predictability_table.markdown(runs.run([tokens], ["certain"], [()], How()))
    assert "| toy     | certain | none" in text


def test_clips_of_one_token_without_a_prefix_are_left_out(tmp_path, monkeypatch):
    place = corpora.write(tmp_path / "t", "s", [np.array([3]), np.array([4, 5]), np.array([6])], corpora.source())
    monkeypatch.setattr(predictors, "load_token_lm", lambda *_: Certain())
    one = measured(TokenSetSpec(place), "certain")["certain"]
    assert (one.n_clips, one.n_tokens) == (1, 1)
    assert one.audio_nats.low is None
    only = Scored("x", None, "none", 32, None, [TokenScores(np.zeros(0), np.zeros(0))])
    tokens = read(TokenSetSpec(place), limit=2)
    with pytest.raises(ValueError, match="x scored no token"):
        estimates.measured(only, Scored("u", None, "bos", 32, None, [TokenScores(np.ones(1), np.ones(1))]), tokens)


def test_seconds_are_the_audios_not_the_frames(tmp_path):
    from soundcodec_llmcodec.data.token_corpus import TokenClip, shard_name, write_shard, write_source

    write_source(tmp_path, corpora.source())
    short = [TokenClip(str(i), np.array([1, 2], np.int32), 400) for i in range(4)]
    write_shard(tmp_path, shard_name("s", 0, 1), short)
    spec = TokenSetSpec(f"{tmp_path}:s")
    # Two frames of 320 samples for 400 samples of audio.
    assert read(spec).tokens_per_s == pytest.approx(80)
    assert measured(spec, "uniform")["uniform"].bits_per_s.mean == pytest.approx(5 * 80, rel=1e-6)


def test_counts_of_another_codec_are_refused(spec, tmp_path):
    other = corpora.write(tmp_path / "other", "train", corpora.clips(4, 2), corpora.source("other"))
    with pytest.raises(PredictError, match="of codec oooooooooooo, tokens:test of tttttttttttt"):
        read(TokenSetSpec(spec.test, other))


def test_a_model_of_another_codec_is_refused_or_left_out_among_several(spec, tmp_path):
    from soundcodec_llmcodec.lm.counted import NgramLM

    theirs = corpora.source("other", hop=640)
    NgramLM.count(corpora.clips(4, 2), theirs, 2).save(tmp_path / "lm")
    folder = str(tmp_path / "lm")
    with pytest.raises(CodecMismatchError, match="trained on tokens of codec oooooooooooo"):
        runs.run([read(spec)], [folder], [()], How())
    other = TokenSetSpec(corpora.write(tmp_path / "other", "test", corpora.clips(15, 1), theirs))
    both = [read(spec), read(other)]
    found = runs.run(both, ["unigram", folder], [(), ()], How())
    assert [(one.codec, one.scored.name) for one in found.rows] == [
        ("toy", "unigram"),
        ("other", "unigram"),
        ("other", f"bigram ({folder})"),
    ]
    assert [(one.codec, one.model) for one in found.left_out] == [("toy", folder)]
    with pytest.raises(CodecMismatchError):
        runs.run(both, ["unigram"], [(folder,), ()], How())


def test_codecs_of_other_rates_stand_side_by_side(spec, tmp_path):
    half = TokenSetSpec(corpora.write(tmp_path / "half", "test", corpora.clips(15, 1), corpora.source("half", 640)))
    both = [read(TokenSetSpec(spec.test)), read(half)]
    found = runs.run(both, ["unigram"], [(), ()], How())
    ours, theirs = found.rows
    assert ours.bits.mean == theirs.bits.mean
    assert theirs.bits_per_s.mean == pytest.approx(ours.bits_per_s.mean / 2)
    text = predictability_table.markdown(found)
    assert not same_clips(both)
    assert "WARNING: the codecs' test clips are not the same" in text
    assert "compare bit/s, not perplexities" in text
    with pytest.raises(PredictError, match="told apart by their labels"):
        runs.run([both[0], both[0]], ["unigram"], [(), ()], How())


def test_test_clips_that_were_counted_are_told(tmp_path):
    codes = corpora.clips(6, 0)
    train = corpora.write(tmp_path / "t", "train", codes, corpora.source())
    test = corpora.write(tmp_path / "t", "test", [*codes[:2], *corpora.clips(2, 9)], corpora.source())
    tokens = read(TokenSetSpec(test, train))
    assert tokens.repeated == 2
    text = predictability_table.markdown(runs.run([tokens], ["unigram"], [()], How()))
    assert "WARNING: toy: 2 of 4 test clips" in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=tok:train,tok:test", TokenSetSpec("tok:test", "tok:train", "a")),
        ("tok:train,tok:test", TokenSetSpec("tok:test", "tok:train")),
        ("b=-,tok", TokenSetSpec("tok", None, "b")),
        ("b=x,y,lms/1,lms/2", TokenSetSpec("y", "x", "b", ("lms/1", "lms/2"))),
    ],
)
def test_codecs_are_written_with_their_tokens(text, expected):
    assert TokenSetSpec.parse(text) == expected


@pytest.mark.parametrize("text", ["tok", "a=tok", "a=tok,", ",tok"])
def test_what_means_no_codec_is_refused(text):
    with pytest.raises(PredictError, match="expected \\[LABEL=\\]TRAIN,TEST"):
        TokenSetSpec.parse(text)
