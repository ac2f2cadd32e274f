"""A run: batches, failures that cost one clip, codes and times, and what a journal and a cache spare it."""

from __future__ import annotations

import json

import numpy as np
import pytest

from eval.harness.journal import JournalError
from eval.reconstruction import peak_memory, reconstruction_run, scoring
from eval.reconstruction.clip_journal import ClipJournal
from eval.reconstruction.clip_samples import ClipSamples
from eval.reconstruction.codecs import Identity
from eval.reconstruction.metrics import named
from eval.reconstruction.score_cache import Cache
from eval.reconstruction.scoring import Scorer
from soundcodec_llmcodec.data import Split


def run(plan, **parts):
    with Scorer(0) as scorer:
        return reconstruction_run.run(plan, scorer, **parts)


def coded(codec):
    """The clips that a fake codec was given, without the warm-up."""
    return [clip_id for batch in codec.batches for clip_id in batch if clip_id != "warm-up"]


def test_identity_is_the_upper_bound(small, plan):
    outcome = run(plan([Identity()], small, metrics=named(["mel", "stft", "stoi"]), splits=("Speech",)))
    clips = outcome.models[0].splits["Speech"].clips
    assert [clip.clip_id for clip in clips] == ["speech-01", "speech-02", "speech-03"]
    for clip in clips:
        assert clip.failure is None
        assert clip.scores["mel"].value == 0.0
        assert clip.scores["stft"].value == 0.0
        assert clip.scores["stoi"].value == pytest.approx(1.0, abs=1e-6)


def test_a_failing_clip_costs_only_itself(small, plan, fake_codec):
    good = fake_codec("good", lambda x: 0.9 * x)
    bad = fake_codec("bad", lambda x: 0.9 * x, broken=["speech-02"])
    outcome = run(plan([good, bad], small))
    failures = outcome.models[1].splits["Speech"].failures
    assert [(clip.clip_id, clip.failure) for clip in failures] == [("speech-02", "ValueError: cannot do ['speech-02']")]
    assert failures[0].scores["stft"].reason.startswith("no reconstruction: ValueError")
    others = [clip for clip in outcome.models[1].overall.clips if clip.failure is None]
    assert len(others) == 4
    twins = {clip.clip_id: clip.scores for clip in outcome.models[0].overall.clips}
    assert all(clip.scores == twins[clip.clip_id] for clip in others)


def test_batches_are_of_the_size_asked_for_and_of_like_lengths(mini, plan, fake_codec):
    codec = fake_codec("x", lambda x: x)
    outcome = run(plan([codec], mini, splits=("Speech",), batch_size=3))
    warm_up, *batches = codec.batches
    assert warm_up == ["warm-up"] * 3
    batches = [batch for batch in batches if "warm-up" not in batch]
    assert [len(batch) for batch in batches] == [3, 3, 3, 3]
    seconds = {clip.clip_id: clip.seconds for clip in outcome.models[0].overall.clips}
    in_turn = [seconds[clip_id] for batch in batches for clip_id in batch]
    assert in_turn == sorted(in_turn, reverse=True)
    assert list(seconds) == [clip.clip_id for clip in mini.clips("Speech")]  # the results are in the data set's order


@pytest.mark.skipif(peak_memory._glibc() is None, reason="memory is measured with glibc")
@pytest.mark.parametrize("order", [("small", "large", "small again"), ("large", "small again", "small")])
def test_memory_does_not_depend_on_the_order(small, plan, fake_codec, order):
    """Blocks of a size that the allocator keeps once another model gave them back: the next one seemed to take none."""

    def taking(name):
        blocks = 400 if name == "large" else 100
        return fake_codec(name, lambda x: sum([np.ones(25_000) for _ in range(blocks)], np.zeros(25_000))[:1] * 0 + x)

    found = run(plan([taking(name) for name in order], small, splits=("Speech",)))
    peaks = {model.info.name: model.overall.usage.peak_mib for model in found.models}
    assert peaks["large"] == pytest.approx(76, abs=6)  # 400 blocks of 200 kB
    assert peaks["small"] == pytest.approx(19, abs=4)
    assert peaks["small again"] == pytest.approx(peaks["small"], abs=3)


