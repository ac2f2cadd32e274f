"""Runs for tests: a trainer with the toy LLM, and everything that it holds as tensors."""

from __future__ import annotations

import dataclasses

import torch
from toy_lm import ToyLM

from soundcodec_llmcodec import teachers
from soundcodec_llmcodec.nn.semantic import semantic_encoder
from soundcodec_llmcodec.train.codec_trainer import Trainer
from soundcodec_llmcodec.train.loss_names import LANGUAGE


def trainer(config, folder, *, skip_nonfinite=0, lm=None, **changes) -> Trainer:
    lm = lm or ToyLM()
    config = dataclasses.replace(config, **changes)
    given = (lm, lm.start(), "toy") if config.uses(*LANGUAGE) else None
    return Trainer(config, folder, progress=False, skip_nonfinite=skip_nonfinite, lm=given)


def tensors_of(state) -> dict[str, torch.Tensor]:
    found = {}
    for name, part in state.parts():
        if isinstance(part, torch.optim.Optimizer):
            for index, slots in part.state_dict()["state"].items():
                slots = {key: value for key, value in slots.items() if isinstance(value, torch.Tensor)}
                found |= {f"{name}.{index}.{slot}": value for slot, value in slots.items()}
        else:
            found |= {f"{name}.{key}": value for key, value in part.state_dict().items()}
    return found


def assert_equal(one, other):
    expected, found = tensors_of(one), tensors_of(other)
    assert expected.keys() == found.keys()
    for name, tensor in expected.items():
        assert torch.equal(tensor, found[name]), name


def made_up_teacher(monkeypatch, codec):
    """A teacher of the sizes of the codec's branch, as if its package were installed; returns the branch's config."""
    semantic = codec.config.semantic
    torch.manual_seed(5)
    weights = semantic_encoder(semantic, codec.config).state_dict()
    toy = teachers.Teacher(("torch",), ("torch",), lambda folders: dict(weights), "made up", "none")
    monkeypatch.setitem(teachers.TEACHERS, semantic.teacher, toy)
    return semantic
