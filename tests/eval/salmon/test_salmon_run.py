"""A run: what a score is, what is scored once, what a failure costs, and what a journal spares."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from salmon_stubs import (
    PART,
    RATE,
    StubCodec,
    StubLM,
    V,
    accuracy,
    bigram,
    counting,
    model,
    oracle,
    plan,
    points,
    recording,
    runs_on,
    shuffled,
    suite,
    uniform,
)

from eval.harness.journal import JournalError
from eval.salmon.pair_journal import PairJournal
from eval.salmon.salmon_run import SalmonPlan, run
from eval.salmon.suite import Pair, PairedRecording, SuiteError
from soundcodec_llmcodec.lm.scores import TokenScores


def unequal(pairs: int) -> list[Pair]:
    """Pairs whose negative is one to seven frames shorter or longer, with random tokens."""
    rng = np.random.default_rng(3)
    made = []
    for index in range(pairs):
        length = int(rng.integers(10, 60))
        other = length + int(rng.choice([-7, -3, -1, 1, 2, 5]))
        clips = (recording(rng.integers(V, size=n), f"{index} {n}") for n in (length, other))
        made.append(Pair(PART, str(index), *clips))
    return made


def random_bigram(seed: int = 0) -> StubLM:
    table = np.random.default_rng(seed).normal(size=(V, V))
    return bigram(table - np.log(np.exp(table).sum(1, keepdims=True)))


# -- sanity ------------------------------------------------------------------------------------------------------------
def test_a_model_that_is_given_the_true_next_token_is_right():
    pairs = runs_on(60, seed=0)
    truths = [np.rint(pair.positive.samples[::320] * V).astype(np.int64) for pair in pairs]
    assert accuracy(run(plan([model(oracle(truths))], pairs), progress=False)) == 1.0


def test_a_uniform_model_has_nothing_but_ties_whatever_the_lengths():
    outcome = run(plan([model(uniform())], unequal(80)), progress=False)
    assert points(outcome) == [0.5] * 80
    # Sums do not tell: the shorter recording is always the more likely one.
    shorter = [float(s.positive_tokens < s.negative_tokens) for s in outcome.models[0].scores[PART]]
    assert points(outcome, normalize="sum") == shorter


@pytest.mark.parametrize("normalize", ["token", "sum"])
def test_reversed_pairs_mirror_every_point(normalize):
    pairs = [*unequal(40), Pair(PART, "tie", recording([1, 2]), recording([1, 2]))]
    turned = [replace(pair, positive=pair.negative, negative=pair.positive) for pair in pairs]
    one, other = (run(plan([model(random_bigram())], which), progress=False) for which in (pairs, turned))
    forward, backward = points(one, normalize=normalize), points(other, normalize=normalize)
    assert forward == [1 - point for point in backward]
    assert forward[-1] == 0.5
    assert 0.2 < accuracy(one, normalize=normalize) < 0.8


def test_shuffled_tokens_lose_the_coherence():
    pairs = runs_on(300, seed=1)
    ordered = run(plan([model(counting())], pairs), progress=False)
    mixed = run(plan([model(counting(), StubCodec(shuffled))], pairs), progress=False)
    assert accuracy(ordered) > 0.99
    assert 0.42 < accuracy(mixed) < 0.58  # a standard error is 0.03


# -- what a score is ---------------------------------------------------------------------------------------------------
def test_a_score_is_the_sum_over_the_scored_tokens():
    table = np.random.default_rng(0).normal(size=(V, V))
    table -= np.log(np.exp(table).sum(1, keepdims=True))
    pair = Pair(PART, "a", recording([3, 1, 4, 1, 5]), recording([9, 2, 6]))
    (score,) = run(plan([model(bigram(table))], [pair]), progress=False).models[0].scores[PART]
    positive = -np.log(V) + table[3, 1] + table[1, 4] + table[4, 1] + table[1, 5]
    negative = -np.log(V) + table[9, 2] + table[2, 6]
    assert (score.positive, score.negative) == pytest.approx((positive, negative), abs=1e-8)
    assert (score.positive_tokens, score.negative_tokens) == (5, 3)
    assert score.difference("sum") == pytest.approx(positive - negative, abs=1e-8)
    assert score.difference("token") == pytest.approx(positive / 5 - negative / 3, abs=1e-8)


def test_a_model_without_a_prefix_is_counted_by_the_tokens_it_scored():
    lm = StubLM(lambda ids: np.full(len(ids) - 1, 2.0))
    pairs = [Pair(PART, "a", recording([1] * 5), recording([2] * 9)), Pair(PART, "b", recording([1]), recording([1]))]
    (score, lone) = run(plan([model(lm)], pairs), progress=False).models[0].scores[PART]
    assert (score.positive_tokens, score.negative_tokens, score.positive) == (4, 8, -8.0)
    assert lone.failure == (
        "positive: no score: one token, and nothing before it to predict it from; "
        "negative: no score: one token, and nothing before it to predict it from"
    )


@pytest.mark.parametrize("batch_size", [1, 3, 7, 64])
def test_results_do_not_depend_on_the_batches(batch_size):
    parts = {"rir_consistency": unequal(9), PART: runs_on(20, seed=5)}
    parts = {part: [replace(pair, part=part) for pair in pairs] for part, pairs in parts.items()}
    expected = run(plan([model(random_bigram())], parts, batch_size=2), progress=False)
    outcome = run(plan([model(random_bigram())], parts, batch_size=batch_size), progress=False)
    assert outcome.models[0].scores == expected.models[0].scores
    assert outcome.fingerprint == expected.fingerprint
    assert [score.pair_id for score in outcome.models[0].scores[PART]] == [str(index) for index in range(20)]


# -- what is done once -------------------------------------------------------------------------------------------------
def test_a_recording_is_encoded_and_scored_once_for_all_its_pairs_and_parts():
    shared = recording([1, 2, 3, 4])
    parts = {part: [Pair(part, str(i), shared, recording([i, 5, 6], f"{part}{i}")) for i in range(5)] for part in "ab"}
    codec, lms = StubCodec(), [counting(), random_bigram()]
    models = [model(lms[0], codec, "one"), model(lms[1], codec, "two")]
    # The warm-up is one recording; windows of four pairs come upon `shared` several times.
    outcome = run(plan(models, parts, batch_size=1), progress=False)
    assert sum(codec.batches) == 2 + 11
    # Of the ten negatives, each two have the same tokens, but stand in different windows for the most part.
    assert 1 + 6 <= sum(lms[0].batches) <= 1 + 11
    first = outcome.models[0]
    assert first.timed_pairs == 10
    assert first.audio_s == pytest.approx((4 + 10 * 3) * 0.02)
    assert first.encode_s == outcome.models[1].encode_s > 0


def test_equal_tokens_are_scored_once_and_tie():
    calls = iter(range(1000))
    noisy = StubLM(lambda ids: np.full(len(ids), 1.0 + 1e-3 * next(calls)))
    pairs = [Pair(PART, "a", recording([1, 2, 3], "one"), recording([1, 2, 3], "another"))]
    outcome = run(plan([model(noisy)], pairs), progress=False)
    assert points(outcome) == [0.5]


def test_batches_hold_about_equally_long_recordings():
    lengths: list[list[int]] = []

    class Watched(StubCodec):
        def tokens(self, recordings):
            lengths.append([len(samples) for samples, _ in recordings])
            return super().tokens(recordings)

    run(plan([model(uniform(), Watched())], unequal(16), batch_size=4), progress=False)
    batches = lengths[1:]
    assert [len(batch) for batch in batches] == [4] * 8
    for batch, following in itertools.pairwise(batches):
        assert min(batch) >= max(following)


# -- failures ----------------------------------------------------------------------------------------------------------
def test_a_recording_that_fails_costs_only_its_pairs():
    broken = replace(recording([1, 2, 3]), samples=np.full(960, -1, np.float32), digest="broken")
    unreadable = PairedRecording(np.zeros(0, np.float32), 1, "", problem="unreadable audio: nonsense")
    pairs = runs_on(6, seed=2)
    pairs[2] = replace(pairs[2], positive=broken)
    pairs[4] = replace(pairs[4], negative=unreadable)
    outcome = run(plan([model(counting())], pairs), progress=False)
    failures = [score.failure for score in outcome.models[0].scores[PART]]
    assert failures == [
        None,
        None,
        "positive: no tokens: ValueError: it holds a negative sample",
        None,
        "negative: unreadable audio: nonsense",
        None,
    ]
    assert points(outcome)[2] is None
    assert points(outcome)[4] is None
    assert accuracy(outcome) == 1.0


def test_what_a_model_cannot_score_is_a_reason_not_a_number():
    def nll(ids: np.ndarray) -> np.ndarray:
        if len(ids) > 20:
            raise ValueError("longer than the model can read")
        return np.full(len(ids), np.nan if ids[0] == 3 else 1.0)

    pairs = [
        Pair(PART, "a", recording([1] * 21), recording([2] * 4)),
        Pair(PART, "b", recording([3] * 4), recording([4] * 4)),
        Pair(PART, "c", recording([5] * 4), recording([6] * 4)),
    ]
    outcome = run(plan([model(StubLM(nll))], pairs), progress=False)
    assert [score.failure for score in outcome.models[0].scores[PART]] == [
        "positive: no score: ValueError: longer than the model can read",
        "positive: no score: the model's log-likelihood is not finite",
        None,
    ]


def test_a_model_that_loses_a_clip_is_found_out():
    class Short(StubLM):
        def score(self, clips, *, batch_tokens=4096) -> list[TokenScores]:
            return super().score(clips[1:])

    outcome = run(plan([model(Short(lambda ids: np.ones(len(ids))))], runs_on(2, seed=0)), progress=False)
    assert "0 results came for 1 recordings" in outcome.models[0].scores[PART][0].failure


def test_an_empty_part_and_unknown_ones_are_refused():
    with pytest.raises(SuiteError, match="no pairs in rir_consistency"):
        run(plan([model(uniform())], {PART: runs_on(1, seed=0), "rir_consistency": []}), progress=False)
    with pytest.raises(SuiteError, match="has no parts"):
        SalmonPlan([model(uniform())], suite(runs_on(1, seed=0)), ("bg_alignment",), 4)
    twice = [*runs_on(2, seed=0), *runs_on(1, seed=0)]
    with pytest.raises(SuiteError, match="the id '0'"):
        run(plan([model(uniform())], twice), progress=False)


def test_a_limit_is_a_part_s():
    parts = {part: [replace(pair, part=part) for pair in runs_on(5, seed=0)] for part in ("a", "b")}
    found = plan([model(uniform())], parts, limit=2)
    assert found.total == 4
    assert [len(scores) for scores in run(found, progress=False).models[0].scores.values()] == [2, 2]


# -- stopping and going on ---------------------------------------------------------------------------------------------
def stopping_after(calls: int) -> StubCodec:
    class Stopping(StubCodec):
        def tokens(self, recordings):
            if len(self.batches) == calls:
                raise KeyboardInterrupt
            return super().tokens(recordings)

    return Stopping()


def test_a_run_that_was_stopped_goes_on_with_equal_results(tmp_path):
    pairs = [*runs_on(11, seed=4), Pair(PART, "again", runs_on(11, seed=4)[0].positive, recording([1, 9]))]
    whole = run(plan([model(random_bigram())], pairs, batch_size=1), progress=False)
    with PairJournal(tmp_path, {"run": 1}, resume=False) as journal, pytest.raises(KeyboardInterrupt):
        run(plan([model(random_bigram(), stopping_after(12))], pairs, batch_size=1), journal=journal, progress=False)
    codec = StubCodec()
    with PairJournal(tmp_path, {"run": 1}, resume=True) as journal:
        assert len(journal.batches) == 1  # a window is four pairs
        outcome = run(plan([model(random_bigram(), codec)], pairs, batch_size=1), journal=journal, progress=False)
    assert outcome.models[0].scores == whole.models[0].scores
    assert outcome.fingerprint == whole.fingerprint
    assert outcome.models[0].timed_pairs == 12
    # Warm-up and seven pairs; the last pair's positive is known from the first window.
    assert sum(codec.batches) == 1 + 7 * 2 + 1


def test_a_finished_run_is_told_again_without_work(tmp_path):
    pairs = runs_on(5, seed=4)
    with PairJournal(tmp_path, {}, resume=False) as journal:
        first = run(plan([model(counting())], pairs), journal=journal, progress=False)
    idle = StubCodec()
    with PairJournal(tmp_path, {}, resume=True) as journal:
        again = run(plan([model(counting(), idle)], pairs), journal=journal, progress=False)
    assert again.models[0] == first.models[0]
    assert idle.batches == []


def test_other_pairs_than_the_journal_s_are_refused(tmp_path):
    pairs = runs_on(5, seed=4)
    with PairJournal(tmp_path, {}, resume=False) as journal:
        run(plan([model(counting())], pairs), journal=journal, progress=False)
    changed = [*pairs[:4], replace(pairs[4], negative=recording([7, 7]))]
    for other, message in ((changed, "the audio of '4'"), (pairs[:3], "no longer has 2 pairs")):
        with PairJournal(tmp_path, {}, resume=True) as journal, pytest.raises(JournalError, match=message):
            run(plan([model(counting())], other), journal=journal, progress=False)


def test_the_journal_of_another_kind_of_run_is_left_alone(tmp_path):
    from eval.reconstruction.clip_journal import ClipJournal as ReconstructionJournal

    ReconstructionJournal(tmp_path, {}, resume=False).__exit__(None, None, None)
    before = (tmp_path / "journal.jsonl").read_bytes()
    with pytest.raises(JournalError, match="another kind of run"):
        PairJournal(tmp_path, {}, resume=True)
    assert (tmp_path / "journal.jsonl").read_bytes() == before


def test_samples_are_kept_by_their_place_in_the_part():
    kept = []

    class Samples:
        def wants(self, index: int) -> bool:
            return index < 2

        def keep(self, part: str, index: int, pair: Pair) -> None:
            kept.append((part, index, pair.pair_id))

    parts = {part: [replace(pair, part=part) for pair in runs_on(4, seed=0)] for part in ("a", "b")}
    run(plan([model(uniform())], parts, batch_size=1), samples=Samples(), progress=False)
    assert kept == [("a", 0, "0"), ("a", 1, "1"), ("b", 0, "0"), ("b", 1, "1")]


def test_the_rate_is_the_recording_s():
    rates = []

    class Watched(StubCodec):
        def tokens(self, recordings):
            rates.extend(rate for _, rate in recordings)
            return super().tokens(recordings)

    pairs = [Pair(PART, "a", replace(recording([1, 2]), rate=44_100), recording([1, 3]))]
    run(plan([model(uniform(), Watched())], pairs), progress=False)
    assert sorted(rates[1:]) == [RATE, 44_100]
