"""How models are written, and what is refused before anything is loaded."""

from __future__ import annotations

import pytest

from eval.harness.model_specs import UnknownSpecError
from eval.salmon.salmon_models import SalmonModelSpec, check, parse


def test_a_plain_codec_has_its_bundled_model():
    assert parse("llmcodec") == SalmonModelSpec("llmcodec", "llmcodec", "llmcodec", "bundled")
    assert parse("ours=llmcodec").label == "ours"
    assert parse("llmcodec@bundled").label == "llmcodec@bundled"


def test_codec_and_lm_are_names_folders_or_hub_ids(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "codecs" / "mine").mkdir(parents=True)
    (tmp_path / "lms" / "rate=0.1").mkdir(parents=True)
    (tmp_path / "at@home").mkdir()
    assert parse("llmcodec@uniform") == SalmonModelSpec("llmcodec@uniform", "llmcodec@uniform", "llmcodec", "uniform")
    found = parse("llmcodec@lms/rate=0.1")
    assert (found.label, found.codec, found.lm) == ("llmcodec@rate=0.1", "llmcodec", "lms/rate=0.1")
    found = parse("codecs/mine@./lms/rate=0.1")
    assert (found.label, found.codec, found.lm) == ("mine@rate=0.1", "codecs/mine", "./lms/rate=0.1")
    found = parse("A=./at@home@uniform")
    assert (found.label, found.codec, found.lm) == ("A", "./at@home", "uniform")
    assert parse("voidful/llm-codec@uniform").codec == "voidful/llm-codec"
    assert parse("llmcodec_published@uniform").codec == "llmcodec_published"


def test_a_checkpoint_file_is_called_as_its_folder(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "model.safetensors").touch()
    (tmp_path / "step.pt").touch()
    assert parse(f"{tmp_path}/mine/model.safetensors@uniform").label == "mine@uniform"
    assert parse(f"{tmp_path}/step.pt@uniform").label == "step@uniform"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("llmcodek", "means no codec. Did you mean 'llmcodec'"),
        ("opus_6k@uniform", "'opus_6k' means no codec"),
        ("./missing@uniform", "'./missing' means no codec"),
        ("llmcodec@bundeled", "no such folder. Did you mean 'bundled'"),
        ("llmcodec@./nowhere", "there is no language model './nowhere'"),
        ("llmcodec_published", "write llmcodec_published@FOLDER with one that was trained on its tokens"),
        ("llmcodec@", "expected \\[LABEL=\\]CODEC\\[@LM\\]"),
        ("=llmcodec", "expected \\[LABEL=\\]"),
        ("x=", "expected \\[LABEL=\\]"),
        ("@uniform", "expected \\[LABEL=\\]"),
    ],
)
def test_what_means_nothing_is_refused(text, message):
    with pytest.raises(UnknownSpecError, match=message):
        parse(text)


def test_labels_tell_models_apart():
    assert [spec.label for spec in check(["llmcodec", "b=llmcodec"])] == ["llmcodec", "b"]
    with pytest.raises(ValueError, match="two models are called llmcodec; give one another name"):
        check(["llmcodec", "llmcodec=llmcodec@uniform"])
    with pytest.raises(ValueError, match="cannot stand in a table"):
        check(["a|b=llmcodec"])
