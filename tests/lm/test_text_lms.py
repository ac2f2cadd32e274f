"""Models with `<CODEC_i>` in their tokenizer and no token_lm.json: exported ones, the published one, and on the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
import torch
import transformers
from huggingface_hub.errors import EntryNotFoundError
from tiny_lms import make_model, make_tokenizer
from token_lms import SIZE, make_clips, make_lm, make_source

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm import backbone
from soundcodec_llmcodec.lm.extend import ExtendedLM, extend_lm
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.loading import load_token_lm
from soundcodec_llmcodec.lm.scores import CodecMismatchError
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.train.codec_export import export_lm

UNKNOWN = "does not say whose tokens it was trained on; they are taken for those of toy"


def make_extended(kind: str = "qwen3_tied", bos: str | None = None, size: int = SIZE) -> ExtendedLM:
    tokenizer = make_tokenizer(bos)
    return extend_lm(make_model(kind, len(tokenizer)), tokenizer, size)


@pytest.fixture
def exported(tmp_path):
    """What codec training exports."""
    return export_lm(tmp_path / "exported", make_extended())


@pytest.fixture
def no_weights(monkeypatch):
    """Reading weights is an error."""
    monkeypatch.setattr(backbone, "read_model", lambda *_, **__: pytest.fail("weights were read"))


def test_an_exported_model_scores_as_transformers_says(exported):
    with pytest.warns(UserWarning, match=UNKNOWN):
        lm = load_token_lm(exported, make_source())
    assert (lm.name, lm.prefix, lm.vocabulary_size) == ("exported", "none", SIZE)
    assert lm.eos_id == transformers.AutoTokenizer.from_pretrained(exported).eos_token_id
    (clip,) = make_clips(20)
    ids = torch.from_numpy(lm.spec.ids(clip))[None]
    model = transformers.AutoModelForCausalLM.from_pretrained(exported, dtype=torch.float32).eval()
    with torch.no_grad():
        codes = model(ids).logits[0, :-1, lm.spec.first_id : lm.spec.end_id].double()
    nats = -codes.log_softmax(-1)[torch.arange(19), torch.from_numpy(clip[1:])]
    assert lm.score([clip])[0].audio_nll == pytest.approx(nats.numpy(), abs=1e-4)


def test_a_models_own_begin_is_its_prefix(tmp_path):
    make_extended("gpt2", "<|begin|>").save(tmp_path)
    with pytest.warns(UserWarning, match=UNKNOWN):
        assert load_token_lm(tmp_path, make_source()).prefix == "bos"


def test_it_can_be_saved_as_one_of_ours(exported, tmp_path):
    with pytest.warns(UserWarning, match=UNKNOWN):
        lm = load_token_lm(exported, make_source())
    lm.save(tmp_path / "ours")
    again = load_token_lm(tmp_path / "ours", make_source())
    assert again.identity == lm.identity
    assert ExtendedLM.load(tmp_path / "ours").spec == lm.spec
    with pytest.raises(CodecMismatchError):
        load_token_lm(tmp_path / "ours", make_source(digit="b"))


def test_it_needs_a_codec_and_the_right_number_of_codes_before_weights_are_read(exported, no_weights):
    with pytest.raises(TokenLMError, match="say which codec"):
        load_token_lm(exported)
    with pytest.raises(TokenLMError, match="has 50 <CODEC_i> tokens, but the codec 60"):
        load_token_lm(exported, make_source(60))


def test_a_text_model_without_codes_is_refused_before_its_weights_are_read(tmp_path, no_weights):
    tokenizer = make_tokenizer()
    make_model("qwen3_tied", len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(TokenLMError, match=r"no token_lm\.json, and the tokenizer has no <CODEC_0>"):
        load_token_lm(tmp_path, make_source())


def test_rows_that_are_missing_are_seen_before_weights_are_read(exported, no_weights):
    config = json.loads((exported / "config.json").read_text())
    (exported / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] - 1}))
    with pytest.raises(TokenLMError, match="rows, but the codes end at"):
        load_token_lm(exported, make_source())


def test_a_codecs_folder_is_no_language_model(tiny_codec, tmp_path):
    tiny_codec.save_pretrained(tmp_path)
    with pytest.raises(TokenLMError, match="is no language model over tokens"):
        load_token_lm(tmp_path, TokenSource.of(tiny_codec))


@pytest.fixture
def published(tiny_codec, tmp_path):
    """A repository in the published layout: the extended LLM in shards, its tokenizer, and the codec's weights."""
    folder = tmp_path / "llm-codec"
    extended = make_extended(size=tiny_codec.config.codebook_size)
    extended.tokenizer.save_pretrained(folder)
    extended.model.save_pretrained(folder, max_shard_size="30KB")
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    torch.save(tiny_codec.model.state_dict(), folder / "llm-codec.pt")
    return folder


