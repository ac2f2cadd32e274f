"""A run: batches, failures that cost one clip, codes and times, and a codec of the registry in its place."""

from __future__ import annotations

import numpy as np
import pytest

from eval import codec_models, runner
from eval.codec_models import Identity, ReconstructionError, Registered
from eval.metrics import named
from eval.scoring import Job, Scorer, score

FAST = named(["stft"])


def run(models, corpus, metrics=FAST, splits=("Speech", "Music"), **options):
    with Scorer(0) as scorer:
        return runner.run(models, corpus, splits, metrics, scorer, **{"batch_size": 2, **options})


def test_identity_is_the_upper_bound(small):
    outcome = run([Identity()], small, named(["mel", "stft", "stoi"]), splits=("Speech",))
    clips = outcome.models[0].splits["Speech"].clips
    assert [clip.clip_id for clip in clips] == ["speech-01", "speech-02", "speech-03"]
    for clip in clips:
        assert clip.failure is None
        assert clip.scores["mel"].value == 0.0
        assert clip.scores["stft"].value == 0.0
        assert clip.scores["stoi"].value == pytest.approx(1.0, abs=1e-6)


def test_a_failing_clip_costs_only_itself(small, fake_codec):
    good = fake_codec("good", lambda x: 0.9 * x)
    bad = fake_codec("bad", lambda x: 0.9 * x, broken=["speech-02"])
    outcome = run([good, bad], small)
    failures = outcome.models[1].splits["Speech"].failures
    assert [(clip.clip_id, clip.failure) for clip in failures] == [("speech-02", "ValueError: cannot do ['speech-02']")]
    assert failures[0].scores["stft"].reason.startswith("no reconstruction: ValueError")
    others = [clip for clip in outcome.models[1].overall.clips if clip.failure is None]
    assert len(others) == 4
    twins = {clip.clip_id: clip.scores for clip in outcome.models[0].overall.clips}
    assert all(clip.scores == twins[clip.clip_id] for clip in others)


def test_batches_have_the_size_asked_for(small, fake_codec):
    codec = fake_codec("x", lambda x: x)
    run([codec], small, batch_size=2)
    warm_up, *batches = codec.batches
    assert warm_up == ["warm-up"]
    assert batches == [["speech-01", "speech-02"], ["speech-03"], ["music-01", "music-02"]]


def test_codes_times_and_tokens(small, fake_codec):
    outcome = run([fake_codec("x", lambda x: x)], small)
    (model,) = outcome.models
    assert model.splits["Speech"].codes == {0, 1, 2, 3, 4}
    assert model.overall.audio_s == pytest.approx(sum(clip.seconds for clip in model.overall.clips))
    assert model.overall.real_time_factor == pytest.approx(model.overall.wall_s / model.overall.audio_s)
    first = model.splits["Speech"].clips[0]
    assert first.n_tokens == round(first.seconds * first.rate) // 320


def test_codes_of_several_levels_are_told_apart():
    assert runner._used(np.array([[0, 1, 1], [0, 0, 2]]), 4) == [0, 1, 4, 6]


def test_the_limit_is_for_each_split(small):
    outcome = run([Identity()], small, limit=1)
    assert [len(part.clips) for part in outcome.models[0].splits.values()] == [1, 1]


def test_the_fingerprint_is_of_the_clips_that_were_used(small):
    whole, again, part = (run([Identity()], small, **options) for options in ({}, {"batch_size": 3}, {"limit": 1}))
    assert whole.fingerprint == again.fingerprint != part.fingerprint


def test_two_models_of_one_name_are_refused(small):
    with pytest.raises(ValueError, match="told apart by name"):
        run([Identity(), Identity()], small)


def test_workers_give_what_this_process_gives(speech):
    jobs = [
        Job(clip.samples, clip.rate, {"x": clip.samples * np.float32(0.5)}, ("stft", "stoi")) for clip in speech[:3]
    ]
    with Scorer(2) as scorer:
        scorer.start()
        assert list(scorer.map(jobs)) == [score(job) for job in jobs]


def test_a_registered_codec_is_run_at_the_clips_rate_and_length(small, tiny_codec):
    from soundcodec_llmcodec.superb.adapter import Codec

    model = Registered(Codec(codec=tiny_codec), "tiny")
    assert model.info.checkpoint_hash == tiny_codec.weights_hash
    assert model.info.bitrate_bps == tiny_codec.config.bitrate_bps
    assert model.info.parameters > 0
    (outcome,) = run([model], small).models
    assert not outcome.overall.failures
    assert outcome.splits["Speech"].codes
    clip = next(small.clips("Music"))
    assert clip.rate == 44_100
    (made,) = model.reconstruct([clip])
    assert made.samples.shape == clip.samples.shape
    assert made.codes.shape == (1, tiny_codec.config.frames(-(-len(clip.samples) * 16_000 // 44_100)))


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (None, "nothing back"),
        ({"audio": {"array": np.zeros(5), "sampling_rate": 16_000}, "unit": [0]}, "expected samples"),
        ({"audio": {"array": np.zeros(56_000), "sampling_rate": 8000}, "unit": [0]}, "8000 Hz"),
    ],
)
def test_a_result_that_is_no_reconstruction_is_refused(result, message, speech):
    with pytest.raises(ReconstructionError, match=message):
        codec_models._checked(result, speech[0])


def test_resampled_keeps_rate_and_length(mini):
    clip = next(mini.clips("Music"))
    (made,) = codec_models.load("resample_16k").reconstruct([clip])
    assert made.samples.shape == clip.samples.shape
    assert 0 < np.abs(made.samples - clip.samples).mean() < 0.02


def test_an_unknown_codec_suggests_the_nearest():
    with pytest.raises(ValueError, match=r"no codec is called 'identiti'; did you mean 'identity'\?"):
        codec_models.load("identiti")
