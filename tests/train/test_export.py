"""What a run gives away comes back as it was: codec, published `.pt`, bundle, language model; and its card."""

from __future__ import annotations

import copy
import json
import math

import pytest
import torch
from torch import nn

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.model import CodecModel
from soundcodec_llmcodec.train.codec_export import (
    RunExportError,
    export_bundle,
    export_codec,
    export_lm,
    export_published,
    load_bundle,
)


def rounded(codec: LLMCodec, dtype: torch.dtype) -> CodecModel:
    """A copy whose weights went through `dtype`."""
    model = copy.deepcopy(codec.model)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor.to(dtype).float())
    return model


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=["float32", "float16"])
def test_export_reload_encode_gives_equal_tokens(tiny_codec, tmp_path, noise, dtype):
    folder = export_codec(
        tmp_path / "export", tiny_codec.config, tiny_codec.model, {"trained": {"steps": 3}}, dtype, "# card\n"
    )
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    loaded = LLMCodec.from_pretrained(folder)
    assert checkpoints.load(folder).info == {"trained": {"steps": 3}}
    expected = LLMCodec(tiny_codec.config, rounded(tiny_codec, dtype))
    for seed in range(3):
        tokens = loaded.encode_samples(noise(8_000, seed))
        assert torch.equal(tokens, expected.encode_samples(noise(8_000, seed)))
        if dtype == torch.float32:
            assert torch.equal(tokens, tiny_codec.encode_samples(noise(8_000, seed)))


def test_an_export_replaces_an_earlier_one_and_nothing_else(tiny_codec, tmp_path):
    arguments = (tiny_codec.config, tiny_codec.model, {})
    folder = export_codec(tmp_path / "export", *arguments, card="# old\n")
    export_codec(folder, *arguments)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    foreign = tmp_path / "mine"
    foreign.mkdir()
    (foreign / "thesis.txt").write_text("years of work")
    with pytest.raises(RunExportError, match="no earlier export"):
        export_codec(foreign, *arguments)
    (folder / "checkpoints").mkdir()  # somebody trains in there
    with pytest.raises(RunExportError, match="no earlier export"):
        export_codec(folder, *arguments)
    with pytest.raises(RunExportError, match="no earlier export"):
        export_bundle(folder, {"model": tiny_codec.model}, {})
    (folder / "checkpoints").rmdir()
    (folder / "notes.txt").write_text("what it sounds like")  # a file is as good as a folder
    with pytest.raises(RunExportError, match="holds more than that"):
        export_codec(folder, *arguments)
    assert (folder / "notes.txt").read_text() == "what it sounds like"
    assert (foreign / "thesis.txt").read_text() == "years of work"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "mine"]


