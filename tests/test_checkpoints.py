"""Saved is loaded, strictly; whatever is not a checkpoint says what it is."""

from __future__ import annotations

import json

import pytest
import torch

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.weights_files import CheckpointError


@pytest.fixture
def saved(tiny_codec, tmp_path):
    tiny_codec.save_pretrained(tmp_path / "saved")
    return tmp_path / "saved"


def test_a_saved_codec_comes_back_the_same(tiny_codec, saved, noise):
    loaded = LLMCodec.from_pretrained(saved)
    assert loaded.config == tiny_codec.config
    assert loaded.weights_hash == tiny_codec.weights_hash
    assert not loaded.model.training
    assert loaded.name == "saved"
    assert {path.stat().st_mode & 0o777 for path in saved.iterdir()} == {0o644}
    clip = noise(5_000)
    assert torch.equal(loaded.encode_samples(clip), tiny_codec.encode_samples(clip))


def test_half_precision_storage_is_read_as_float32(tiny_codec, tmp_path):
    tiny_codec.save_pretrained(tmp_path / "half", torch.float16)
    loaded = LLMCodec.from_pretrained(tmp_path / "half")
    assert {p.dtype for p in loaded.model.parameters()} == {torch.float32}
    assert loaded.weights_hash != tiny_codec.weights_hash
    full = tmp_path / "full"
    tiny_codec.save_pretrained(full)
    sizes = [(folder / checkpoints.WEIGHTS_FILE).stat().st_size for folder in (tmp_path / "half", full)]
    assert sizes[0] < 0.6 * sizes[1]


def test_the_hash_tells_weights_and_config_apart(tiny_codec):
    other = LLMCodec.random(CodecConfig.preset("tiny"), seed=1)
    assert other.weights_hash != tiny_codec.weights_hash
    window = CodecConfig.from_dict({**tiny_codec.config.to_dict(), "attention_window": 5})
    assert checkpoints.weights_hash(window, tiny_codec.model) != tiny_codec.weights_hash
    assert len(tiny_codec.weights_hash) == 64


def test_a_published_pt_loads_strictly(small_published, tmp_path):
    path = tmp_path / "llm-codec.pt"
    torch.save(small_published, path)
    loaded = checkpoints.load(path)
    assert all(torch.equal(loaded.model.state_dict()[name], tensor) for name, tensor in small_published.items())


@pytest.mark.parametrize("change", ["missing", "unexpected", "shape"])
def test_other_keys_or_shapes_are_named(small_published, tmp_path, change):
    tensors = dict(small_published)
    name = "tokenizer.stft_head.inp.bias"
    if change == "missing":
        del tensors[name]
    elif change == "unexpected":
        name = "tokenizer.extra"
        tensors[name] = torch.zeros(3)
    else:
        tensors[name] = torch.zeros(3)
    torch.save(tensors, tmp_path / "wrong.pt")
    with pytest.raises(CheckpointError, match=name):
        checkpoints.load(tmp_path / "wrong.pt")


class _Executed:
    def __reduce__(self):
        return (print, ("a pickle was executed",))


def test_a_pickle_is_never_executed(tmp_path, capsys):
    torch.save({"tokenizer": _Executed()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match=r"evil\.pt"):
        checkpoints.load(tmp_path / "evil.pt")
    assert "executed" not in capsys.readouterr().out


def _edit(folder, change):
    path = folder / checkpoints.CONFIG_FILE
    described = json.loads(path.read_text())
    change(described)
    path.write_text(json.dumps(described))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format_version=99), "version 99"),
        (lambda d: d.update(format="other"), "llmcodec-checkpoint"),
        (lambda d: d["codec"].update(hop_size=3), "hop_size"),
        (lambda d: d["codec"].update(hidden_size=64), "stft_head"),
        (lambda d: d["codec"].update(codebook_size=2_000_000_000), "codebook"),
        (lambda d: d.pop("codec"), "codec"),
    ],
)
def test_a_config_that_does_not_fit_is_refused(saved, change, message):
    _edit(saved, change)
    with pytest.raises(CheckpointError, match=message):
        LLMCodec.from_pretrained(saved)


def test_truncated_and_foreign_weights_are_refused(saved, tmp_path):
    weights = saved / checkpoints.WEIGHTS_FILE
    whole = weights.read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"not weights at all"):
        weights.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            LLMCodec.from_pretrained(saved)
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match=r"no config\.json"):
        LLMCodec.from_pretrained(tmp_path / "empty")
    with pytest.raises(CheckpointError, match="llmcodec_published"):
        LLMCodec.from_pretrained("nowhere")


def test_the_source_is_argument_then_environment_then_name(monkeypatch):
    monkeypatch.delenv("LLMCODEC_CHECKPOINT", raising=False)
    assert checkpoints.resolve() == "llmcodec"
    monkeypatch.setenv("LLMCODEC_CHECKPOINT", "from-environment")
    assert checkpoints.resolve() == "from-environment"
    assert checkpoints.resolve(checkpoint="argument") == "argument"
    assert checkpoints.resolve("llmcodec_published") == "llmcodec_published"


def test_the_hub_is_asked_for_the_published_files(small_published, tmp_path, monkeypatch):
    import huggingface_hub

    asked = []

    def download(repo, file, revision=None, local_files_only=False):
        asked.append((repo, file, revision, local_files_only))
        torch.save(small_published, tmp_path / file)
        return str(tmp_path / file)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    checkpoints.load("llmcodec_published", revision="abc", local_files_only=True)
    checkpoints.load("voidful/llm-codec")
    assert asked == [
        ("voidful/llm-codec", "llm-codec.pt", "abc", True),
        ("voidful/llm-codec", "llm-codec.pt", None, False),
    ]


@pytest.mark.parametrize("place", ["./mine", "../mine", "a/..", "runs/mine.pt", "~/nowhere"])
def test_local_places_are_never_looked_for_on_the_hub(place):
    with pytest.raises(CheckpointError, match="nothing is at"):
        checkpoints.load(place)


@pytest.mark.parametrize("content", [b"", b"some text", bytes(range(256))])
def test_a_file_that_holds_no_weights_says_so(tmp_path, content):
    (tmp_path / "notes.pt").write_bytes(content)
    with pytest.raises(CheckpointError, match="holds no weights"):
        checkpoints.load(tmp_path / "notes.pt")


def test_a_device_that_is_not_there_is_refused(saved):
    with pytest.raises(CheckpointError, match="cannot use the device 'nonsense'"):
        checkpoints.load(saved, device="nonsense")


def test_a_hub_id_that_is_not_cached_says_so_offline():
    with pytest.raises(CheckpointError, match=r"no folder or file 'nobody/nothing' here, and config\.json"):
        checkpoints.load("nobody/nothing", local_files_only=True)