@pytest.fixture
def tiny_is_published(tiny_codec, monkeypatch):
    monkeypatch.setattr(type(tiny_codec.config), "preset", classmethod(lambda cls, name: tiny_codec.config))


@pytest.mark.usefixtures("tiny_is_published")
def test_the_published_model_knows_its_codec_by_the_weights_beside_it(published, tiny_codec, monkeypatch, recwarn):
    source = TokenSource.of(tiny_codec)
    lm = load_token_lm(published, source)
    assert load_token_lm(published).codec_hash == lm.codec_hash == source.codec_hash
    assert not [warning for warning in recwarn if "does not say" in str(warning.message)]
    monkeypatch.setattr(backbone, "read_model", lambda *_, **__: pytest.fail("weights were read"))
    with pytest.raises(CodecMismatchError, match="llm-codec was trained on tokens of codec"):
        load_token_lm(published, make_source(source.vocabulary_size))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """(folder, asked): a hub whose repositories are the folders below `folder`, and the files it was asked for."""
    asked, folder = [], tmp_path / "hub"

    def download(repo, file, revision=None, local_files_only=False):
        asked.append(file)
        if not (folder / Path(repo) / file).is_file():
            raise EntryNotFoundError(f"404: no {file}")
        return str(folder / Path(repo) / file)

    def snapshot(repo, allow_patterns):
        asked.append("everything")
        assert not any(Path("model.bin").match(pattern) or Path("x.pt").match(pattern) for pattern in allow_patterns)
        return str(folder / Path(repo))

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot)
    return folder, asked


def test_our_model_on_the_hub_is_compared_before_it_is_downloaded(hub):
    folder, asked = hub
    lm = make_lm()
    lm.save(folder / "somebody" / "lm")
    assert load_token_lm("somebody/lm", make_source()).identity == lm.identity
    asked.clear()
    with pytest.raises(CodecMismatchError, match="was trained on tokens of codec"):
        load_token_lm("somebody/lm", make_source(digit="b"))
    assert asked == ["token_lm.json"]


@pytest.mark.usefixtures("tiny_is_published")
def test_a_text_model_on_the_hub_is_read_by_its_id(hub, published, tiny_codec, monkeypatch):
    folder, asked = hub
    shutil.copytree(published, folder / "somebody" / "llm-codec")
    for name in ("AutoTokenizer", "AutoConfig", "AutoModelForCausalLM"):
        reader = getattr(transformers, name)
        read = reader.from_pretrained

        def local(source, *args, read=read, **options):
            here = folder / source if str(source) == "somebody/llm-codec" else source
            return read(here, *args, **options)

        monkeypatch.setattr(reader, "from_pretrained", local)
    lm = load_token_lm("somebody/llm-codec", TokenSource.of(tiny_codec))
    assert isinstance(lm, NeuralTokenLM)
    assert lm.name == "somebody/llm-codec"
    assert np.isfinite(lm.score([np.arange(9)])[0].audio_nll).all()
    assert asked == ["token_lm.json", "llm-codec.pt"]


def test_a_mistyped_folder_is_not_looked_for_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(TokenLMError, match="not looked for on the hub because a folder runs is here"):
        load_token_lm("runs/lm", make_source())
