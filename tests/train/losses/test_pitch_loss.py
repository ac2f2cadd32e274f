"""The pitch that a harmonic source learns is that of the target's own periods."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from train_runs import trainer

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import HarmonicConfig
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.codec_state import TrainState
from soundcodec_llmcodec.train.losses.pitch_loss import PitchLoss
from soundcodec_llmcodec.train.outputs import export_run

CODEC = CodecConfig(harmonics=HarmonicConfig())
FRAMES = 50


@pytest.fixture
def loss() -> PitchLoss:
    assert CODEC.harmonics is not None
    return PitchLoss(CODEC.harmonics, CODEC)


def voice(hertz: float, level: float = 0.05) -> torch.Tensor:
    """Harmonics of one pitch with fixed, mixed phases (S,)."""
    times = torch.arange(FRAMES * 320, dtype=torch.float64) / 16_000
    return level * sum(torch.sin(2 * torch.pi * hertz * k * times + k * k) for k in range(1, 9)).float()


@pytest.mark.parametrize("hertz", [62.0, 97.3, 151.0, 240.0, 431.0])
def test_a_voice_has_its_pitch(loss, hertz):
    octaves, voiced = loss.track(voice(hertz)[None])
    assert voiced[0, 2:-2].all()
    cents = 1200 * (octaves[0, 2:-2] - torch.tensor(hertz).log2())
    assert cents.abs().max() < 15


def test_noise_and_silence_have_none(loss, noise):
    waves = torch.stack((noise(FRAMES * 320), torch.zeros(FRAMES * 320), 1e-4 * voice(120.0)))
    _, voiced = loss.track(waves)
    assert voiced[0].float().mean() < 0.1
    assert not voiced[1:].any()


def test_one_frame_of_another_octave_does_not_mislead(loss):
    """A frame whose highest peak is an octave off follows its neighbours."""
    wave = voice(120.0)
    times = torch.arange(320, dtype=torch.float64) / 16_000
    wave[25 * 320 : 26 * 320] += (0.3 * torch.sin(2 * torch.pi * 240.0 * times)).float()
    octaves, voiced = loss.track(wave[None])
    assert voiced[0, 20:30].all()
    assert (1200 * (octaves[0, 20:30] - torch.tensor(120.0).log2())).abs().max() < 60


def test_the_right_pitch_costs_least_and_unvoiced_frames_cost_nothing(loss, noise):
    waves = torch.stack((voice(151.0), 0 * noise(FRAMES * 320)))
    right = int((CODEC.harmonics.hertz() - 151.0).abs().argmin())

    def at(index: int) -> torch.Tensor:
        logits = torch.zeros(2, FRAMES, CODEC.harmonics.pitches)
        logits[:, :, index] = 5.0
        return loss(waves, logits)

    assert at(right) < at(right + 2) < at(right + 12)
    logits = torch.zeros(2, FRAMES, CODEC.harmonics.pitches, requires_grad=True)
    loss(waves, logits).backward()
    assert logits.grad[0].abs().sum() > 0
    assert not logits.grad[1].any()


def test_a_clip_costs_the_same_in_every_batch(loss):
    waves = torch.stack((voice(100.0), voice(300.0), torch.zeros(FRAMES * 320)))
    logits = torch.randn(3, FRAMES, CODEC.harmonics.pitches, generator=torch.Generator().manual_seed(0))
    alone = [float(loss(waves[i : i + 1], logits[i : i + 1])) for i in range(3)]
    assert float(loss(waves, logits)) == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_a_run_learns_the_pitch_from_a_codec_without_a_source(tiny_config, tiny_codec, tmp_path):
    """All that the codec had is taken over, and only the source is new; its pitch moves, and what it makes is kept."""
    tiny_codec.save_pretrained(tmp_path / "start")
    codec = {**tiny_codec.config.to_dict(), "harmonics": {"pitches": 200, "per_octave": 60}}
    config = dataclasses.replace(
        tiny_config,
        codec=codec,
        init=str(tmp_path / "start"),
        steps=3,
        losses={"mel": LossSchedule(1.0), "pitch": LossSchedule(1.0)},
    )
    state = TrainState.create(config, torch.device("cpu"))
    held = tiny_codec.model.state_dict()
    ours = state.model.state_dict()
    assert all(torch.equal(ours[name], held[name]) for name in held)
    assert {name.split(".")[1] for name in set(ours) - set(held)} == {"harmonics"}
    run = trainer(config, tmp_path / "run")
    run.run()
    again = checkpoints.load(export_run(tmp_path / "run", ("codec",), tmp_path / "out")[0])
    assert again.config.harmonics == HarmonicConfig(pitches=200, per_octave=60)
    before = state.model.token2wav.harmonics.pitch.weight
    assert not torch.equal(again.model.token2wav.harmonics.pitch.weight, before.half().float())


def test_a_pitch_without_a_source_is_rejected(tiny_config):
    with pytest.raises(TrainConfigError, match="harmonic source"):
        dataclasses.replace(tiny_config, losses={"mel": LossSchedule(1.0), "pitch": LossSchedule(1.0)})
