"""`published.yaml` against what LLM-Codec published, and a small run of it.

Numbers are the publication's, with where they stand: `script` is run_codec_train.sh of github.com/voidful/llm-codec,
`train` its train.py (defaults of arguments that the script leaves out, or what the code fixes), `gan`, `losses` and
`schedules` its llm_codec/*.py.
"""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from toy_lm import ToyLM
from train_runs import assert_equal, tensors_of, trainer

from soundcodec_llmcodec.train.discriminators import Discriminators
from soundcodec_llmcodec.train.train_config import load_config

STEPS = 25_000  # script: --max_steps
CODEC_START = 10_000  # script: --d_only_steps
WARMUP, HORIZON = 2_000, 200_000  # train: --lr_warmup, --lr_total_steps
CODEC_RATE, EMBEDDING_RATE, DISCRIMINATOR_RATE = 5e-6, 1e-4, 1e-4  # script: --lr_enc, --lr_dec; --lr_embed; --lr_d
CLIP = 15.0  # script: --grad_clip


@pytest.fixture(scope="module")
def published():
    return load_config("published")


def published_rate(step: int, peak: float) -> float:
    """schedules: a linear warm-up, then a cosine to zero."""
    if step < WARMUP:
        return peak * (step + 1) / WARMUP
    return 0.5 * peak * (1 + math.cos(math.pi * (step - WARMUP) / (HORIZON - WARMUP)))


def test_sizes_and_data(published):
    assert published.codec == "published"
    assert published.steps == STEPS
    # script: --batch_size 1, --grad_accum_steps 10; train: --seconds 4.0
    assert (published.batch_size, published.accumulation, published.segment_s) == (10, 10, 4.0)
    assert published.data == ("openslr/librispeech_asr/clean:train.100",)  # train: load_dataset
    assert published.codec_config.codebook_size == 20_480  # train: --n_audio_tokens
    assert (published.batch_norm, published.precision) == ("frozen", "bfloat16")  # train: BN Fix; script: --mp_dtype
    assert published.ema_decay == 0  # train: the model itself is saved


def test_clips_are_drawn_evenly_reflected_and_otherwise_as_they_are(published):
    assert published.draw == "clip"  # train: DataLoader(shuffle=True)
    assert published.padding == "reflection"  # train: _collate_on_the_fly
    assert published.phase_jitter == 24  # script: --phase_jitter_max
    assert (published.gain_db, published.random_polarity, published.speeds) == ((0.0, 0.0), False, (1.0,))
    assert published.noise.share == 0
    # train: a clip's text goes with whatever crop of it, whole.
    assert (published.language.text_coverage, published.language.text_share, published.language.longest_text) == (
        0,
        0,
        0,
    )


def test_codec_optimizer(published):
    assert published.codec_start == CODEC_START
    rates = published.optimizer
    assert (rates.kind, rates.momentum) == ("sgd", 0.9)  # script: --opt_codec; train: momentum
    assert rates.weight_decay == 1e-4  # train: opt_enc, opt_dec
    assert published.language.bridge.optimizer == "codec"  # train: params_enc += gumbel_bridge.parameters()
    assert (published.clip_apart, rates.gradient_clip) == (True, CLIP)


def test_embeddings_optimizer(published):
    rates = published.language.optimizer
    assert (rates.kind, rates.betas, rates.weight_decay) == ("adamw", (0.9, 0.99), 0.0)  # train: opt_embed
    assert rates.gradient_clip == CLIP


def test_discriminators_optimizer(published):
    rates = published.adversary.optimizer
    assert (rates.kind, rates.betas, rates.weight_decay) == ("adamw", (0.8, 0.99), 0.0)  # train: opt_d
    assert rates.gradient_clip is None  # train: no clipping before opt_d.step()


@pytest.mark.parametrize("steps", [STEPS, 500])
@pytest.mark.parametrize("step", [0, 1_999, 2_000, 10_000, 24_999, 101_000])
def test_learning_rates(published, step, steps):
    """Of the script's 25,000 steps or any other number; the discriminators' stays (train: lr_d)."""
    assert published.optimizer.rate_at(step, steps) == pytest.approx(published_rate(step, CODEC_RATE))
    assert published.language.optimizer.rate_at(step, steps) == pytest.approx(published_rate(step, EMBEDDING_RATE))
    assert published.adversary.optimizer.rate_at(step, steps) == DISCRIMINATOR_RATE


