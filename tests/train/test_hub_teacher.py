"""A run with HuBERT at the codebook's side, from a folder: it trains, saves nothing of the teacher, and is exported."""

from __future__ import annotations

import shutil

import pytest
import torch
from safetensors import safe_open
from train_runs import trainer

from soundcodec_llmcodec import teachers
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.outputs import export_run
from soundcodec_llmcodec.weights_files import TeacherError
from tests.tiny_speech_models import speech_folder

pytest.importorskip("transformers", reason="needs the extra lm")


def test_a_run_with_hubert_trains_resumes_and_is_exported(tiny_config, tmp_path, noise, monkeypatch):
    hubert = speech_folder(tmp_path / "hubert")
    semantic = {"teacher": str(hubert), "layers": [1, 2, 3], "block_frames": 12, "context_frames": 4}
    changes = {
        # As a user writes it: the sizes are the teacher's.
        "codec": {**CodecConfig.preset("tiny").to_dict(), "semantic": semantic},
        "teacher": SemanticConfig(teacher=str(hubert), layers=(1, 2)),
        "segment_s": 0.4,
        "steps": 2,
        "checkpoint_every": 2,
        "losses": {"mel": LossSchedule(1.0), "teacher": LossSchedule(1.0)},
    }
    run = trainer(tiny_config, tmp_path / "run", **changes)
    encoder = run.state.model.tokenizer.semantic.encoder
    frozen = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    run.run()
    assert all(torch.equal(tensor, frozen[name]) for name, tensor in encoder.state_dict().items())
    assert all(parameter.grad is None for parameter in encoder.parameters())
    assert not any(part.training for part in encoder.modules())
    held = {id(value) for group in run.state.optimizer.param_groups for value in group["params"]}
    assert not held & {id(value) for value in encoder.parameters()}
    with safe_open(tmp_path / "run" / "checkpoints" / "step-00000002" / "state.safetensors", "pt") as saved:
        assert not [name for name in saved.keys() if "semantic.encoder" in name]  # noqa: SIM118
    assert trainer(tiny_config, tmp_path / "run", **changes).state.step == 2
    monkeypatch.setattr(teachers, "MOST_PARAMETERS_INSIDE", 100)
    (folder,) = export_run(tmp_path / "run", ("codec",), tmp_path / "out")
    codec = LLMCodec.from_pretrained(folder)
    assert teachers.teacher_hash(codec.model.tokenizer.semantic.encoder.state_dict()) == run.facts["teacher"]
    clip = noise(320 * 30)
    assert torch.equal(codec.encode_samples(clip), codec.encode_samples_batch([clip, noise(4_000)])[0])
    shutil.rmtree(hubert)
    with pytest.raises(TeacherError, match="cannot be had"):
        trainer(tiny_config, tmp_path / "again", **changes)