def test_an_export_that_fails_leaves_what_was_there(tiny_codec, tmp_path):
    folder = export_codec(tmp_path / "export", tiny_codec.config, tiny_codec.model, {"run": 1})
    with pytest.raises(TypeError):
        export_codec(folder, tiny_codec.config, tiny_codec.model, {"run": object()})
    assert checkpoints.load(folder).info == {"run": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["export"]


@pytest.fixture
def small_published(monkeypatch):
    """A random codec of the published preset, which is made small for the test."""
    config = CodecConfig(hidden_size=64, encoder_layers=1, decoder_layers=1, codebook_size=64)
    monkeypatch.setattr(CodecConfig, "preset", classmethod(lambda cls, name: config))
    torch.manual_seed(0)
    return LLMCodec(config, CodecModel(config).eval().requires_grad_(False))


def test_a_published_file_is_a_plain_state_dict_that_loads_strictly(small_published, tmp_path, noise):
    path = export_published(tmp_path / "llm-codec.pt", small_published.model)
    assert [file.name for file in tmp_path.iterdir()] == ["llm-codec.pt"]
    tensors = torch.load(path, weights_only=True)
    assert type(tensors) is dict
    assert {name.split(".")[0] for name in tensors} == {"tokenizer", "token2wav"}
    projection = "tokenizer.vq.quantizers.0.in_proj.parametrizations.weight.original"
    assert {f"{projection}0", f"{projection}1"} <= set(tensors)
    assert not any(tensor.requires_grad or isinstance(tensor, nn.Parameter) for tensor in tensors.values())
    CodecModel(small_published.config).load_state_dict(tensors, strict=True)
    loaded = LLMCodec.from_pretrained(path)
    assert torch.equal(loaded.encode_samples(noise(5_000)), small_published.encode_samples(noise(5_000)))


def test_a_published_file_of_another_codec_says_what_it_is(tiny_codec, tmp_path, noise):
    path = export_published(tmp_path / "llm-codec.pt", tiny_codec.model, torch.float16)
    loaded = LLMCodec.from_pretrained(path)
    assert loaded.config == tiny_codec.config
    expected = LLMCodec(tiny_codec.config, rounded(tiny_codec, torch.float16))
    assert torch.equal(loaded.encode_samples(noise(5_000)), expected.encode_samples(noise(5_000)))
    export_published(path, tiny_codec.model)  # once more, beside its own config
    assert LLMCodec.from_pretrained(path).weights_hash == tiny_codec.weights_hash


def test_a_published_file_is_not_put_beside_another_config(tiny_codec, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    with pytest.raises(RunExportError, match=r"config\.json"):
        export_published(tmp_path / "llm-codec.pt", tiny_codec.model)
    assert (tmp_path / "config.json").read_text() == '{"model_type": "llama"}'
    assert not (tmp_path / "llm-codec.pt").exists()


def trained_parts(seed: int) -> dict[str, nn.Module | torch.optim.Optimizer]:
    """Two networks and their optimizers, of two kinds, after a few steps."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    adversary = nn.Linear(1, 1)
    groups = [{"params": [p], "lr": 0.01 * (i + 1)} for i, p in enumerate(model.parameters())]
    first, second = torch.optim.AdamW(groups, betas=(0.8, 0.99)), torch.optim.SGD(adversary.parameters(), 0.1, 0.9)
    for _ in range(3):
        step(model, adversary, first, second)
    return {"model": model, "optimizer": first, "discriminators": adversary, "discriminators_optimizer": second}


def step(model, adversary, first, second) -> None:
    for optimizer in (first, second):
        optimizer.zero_grad()
    adversary(model(torch.arange(12.0).reshape(4, 3) / 12)).square().mean().backward()
    for optimizer in (first, second):
        optimizer.step()


def test_fine_tuning_goes_on_from_a_bundle_as_from_the_run(tmp_path):
    parts = trained_parts(0)
    folder = export_bundle(tmp_path / "bundle", parts, {"step": 3, "config": {"codec": "tiny"}})
    assert sorted(path.name for path in folder.iterdir()) == ["bundle.json", "bundle.safetensors"]
    bundle = load_bundle(folder)
    assert bundle.facts == {"step": 3, "config": {"codec": "tiny"}}
    restored = trained_parts(1)
    bundle.restore(restored)
    for found in (parts, restored):
        step(found["model"], found["discriminators"], found["optimizer"], found["discriminators_optimizer"])
    for name in ("model", "discriminators"):
        expected = parts[name].state_dict()
        for key, tensor in restored[name].state_dict().items():
            assert torch.equal(tensor, expected[key]), key
    assert [group["lr"] for group in restored["optimizer"].param_groups] == [
        group["lr"] for group in parts["optimizer"].param_groups
    ]


def test_a_bundle_that_does_not_fit_is_rejected(tmp_path):
    parts = trained_parts(0)
    with pytest.raises(RunExportError, match=r"dot, got a\.b"):
        export_bundle(tmp_path / "bundle", {"a.b": parts["model"]}, {})
    with pytest.raises(RunExportError, match=r"no bundle\.json"):
        load_bundle(tmp_path)
    folder = export_bundle(tmp_path / "bundle", {"model": parts["model"]}, {})
    with pytest.raises(RunExportError, match="has no prior; it has model"):
        load_bundle(folder).restore({"prior": nn.Linear(1, 1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        load_bundle(folder).restore({"model": nn.Sequential(nn.Linear(3, 5), nn.BatchNorm1d(5), nn.Linear(5, 1))})
    weights = folder / "bundle.safetensors"
    weights.write_bytes(weights.read_bytes()[:-8])
    with pytest.raises(RunExportError, match="damaged"):
        load_bundle(folder)
    described = json.loads((folder / "bundle.json").read_text())
    (folder / "bundle.json").write_text(json.dumps({**described, "format_version": 9}))
    with pytest.raises(RunExportError, match="version 9"):
        load_bundle(folder)


def test_facts_that_json_has_no_word_for_are_rejected(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        export_bundle(tmp_path / "bundle", {"model": nn.Linear(1, 1)}, {"loss": math.nan})
    assert list(tmp_path.iterdir()) == []


@pytest.fixture(params=[True, False], ids=["tied", "untied"])
def extended(request):
    """A random language model of a few thousand weights with 12 codes, and more rows than its tokenizer has ids."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    from soundcodec_llmcodec.lm.extend import extend_lm

    words = {word: index for index, word in enumerate(["<unk>", "a", "word", "or", "two"])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="<unk>")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.LlamaConfig(vocab_size=8, num_key_value_heads=2, tie_word_embeddings=request.param, **sizes)
    return extend_lm(transformers.LlamaForCausalLM(config).eval(), tokenizer, 12)


@torch.inference_mode()
def test_a_language_model_comes_back_with_its_trained_rows(extended, tmp_path):
    from soundcodec_llmcodec.lm.extend import ExtendedLM, audio_embeddings

    before = [rows.clone() for rows in audio_embeddings(extended)]
    generator = torch.Generator().manual_seed(1)
    rows, head = (torch.randn(12, 16, generator=generator) for _ in range(2))
    folder = export_lm(tmp_path / "lm", extended, rows, None if extended.is_tied else head, "# card\n")
    assert (folder / "README.md").read_text() == "# card\n"
    loaded = ExtendedLM.load(folder)
    assert loaded.is_tied == extended.is_tied
    assert loaded.spec == extended.spec
    assert [torch.equal(*pair) for pair in zip(audio_embeddings(extended), before, strict=True)] == [True, True]
    found = audio_embeddings(loaded)
    assert torch.equal(found[0], rows)
    assert torch.equal(found[1], rows if extended.is_tied else head)
    text = "a word <CODEC_3><CODEC_11> or two"
    ids = loaded.tokenizer(text, return_tensors="pt")["input_ids"]
    assert torch.equal(ids, extended.tokenizer(text, return_tensors="pt")["input_ids"])
    assert loaded.spec.codes(ids[0, 2:4]).tolist() == [3, 11]
    expected = copy.deepcopy(extended.model)
    place = slice(extended.spec.first_id, extended.spec.end_id)
    expected.get_input_embeddings().weight[place] = rows
    if not extended.is_tied:
        expected.get_output_embeddings().weight[place] = head
    assert torch.equal(loaded.model.eval()(ids).logits, expected(ids).logits)
    export_lm(folder, loaded)  # once more, with what it has
    assert torch.equal(audio_embeddings(ExtendedLM.load(folder))[0], rows)
    assert [path.name for path in tmp_path.iterdir()] == ["lm"]


def test_rows_that_do_not_fit_leave_no_folder(extended, tmp_path):
    with pytest.raises(ValueError, match=r"\(12, 16\)"):
        export_lm(tmp_path / "lm", extended, torch.zeros(11, 16))
    with pytest.raises(RunExportError, match="without embeddings"):
        export_lm(tmp_path / "lm", extended, head=torch.zeros(12, 16))
    assert list(tmp_path.iterdir()) == []
