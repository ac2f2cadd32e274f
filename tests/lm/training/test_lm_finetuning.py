"""Fine-tuning a causal LM: what trains, what stays to the byte, and that what is saved is what was trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_lms import SPARE, make_model, make_tokenizer

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.extend import ExtendedLM, extend_lm
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.lm.training.finetuning import extended_network
from soundcodec_llmcodec.lm.training.lm_config import FinetuneConfig, make_config
from soundcodec_llmcodec.lm.training.lm_state import optimizer_of
from soundcodec_llmcodec.lm.training.network_building import base_facts, finished
from soundcodec_llmcodec.lm.training.packing import collate, packed
from soundcodec_llmcodec.lm.training.token_clips import Clips
from soundcodec_llmcodec.lm.weights import output_head

KINDS = ["qwen3_tied", "qwen3_untied", "gpt2"]
SOURCE = TokenSource("toy", "0" * 64, 16000, 320, 40)


def extended_lm(kind: str) -> ExtendedLM:
    tokenizer = make_tokenizer("<|begin|>" if kind == "gpt2" else None)
    rows = len(tokenizer) + (0 if kind == "gpt2" else SPARE)
    return extend_lm(make_model(kind, rows), tokenizer, 40)


def trained_network(kind: str, tune: str, steps: int = 4):
    """A network after some steps on random clips, the losses, and the LM as it was before."""
    before = extended_lm(kind)
    config = make_config(
        {"start": "finetune", "finetune": {"tune": tune, "lora": {"rank": 2}}, "optimizer": {"learning_rate": 0.05}}
    )
    torch.manual_seed(0)  # PEFT draws its matrices
    network = extended_network(extended_lm(kind), config.finetune)
    optimizer = optimizer_of(network, config)
    clips = Clips.of(SOURCE, [np.arange(n) * 3 % 40 for n in (5, 9, 14)])
    batch = collate(packed(network.layout.positions(clips.lengths), 20, 0), clips, network.layout)
    network.train()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = network(batch)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return network, config, losses, before, clips, batch


@pytest.mark.parametrize("kind", KINDS)
def test_audio_embeddings_alone_change_the_codes_rows_alone(kind):
    network, config, losses, before, *_ = trained_network(kind, "audio_embeddings")
    assert losses[-1] < losses[0]
    done = finished(network, config)
    assert done.spec == before.spec
    codes = slice(done.spec.first_id, done.spec.end_id)
    old, new = before.model.state_dict(), done.model.state_dict()
    assert old.keys() == new.keys()
    tables = [name for name in old if old[name].shape[0] == before.model.get_input_embeddings().num_embeddings]
    assert len(tables) == 2
    for name in tables:
        assert (old[name][codes] != new[name][codes]).any(dim=1).all()
    for name in tables:  # twice the same tensor where they are tied
        old[name][codes] = new[name][codes] = 0
    assert [name for name in old if not torch.equal(old[name], new[name])] == []


@pytest.mark.parametrize("kind", KINDS)
def test_low_rank_changes_and_code_rows_survive_merging_saving_and_loading(kind, tmp_path):
    pytest.importorskip("peft")
    network, config, losses, before, clips, batch = trained_network(kind, "lora")
    assert losses[-1] < losses[0]
    assert any("lora" in name for name in network.trained())
    network.eval()
    expected, expected_full = (part.clone() for part in network.nll(batch))
    done = finished(network, config)
    assert not any("lora" in name for name in done.model.state_dict())
    lm = NeuralTokenLM(
        done.model,
        done.spec,
        SOURCE,
        bos_id=done.bos_id,
        eos_id=done.eos_id,
        name="tuned",
        tokenizer=done.tokenizer,
    )
    lm.save(tmp_path / "lm")
    loaded = NeuralTokenLM.load(tmp_path / "lm")
    scores = loaded.score([clips.clip(index) for index in range(3)])
    for part, full in ((expected, False), (expected_full, True)):
        found = sum((s.full_nll if full else s.audio_nll).sum() for s in scores)
        assert found == pytest.approx(float(part.sum()), rel=1e-5)
    assert (output_head(loaded.model).weight is loaded.model.get_input_embeddings().weight) == (kind != "qwen3_untied")
    text = before.model.get_input_embeddings().weight[: before.spec.first_id]
    assert torch.equal(loaded.model.get_input_embeddings().weight[: before.spec.first_id], text)
    assert ExtendedLM.load(tmp_path / "lm").spec == before.spec


def test_all_weights_train():
    network, config, losses, before, *_ = trained_network("qwen3_tied", "all")
    assert losses[-1] < losses[0]
    assert len(network.trained()) == len(list(network.parameters()))
    old, new = before.model.state_dict(), finished(network, config).model.state_dict()
    assert all(not torch.equal(old[name], new[name]) for name in old)


def test_a_tied_model_has_one_set_of_rows_and_an_untied_two():
    one = extended_network(extended_lm("qwen3_tied"), FinetuneConfig(tune="audio_embeddings"))
    two = extended_network(extended_lm("qwen3_untied"), FinetuneConfig(tune="audio_embeddings"))
    assert [list(p.shape) for p in one.trained().values()] == [[40, 32]]
    assert [list(p.shape) for p in two.trained().values()] == [[40, 32]] * 2


def test_what_does_not_train_identifies_the_base():
    config = make_config({"start": "finetune", "finetune": {"tune": "audio_embeddings"}})
    networks = [extended_network(extended_lm("qwen3_tied"), config.finetune) for _ in range(3)]
    with torch.no_grad():
        networks[2].lm.model.norm.weight[0] += 1
    facts = [base_facts(config, network) for network in networks]
    assert facts[0] == facts[1] != facts[2]


def test_gradient_checkpointing_changes_no_gradient():
    gradients = []
    for checkpointed in (False, True):
        settings = FinetuneConfig(tune="audio_embeddings", gradient_checkpointing=checkpointed)
        network = extended_network(extended_lm("qwen3_tied"), settings).train()
        clips = Clips.of(SOURCE, [np.arange(9)])
        network(collate(packed(network.layout.positions(clips.lengths), 20, 0), clips, network.layout)).backward()
        gradients.append(network.rows.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1])