def test_codes_times_and_tokens(small, plan, fake_codec):
    (model,) = run(plan([fake_codec("x", lambda x: x)], small)).models
    speech = model.splits["Speech"]
    tokens = sum(round(clip.seconds * clip.rate) // 320 for clip in speech.clips)
    assert set(speech.usage.codes) == {0, 1, 2, 3, 4}
    assert sum(speech.usage.codes.values()) == tokens == sum(clip.n_tokens for clip in speech.clips)
    assert speech.usage.timed_s == pytest.approx(sum(clip.seconds for clip in speech.clips))
    assert speech.encode_rtf == pytest.approx(speech.usage.encode_s / speech.usage.timed_s)
    assert model.overall.audio_s == pytest.approx(sum(clip.seconds for clip in model.overall.clips))


def test_the_limit_is_for_each_split(small, plan):
    outcome = run(plan([Identity()], small, limit=1))
    assert [len(part.clips) for part in outcome.models[0].splits.values()] == [1, 1]


def test_the_fingerprint_is_of_the_clips_that_were_used(small, plan):
    whole, again, part = (
        run(plan([Identity()], small, **options)) for options in ({}, {"batch_size": 3}, {"limit": 1})
    )
    assert whole.fingerprint == again.fingerprint != part.fingerprint


def test_two_models_of_one_name_are_refused(small, plan):
    with pytest.raises(ValueError, match="told apart by name"):
        plan([Identity(), Identity()], small)


def test_a_run_that_was_stopped_goes_on_with_what_is_missing(small, plan, fake_codec, tmp_path):
    whole = run(plan([fake_codec("x", lambda x: 0.9 * x)], small, batch_size=1))
    stopping = fake_codec("x", lambda x: 0.9 * x)

    def stop(clips, encode=stopping.encode):
        if len(coded(stopping)) == 3:
            raise KeyboardInterrupt
        return encode(clips)

    stopping.encode = stop
    with ClipJournal(tmp_path, {"run": 1}, resume=False) as journal, pytest.raises(KeyboardInterrupt):
        run(plan([stopping], small, batch_size=1), journal=journal)
    resumed = fake_codec("x", lambda x: 0.9 * x)
    with ClipJournal(tmp_path, {"run": 1}, resume=True) as journal:
        outcome = run(plan([resumed], small, batch_size=1), journal=journal)
    assert len(coded(stopping)) == 3
    assert sorted(coded(stopping) + coded(resumed)) == sorted(clip.clip_id for clip in whole.models[0].overall.clips)
    assert outcome.models[0].overall.clips == whole.models[0].overall.clips
    assert outcome.models[0].overall.usage.codes == whole.models[0].overall.usage.codes
    assert outcome.fingerprint == whole.fingerprint


def test_a_finished_run_goes_on_without_any_coding(small, plan, fake_codec, tmp_path):
    with ClipJournal(tmp_path, {}, resume=False) as journal:
        first = run(plan([fake_codec("x", lambda x: x)], small), journal=journal)
    idle = fake_codec("x", lambda x: x)
    with ClipJournal(tmp_path, {}, resume=True) as journal:
        again = run(plan([idle], small), journal=journal)
    assert idle.batches == []
    assert again.models[0].overall.clips == first.models[0].overall.clips
    assert again.models[0].overall.usage == first.models[0].overall.usage


def test_clips_that_changed_or_went_away_are_not_mixed_in(small, mini, plan, tmp_path):
    with ClipJournal(tmp_path, {}, resume=False) as journal:
        run(plan([Identity()], small), journal=journal)
    with ClipJournal(tmp_path, {}, resume=True) as journal, pytest.raises(JournalError, match="no longer has 2 clips"):
        run(plan([Identity()], small, splits=("Speech",)), journal=journal)
    # What is said in a clip decides its word errors, so that another text makes another clip.
    for change, message in (({"text": "other words"}, "another one"), ({"source": "elsewhere"}, "another one")):
        with ClipJournal(tmp_path, {}, resume=True) as journal, pytest.raises(JournalError, match=message):
            run(
                plan([Identity()], changed(small, lambda rows, c=change: [{**rows[0], **c}, *rows[1:]])),
                journal=journal,
            )
    with ClipJournal(tmp_path, {}, resume=True) as journal, pytest.raises(JournalError, match="in another place"):
        run(plan([Identity()], changed(small, lambda rows: rows[::-1])), journal=journal)


def changed(corpus, change):
    """The corpus with other rows of speech."""
    rows = change(list(corpus.splits["Speech"].rows()))
    return type(corpus)(corpus.name, corpus.label, False, {**corpus.splits, "Speech": Split(len(rows), lambda: rows)})


@pytest.mark.parametrize("error", [KeyError, TypeError, AttributeError, MemoryError, ZeroDivisionError, AssertionError])
def test_whatever_a_codec_raises_costs_one_clip(small, plan, fake_codec, error):
    codec = fake_codec("x", lambda x: x)

    def odd(clips, encode=codec.encode):
        if any(clip.clip_id == "speech-02" for clip in clips):
            raise error("oddly")
        return encode(clips)

    codec.encode = odd
    (failure,) = run(plan([codec], small)).models[0].overall.failures
    assert (failure.clip_id, failure.failure[: len(error.__name__)]) == ("speech-02", error.__name__)


def test_a_codec_cannot_write_to_its_input(small, plan, fake_codec):
    """As it would make the reference its own reconstruction, for every other codec too."""
    codec = fake_codec("x", lambda x: x)

    def writing(coded, clips):
        clips[0].samples[:] = 0
        return [item.payload for item in coded]

    codec.decode = writing
    model = run(plan([codec], small)).models[0]
    assert len(model.overall.failures) == 5
    assert "read-only" in model.overall.failures[0].failure


def test_what_may_go_better_the_next_time_is_not_cached(small, plan, fake_codec, tmp_path, monkeypatch):
    died = {"x": {"stft": scoring.DIED}}
    monkeypatch.setattr(reconstruction_run.Scorer, "map", lambda self, jobs: [died for _ in jobs])
    with Cache(tmp_path, "environment") as cache:
        run(plan([fake_codec("x", lambda x: x)], small), cache=cache)
        monkeypatch.undo()
        again = fake_codec("x", lambda x: x)
        outcome = run(plan([again], small), cache=cache)
    assert len(coded(again)) == 5
    assert all(clip.scores["stft"].value == 0.0 for clip in outcome.models[0].overall.clips)


def test_a_cache_spares_coding_and_changes_no_score(small, plan, fake_codec, tmp_path):
    first, second, other = (fake_codec(name, lambda x: 0.9 * x) for name in ("x", "x", "y"))
    with Cache(tmp_path, "environment") as cache:
        fresh = run(plan([first], small), cache=cache)
        known = run(plan([second, other], small), cache=cache)
    assert coded(second) == []
    assert len(coded(other)) == 5
    assert known.models[0].overall.clips == fresh.models[0].overall.clips
    assert known.models[0].overall.usage.codes == fresh.models[0].overall.usage.codes
    # Nothing was timed, so there is no real-time factor to show.
    assert known.models[0].overall.encode_rtf is None
    assert fresh.models[0].overall.encode_rtf is not None


def test_failures_are_not_cached(small, plan, fake_codec, tmp_path):
    with Cache(tmp_path, "environment") as cache:
        run(plan([fake_codec("x", lambda x: x, broken=["speech-02"])], small), cache=cache)
        mended = fake_codec("x", lambda x: x)
        outcome = run(plan([mended], small), cache=cache)
    assert coded(mended) == ["speech-02"]
    assert not outcome.models[0].overall.failures


def test_clips_to_listen_to_are_kept_even_where_scores_are_known(small, plan, fake_codec, tmp_path):
    with Cache(tmp_path / "cache", "environment") as cache:
        run(plan([fake_codec("x", lambda x: 0.5 * x)], small), cache=cache)
        codec = fake_codec("x", lambda x: 0.5 * x)
        samples = ClipSamples(tmp_path / "run", 1)
        run(plan([codec], small), cache=cache, samples=samples)
    assert sorted(coded(codec)) == ["music-01", "speech-01"]
    assert samples.files_of("Speech", 1, ["x"]) is None
    found = samples.files_of("Speech", 0, ["x", "absent"])
    assert found == {"original": "samples/Speech-0000.flac", "models": {"x": "samples/Speech-0000-x.flac"}}


def test_unreadable_clips_fail_for_every_model_and_are_never_coded(small, plan, fake_codec):
    rows = list(small.splits["Speech"].rows())
    rows[1] = {**rows[1], "audio": {"bytes": b"no sound", "path": "x.flac"}}
    corpus = type(small)("broken", "broken", False, {"Speech": type(small.splits["Speech"])(3, lambda: rows)})
    codec = fake_codec("x", lambda x: x)
    (model,) = run(plan([codec], corpus)).models
    (failure,) = model.overall.failures
    assert failure.failure.startswith("unreadable audio")
    assert failure.clip_id not in coded(codec)
    assert json.dumps(failure.row(), allow_nan=False)


def test_estimates_are_scored_at_the_clips_rate(mini, plan):
    corpus = type(mini)("m", "m", False, {"Music": mini.splits["Music"]})
    (model,) = run(plan([Identity()], corpus, limit=2)).models
    assert {clip.rate for clip in model.overall.clips} == {44_100, 48_000}
    assert all(clip.scores["stft"].value == 0.0 for clip in model.overall.clips)


def test_text_reaches_the_metrics(mini, plan, monkeypatch):
    heard = []
    monkeypatch.setattr(
        reconstruction_run.Scorer, "map", lambda self, jobs: heard.extend(jobs) or [_nothing(job) for job in jobs]
    )
    run(plan([Identity()], mini, splits=("Speech",), limit=2))
    told = {clip.text for clip in mini.clips("Speech", 2)}
    assert None not in told
    assert {job.text for job in heard} == told
    assert {job.lang for job in heard} == {clip.lang for clip in mini.clips("Speech", 2)}


def _nothing(job):
    from eval.reconstruction.metrics import Score

    return {name: {metric: Score(np.pi) for metric in job.metrics} for name in job.estimates}