def test_reconstruction_losses(published):
    # script: --lambda_mel 1.5; train: --mel_decay_steps 50000, --mel_decay_final 0.5
    assert published.weight("log_mel", 0) == 1.5
    assert published.weight("log_mel", 25_000) == pytest.approx(1.125)
    assert published.weight("log_mel", 50_000) == 0.75
    assert published.weight("scale_mel", 24_999) == 0.5  # script: --lambda_ms_mel
    # script: --lambda_mr_stft 0.5 and --lambda_cstft 0.8, which are one formula (losses)
    assert published.weight("complex_stft", 24_999) == pytest.approx(0.5 + 0.8)
    # script: --lambda_vq 1.0; AUV's own weights
    assert (published.weight("codebook", 0), published.weight("commitment", 0)) == (1.0, 0.25)
    used = {"log_mel", "scale_mel", "complex_stft", "codebook", "commitment", "adversarial", "feature_matching"}
    assert set(published.losses) == used | {"bridge", "future_tokens", "alignment", "contrast"}


def test_adversarial_losses(published):
    adversary = published.adversary
    # script: --lambda_gan, --lambda_fm_init; before the codec's start they would move nothing
    assert [published.weight("adversarial", step) for step in (9_999, 10_000)] == [0, 1.0]
    assert [published.weight("feature_matching", step) for step in (9_999, 10_000, 24_999)] == [0, 1.5, 1.5]
    assert (adversary.loss, adversary.lead) == ("hinge", CODEC_START)  # script: --gan_loss_type, --d_update_every 1
    assert (adversary.reduction, adversary.feature_error) == ("sum", "absolute")  # gan: hinge_*, feature_matching_loss
    assert (adversary.r1_gamma, adversary.r1_every) == (2.0, 16)  # script: --r1_gamma, --d_reg_every
    assert not adversary.r1_lazy  # train: d_loss + (r1_gamma * 0.5) * r1
    assert (adversary.precision, adversary.segment_s) == ("float32", 4.0)  # script: --gan_amp


def test_discriminators(published):
    """gan: DiscriminatorP and SubDiscriminator, chs = [1, 64, 128, 256, 512, 1024], then 1024 again."""
    with torch.device("meta"):
        parts = Discriminators(published.adversary.discriminators).parts
    assert [getattr(part, "period", None) for part in parts] == [2, 3, 5, 7, 11, None, None, None]
    assert [getattr(part, "halvings", None) for part in parts] == [None] * 5 + [0, 1, 2]
    for part in parts:
        assert [conv.out_channels for conv in part.convs] == [64, 128, 256, 512, 1_024, 1_024]
    kernels = [[tuple(conv.kernel_size) for conv in (*part.convs, part.last)] for part in (parts[0], parts[-1])]
    assert kernels[0] == [(5, 1)] * 5 + [(3, 1)] * 2
    assert kernels[1] == [(15,), (41,), (41,), (41,), (41,), (5,), (3,)]
    strides = [[conv.stride[0] for conv in part.convs] for part in (parts[0], parts[-1])]
    assert strides == [[1, 3, 3, 3, 3, 1], [1, 2, 2, 2, 2, 1]]


def test_bridge(published):
    bridge = published.language.bridge
    assert (bridge.mode, bridge.logits) == ("gumbel", "linear")  # train: --bridge_mode, GumbelBridge
    assert published.weight("bridge", 0) == 1.0  # train: + loss_gumbel
    # train: temp_schedule; not the rebuttal's 1.0 to 0.1, linearly over 15,000 steps
    temperatures = [bridge.temperature_at(step) for step in (0, 10_000, 20_000, 24_999)]
    assert temperatures == pytest.approx([1.0, 0.65, 0.3, 0.3])


def test_language_objectives(published):
    language = published.language
    assert (language.model, language.precision) == ("Qwen/Qwen3-4B-Instruct-2507", "bfloat16")  # train: --qwen_model
    assert (language.future_heads, language.targets, language.rows) == (5, "codes", "free")  # train: --ftp_k
    assert language.head_spread == 1.0  # train: medusa_heads begin as the LLM head's own rows
    assert language.share == 1.0
    # script: --lambda_ftp 0.2, --ftp_delay_steps 10000, --ftp_ramp 2000
    assert [published.weight("future_tokens", step) for step in (9_999, 10_999, 12_000)] == [0, 0.1, 0.2]
    # script: --lambda_sa_cosine 0.1, --lambda_sa_contrast 0.05, --sa_delay_steps 12000, --sa_warmup 2000
    assert [published.weight("alignment", step) for step in (11_999, 14_000)] == [0, 0.1]
    assert [published.weight("contrast", step) for step in (11_999, 14_000)] == [0, 0.05]
    alignment = language.alignment
    # train: --sa_queue_size; script: --sa_logit_scale; train: --sa_label_smoothing
    assert (alignment.bank, alignment.logit_scale, alignment.label_smoothing) == (512, 5.0, 0.1)
    assert alignment.layers(36) == tuple(range(13, 29))  # train: hidden_states[1:][L // 3 : int(0.8 L)]


