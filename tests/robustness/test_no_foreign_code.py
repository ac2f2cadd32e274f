"""A repository's own code is never run: not asked for, and refused where a repository brings it."""

from __future__ import annotations

import ast
import inspect
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from eval.harness.hf_models import _model
from eval.harness.model_specs import LoadError
from soundcodec_llmcodec.data import hub
from soundcodec_llmcodec.data.rows import DataError
from soundcodec_llmcodec.lm.backbone import BackboneError, load_causal_lm

ROOT = Path(__file__).parents[2]
# What reads a repository in transformers, and takes code from it where it is told to.
READERS = {"AutoConfig", "AutoModel", "AutoModelForCausalLM", "AutoTokenizer", "AutoFeatureExtractor", "AutoProcessor"}


@pytest.fixture
def foreign(tmp_path, monkeypatch) -> Path:
    """A repository whose code leaves a trace."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    monkeypatch.setenv("HF_MODULES_CACHE", str(tmp_path / "modules"))
    names = {"AutoConfig": "own.Config", "AutoModel": "own.Model", "AutoModelForCausalLM": "own.Model"}
    config = {"model_type": "nobodys", "architectures": ["Model"], "auto_map": names}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(b"")
    trace = tmp_path / "trace"
    code = f"open({str(trace)!r}, 'w').close()\nfrom transformers import PretrainedConfig as Config\nModel = None\n"
    (folder / "own.py").write_text(code)
    return folder


def test_a_codec_with_code_of_its_own_is_refused(foreign, tmp_path):
    with pytest.raises(LoadError, match="foreign"):
        _model(str(foreign), None, "cpu")
    assert not (tmp_path / "trace").exists()


def test_a_language_model_with_code_of_its_own_is_refused(foreign, tmp_path):
    with pytest.raises(BackboneError, match="foreign"):
        load_causal_lm(str(foreign))
    assert not (tmp_path / "trace").exists()


@pytest.mark.parametrize(("version", "said"), [("3.0.0", False), ("3.6.1", False), ("4.0.0", None), ("5.2.0", None)])
def test_a_data_sets_script_is_not_run(version, said, monkeypatch):
    """datasets below 4 runs scripts where HF_DATASETS_TRUST_REMOTE_CODE says so; later ones refuse the option."""
    asked = []

    def load_dataset(*_, **options):
        asked.append(options)
        raise ValueError("offline")

    monkeypatch.setattr(hub, "_library", lambda _: SimpleNamespace(__version__=version, load_dataset=load_dataset))
    with pytest.raises(DataError, match="neither a folder here nor to be had"):
        hub.hub_splits("owner/name", None)
    (options,) = asked
    assert options.get("trust_remote_code") is said
    assert ("trust_remote_code" in options) == (said is False)


def test_the_installed_library_takes_what_is_said():
    import datasets

    signature = inspect.signature(datasets.load_dataset)
    signature.bind("owner/name", split=None, **hub.without_code(datasets))
    assert "trust_remote_code" not in signature.parameters or hub.without_code(datasets)


@pytest.mark.parametrize("room", ["soundcodec_llmcodec", "eval"])
def test_every_reader_of_repositories_says_no_to_code(room):
    """Left to itself transformers asks at the terminal, and in a script waits for the answer."""
    silent = []
    for path in sorted((ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", None)
            if name in READERS and node.func.attr in ("from_pretrained", "from_config"):
                said = {keyword.arg: keyword.value for keyword in node.keywords}
                # `**options` is of a function that sets it.
                if None in said and path.name == "pretrained.py":
                    continue
                value = said.get("trust_remote_code")
                if not (isinstance(value, ast.Constant) and value.value is False):
                    silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert silent == []
