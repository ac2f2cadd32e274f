"""Published weights as people have them: a copy of the repository, a third party's, a training checkpoint, the hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError
from safetensors.torch import save_file

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.weights_files import CheckpointError

LLM_CONFIG = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "vocab_size": 172_149}
PARTS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture
def repository(small_published, tmp_path):
    """The published repository as it is downloaded: the LLM's config, shards and tokenizer, and the codec's .pt."""
    folder = tmp_path / "llm-codec"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLM_CONFIG))
    for name in PARTS:
        save_file({f"model.{name}": torch.zeros(2, 3)}, folder / name)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {}}))
    for name in ("tokenizer.json", "tokenizer_config.json", "generation_config.json"):
        (folder / name).write_text("{}")
    torch.save(small_published, folder / "llm-codec.pt")
    return folder


def assert_holds(loaded, small_published):
    found = loaded.model.state_dict()
    assert set(found) == set(small_published)
    assert all(torch.equal(found[name], tensor) for name, tensor in small_published.items())


def test_a_copy_of_the_published_repository_loads_as_a_folder_and_by_its_pt(repository, small_published):
    assert_holds(checkpoints.load(repository), small_published)
    assert_holds(checkpoints.load(repository / "llm-codec.pt"), small_published)
    assert LLMCodec.from_pretrained(repository).name == "llm-codec"


def test_one_whole_file_of_the_llms_weights_beside_it_is_not_the_codec(repository, small_published):
    for name in PARTS:
        (repository / name).unlink()
    save_file({"model.embed_tokens.weight": torch.zeros(2, 3)}, repository / "model.safetensors")
    assert_holds(checkpoints.load(repository), small_published)


@pytest.mark.parametrize("name", ["auv.pt", "epoch-3.pt"])
def test_a_folder_with_one_pt_of_another_name_loads(small_published, tmp_path, name):
    torch.save(small_published, tmp_path / name)
    assert_holds(checkpoints.load(tmp_path), small_published)


def test_of_several_pt_files_the_published_name_is_taken_and_others_have_to_be_named(repository, small_published):
    torch.save({"step": 3}, repository / "ckpt_step3.pt")
    assert_holds(checkpoints.load(repository), small_published)
    (repository / "llm-codec.pt").rename(repository / "mine.pt")
    with pytest.raises(CheckpointError, match=r"holds 2 \.pt files \(ckpt_step3\.pt, mine\.pt\); name one"):
        checkpoints.load(repository)


def test_a_language_model_without_a_codec_says_what_it_is(repository):
    (repository / "llm-codec.pt").unlink()
    with pytest.raises(CheckpointError, match=r"describes a model of type 'qwen3', and no llm-codec\.pt"):
        checkpoints.load(repository)
    with pytest.raises(CheckpointError, match=r"no codec checkpoint: its config\.json .* type 'qwen3'"):
        checkpoints.load(repository / PARTS[0])


def test_our_config_beside_a_pt_is_still_believed(tiny_codec, tmp_path):
    tiny_codec.save_pretrained(tmp_path)
    (tmp_path / checkpoints.WEIGHTS_FILE).unlink()
    torch.save(tiny_codec.model.state_dict(), tmp_path / "llm-codec.pt")
    for place in (tmp_path, tmp_path / "llm-codec.pt"):
        assert checkpoints.load(place).config == tiny_codec.config


@pytest.fixture
def training_checkpoint(small_published, tmp_path):
    """What the published training code saves."""
    rows = torch.nn.Parameter(torch.zeros(7, 4))
    optimizer = torch.optim.AdamW([rows])
    rows.sum().backward()
    optimizer.step()
    state = {
        "step": 24_999,
        "auv": small_published,
        "qwen_embed": rows.detach(),
        "qwen_lm_head": rows.detach(),
        "opt_enc": torch.optim.SGD([rows], lr=1e-3, momentum=0.9).state_dict(),
        "opt_embed": optimizer.state_dict(),
        "tok_dir": "runs/llm_codec/tokenizer",
        "vocab_size": 7,
        "medusa_heads": torch.nn.ModuleList([torch.nn.Linear(4, 3, bias=False)]).state_dict(),
    }
    path = tmp_path / "run" / "ckpt_final_step24999.pt"
    path.parent.mkdir()
    torch.save(state, path)
    return path


def test_a_training_checkpoints_codec_is_read(training_checkpoint, small_published):
    assert_holds(checkpoints.load(training_checkpoint), small_published)
    assert_holds(checkpoints.load(training_checkpoint.parent), small_published)


def test_weights_stay_when_their_file_is_overwritten(training_checkpoint, small_published):
    loaded = checkpoints.load(training_checkpoint)
    size = training_checkpoint.stat().st_size
    with training_checkpoint.open("r+b") as file:
        file.write(b"\xff" * size)
    assert_holds(loaded, small_published)


class _Executed:
    def __reduce__(self):
        return (print, ("a pickle was executed",))


def test_a_training_checkpoint_is_no_way_to_run_code(small_published, tmp_path, capsys):
    torch.save({"auv": small_published, "opt_enc": _Executed()}, tmp_path / "evil.pt")
    with pytest.raises(CheckpointError, match=r"evil\.pt"):
        checkpoints.load(tmp_path / "evil.pt")
    assert "executed" not in capsys.readouterr().out


def test_another_pt_says_what_it_holds(tmp_path):
    torch.save({"step": 3, "generator": {"a": torch.zeros(2)}}, tmp_path / "gan.pt")
    with pytest.raises(CheckpointError, match=r"under 'auv': its keys are 'step', 'generator'"):
        checkpoints.load(tmp_path / "gan.pt")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """(folder, asked): a hub whose repositories are the folders below `folder`, and the files it was asked for."""
    asked = []

    def download(repo, file, revision=None, local_files_only=False):
        asked.append(file)
        path = tmp_path / "hub" / Path(repo) / file
        if local_files_only:
            raise LocalEntryNotFoundError("not cached")
        if not path.is_file():
            raise EntryNotFoundError(f"404: no {file}")
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", download)
    return tmp_path / "hub", asked


def test_a_third_partys_repository_loads_without_its_llm(hub, repository, small_published):
    folder, asked = hub
    shutil.copytree(repository, folder / "somebody" / "their-codec")
    assert_holds(checkpoints.load("somebody/their-codec"), small_published)
    assert asked == ["config.json", "llm-codec.pt"]


def test_a_repository_of_an_llm_alone_is_refused_by_its_config(hub, repository):
    folder, asked = hub
    (repository / "llm-codec.pt").unlink()
    shutil.copytree(repository, folder / "somebody" / "llm")
    with pytest.raises(CheckpointError, match=r"no codec is in .*describes a model of type 'qwen3'"):
        checkpoints.load("somebody/llm")
    assert not [name for name in asked if name.endswith(".safetensors")]


def test_a_config_of_a_later_version_is_refused_before_its_weights_are_downloaded(hub, tiny_codec):
    folder, asked = hub
    tiny_codec.save_pretrained(folder / "somebody" / "codec")
    assert checkpoints.load("somebody/codec").config == tiny_codec.config
    path = folder / "somebody" / "codec" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format_version": 99}))
    asked.clear()
    with pytest.raises(CheckpointError, match="version 99"):
        checkpoints.load("somebody/codec")
    assert asked == ["config.json"]


def test_what_is_not_cached_is_not_said_to_be_missing_from_the_hub(hub):
    with pytest.raises(CheckpointError, match=r"config\.json of a hub repository of that name could not be had"):
        checkpoints.load("somebody/codec", local_files_only=True)