@pytest.fixture
def small(text_folder):
    """The recipe with a tiny codec and its times divided by 2,500, on four clips."""
    losses = {"adversarial": {"start": 4}, "feature_matching": {"start": 4}, "future_tokens": {"start": 4, "ramp": 1}}
    losses |= {"alignment": {"start": 5, "ramp": 1}, "contrast": {"start": 5, "ramp": 1}}
    values = {"codec": "tiny", "data": [str(text_folder)], "validation": [], "steps": 10, "segment_s": 0.8}
    values |= {"batch_size": 4, "accumulation": 4, "codec_start": 4, "losses": losses, "precision": "float32"}
    values["optimizer"] = {"warmup": 1, "horizon": 80, "learning_rate": 1e-3}
    values["adversary"] = {"lead": 4, "discriminators": {"channels": 1}}
    values["language"] = {"optimizer": {"warmup": 1, "horizon": 80}}
    return load_config("published", values)


class ListeningLM(ToyLM):
    """Keeps the texts that it is given."""

    def __init__(self) -> None:
        super().__init__(bos=False)  # as Qwen
        self.texts: list[str] = []

    def embed_text(self, texts):
        self.texts += texts
        return super().embed_text(texts)


def test_a_small_run_moves_what_the_published_one_moves_when_it_does(small, tmp_path):
    lm = ListeningLM()
    run = trainer(small, tmp_path, lm=lm)
    before = {name: tensor.clone() for name, tensor in tensors_of(run.state).items()}

    def moved() -> set[str]:
        names = {
            name
            for name, tensor in tensors_of(run.state).items()
            if not torch.equal(tensor, before.get(name, tensor + 1))
        }
        return {name.split(".")[0] if not name.startswith("language.") else name.split(".")[1] for name in names}

    for _ in range(4):
        values = run.step().values
        assert {"discriminator", "bridge"} <= set(values)
        assert "adversarial" not in values
    # Embeddings and heads could, but nothing is asked of them yet.
    assert moved() == {"discriminators", "discriminators_optimizer", "usage"}
    for _ in range(2):
        values = run.step().values
    assert {"adversarial", "feature_matching", "future_tokens", "alignment", "contrast"} <= set(values)
    assert moved() >= {"model", "average", "optimizer", "bridge", "heads", "audio_embeddings", "language_optimizer"}
    model = run.state.model.state_dict()
    assert all(torch.equal(tensor, model[name]) for name, tensor in run.state.average.state_dict().items())
    buffers = [name for name in model if "running" in name]
    assert buffers
    assert all(torch.equal(model[name], before[f"model.{name}"]) for name in buffers)


def test_a_small_run_sees_every_clip_once_a_round_with_its_whole_text(small, tmp_path):
    """Four clips, four a step: each step is a round. The longest clip is half cropped away; its words are not."""
    lm = ListeningLM()
    run = trainer(small, tmp_path, lm=lm)
    for step in range(8):
        batch = run.batch(step)
        assert sorted(batch.ids) == sorted(run.corpus.ids)
        texts = dict(zip(run.corpus.ids, run.corpus.texts, strict=True))
        assert batch.texts == tuple(texts[name] for name in batch.ids)
    for _ in range(6):
        run.step()
    assert set(lm.texts) == {"one two", "three", "-", "four five six"}
    # With fewer words than they have, fewer are read.
    cut = dataclasses.replace(small, language=dataclasses.replace(small.language, longest_text=2))
    lm = ListeningLM()
    run = trainer(cut, tmp_path / "cut", lm=lm)
    for _ in range(6):
        run.step()
    assert set(lm.texts) == {"one two", "three", "-", "four five"}


def test_a_small_run_is_resumed_bit_for_bit(small, tmp_path):
    whole = trainer(small, tmp_path / "whole")
    whole.run()
    first = trainer(small, tmp_path / "cut")
    for _ in range(3):
        first.step()
    first.save()
    torch.manual_seed(99)
    resumed = trainer(small, tmp_path / "cut")
    resumed.run()
    assert_equal(whole.state, resumed.state)
