"""Registration in a stand-in for SoundCodec that loads and lists codecs as the real package does."""

from __future__ import annotations

import importlib
import sys
import textwrap

import pytest
from sound_codec_stub import REGISTRY, forget

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.superb.adapter import Codec
from soundcodec_llmcodec.superb.register import NAMES, Registration, SoundCodecMissingError, register, unregister

UPSTREAM = """
    class Codec:
        setting = None
        supports_decode = {decodes}
"""


@pytest.fixture
def sound_codec(tmp_path, monkeypatch):
    """The stand-in package's registry, importable until the test ends; it ships codecs under two of our names."""
    folder = tmp_path / "packages" / "SoundCodec" / "codec"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text(textwrap.dedent(REGISTRY))
    for name, decodes in (("llmcodec", True), ("llmcodec_abl_k1", True), ("dac_16k", True), ("encode_only", False)):
        (folder / f"{name}.py").write_text(textwrap.dedent(UPSTREAM.format(decodes=decodes)))
    LLMCodec.random(CodecConfig.preset("tiny")).save_pretrained(tmp_path / "tiny")
    monkeypatch.setenv(checkpoints.CHECKPOINT_VARIABLE, str(tmp_path / "tiny"))
    monkeypatch.syspath_prepend(folder.parents[1])
    forget()
    yield importlib.import_module("SoundCodec.codec")
    forget()


def test_register_says_what_it_did_and_is_idempotent(sound_codec):
    done = register()
    assert isinstance(done, Registration)
    assert set(done.replaced) == {"llmcodec", "llmcodec_abl_k1"}
    assert set(done.added) == set(NAMES) - set(done.replaced)
    assert done.location == sound_codec.__file__
    listing = sound_codec.list_codec
    assert register() is done
    assert sound_codec.list_codec is listing


def test_the_registry_loads_ours_and_still_theirs(sound_codec):
    assert not isinstance(sound_codec.load_codec("llmcodec"), Codec)
    register()
    ours = sound_codec.load_codec("llmcodec")
    assert isinstance(ours, Codec)
    assert ours.setting == "llmcodec"
    theirs = sound_codec.load_codec("dac_16k")
    assert not isinstance(theirs, Codec)
    assert theirs.setting == "dac_16k"


def test_ours_has_a_name_that_upstream_has_not(sound_codec):
    register()
    ours = sound_codec.load_codec("soundcodec_llmcodec")
    assert ours.codec.weights_hash == sound_codec.load_codec("llmcodec").codec.weights_hash
    unregister()
    with pytest.raises(ModuleNotFoundError):
        sound_codec.load_codec("soundcodec_llmcodec")


def test_functions_taken_before_register_see_ours_too(sound_codec):
    load_codec, supports = sound_codec.load_codec, sound_codec.codec_supports_decode
    register()
    assert isinstance(load_codec("llmcodec"), Codec)
    assert supports("llmcodec_published") is True


def test_a_module_imported_before_register_gives_way(sound_codec):
    before = importlib.import_module("SoundCodec.codec.llmcodec")
    register()
    from SoundCodec.codec import llmcodec
    from SoundCodec.codec.llmcodec import Codec as Registered

    assert llmcodec is not before
    assert issubclass(Registered, Codec)
    assert importlib.import_module("SoundCodec.codec.llmcodec") is llmcodec
    unregister()
    assert importlib.import_module("SoundCodec.codec.llmcodec") is before
    assert sound_codec.llmcodec is before


def test_supports_decode_of_ours_and_theirs(sound_codec):
    register()
    assert all(sound_codec.codec_supports_decode(name) for name in NAMES)
    assert sound_codec.codec_supports_decode("dac_16k") is True
    assert sound_codec.codec_supports_decode("encode_only") is False


def test_listing_has_both_each_once(sound_codec):
    theirs = sound_codec.list_codec()
    register()
    assert sound_codec.list_codec() == sorted({*theirs, *NAMES})
    shorter = sound_codec.list_codec(ignore_list=["__init__.py", "dac_16k.py", "llmcodec.py"])
    assert set(sound_codec.list_codec()) - set(shorter) == {"dac_16k", "llmcodec"}


def test_unregister_restores_everything(sound_codec):
    before = dict(vars(sound_codec))
    modules = {name for name in sys.modules if name.startswith("SoundCodec")}
    done = register()
    assert unregister() is done
    assert unregister() is None
    assert dict(vars(sound_codec)) == before
    assert {name for name in sys.modules if name.startswith("SoundCodec")} == modules
    assert not isinstance(sound_codec.load_codec("llmcodec"), Codec)
    register()
    assert isinstance(sound_codec.load_codec("llmcodec"), Codec)


def test_without_sound_codec_the_error_says_what_to_do(monkeypatch):
    forget()
    monkeypatch.setitem(sys.modules, "SoundCodec", None)
    with pytest.raises(SoundCodecMissingError, match="pip install"):
        register()
    assert unregister() is None


def test_a_broken_sound_codec_is_not_called_missing(tmp_path, monkeypatch):
    folder = tmp_path / "SoundCodec" / "codec"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("import a_package_that_is_not_there")
    monkeypatch.syspath_prepend(tmp_path)
    forget()
    with pytest.raises(ModuleNotFoundError, match="a_package_that_is_not_there") as caught:
        register()
    assert not isinstance(caught.value, SoundCodecMissingError)
    forget()
