"""Codecs of an installed Codec-SUPERB, in a stand-in for SoundCodec that has its contract and its faults."""

from __future__ import annotations

import sys
import textwrap

import numpy as np
import pytest
from sound_codec_stub import REGISTRY, forget

from eval.reconstruction.codecs import LoadError, ReconstructionError, UnknownSpecError, known_names, load, parse
from soundcodec_llmcodec.superb import register, unregister
from soundcodec_llmcodec.superb.register import SoundCodecMissingError

# Quantizes to 8 bits at its own rate; like upstream's, it changes the item that it is given.
CODEC = """
    from types import SimpleNamespace
    import numpy as np
    import torch

    class Codec:
        setting = None
        supports_decode = True
        sampling_rate = 24_000
        device = "cpu"
        calls = []

        def extract_unit(self, data):
            rate = data["audio"]["sampling_rate"]
            assert rate == self.sampling_rate, rate
            samples = data["audio"]["array"]
            Codec.calls.append(len(samples))
            codes = torch.from_numpy(np.round(samples * 100).astype(np.int64))
            data["audio"]["array"][:] = 7
            data["audio"] = None
            return SimpleNamespace(unit=codes[None], stuff_for_synth=codes)

        def decode_unit(self, stuff_for_synth):
            return (stuff_for_synth.float() / 100)[None, None]

        def synth(self, data, local_save=True):
            raise RuntimeError("synth is not used")
"""
BROKEN = {
    "encode_only": "class Codec:\n    supports_decode = False\n    def __init__(self):\n        raise AssertionError\n",
    "not_installed": "class Codec:\n    def __init__(self):\n        raise Exception('Please install it first')\n",
    "no_rate": "class Codec:\n    setting = None\n    sampling_rate = None\n",
    "fails": "class Codec:\n    setting = 'x'\n    sampling_rate = 16_000\n    def extract_unit(self, data):\n"
    "        raise IndexError('too short')\n",
}


@pytest.fixture
def sound_codec(tmp_path, monkeypatch):
    """The stand-in package, importable until the test ends."""
    folder = tmp_path / "packages" / "SoundCodec" / "codec"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("")
    (folder / "__init__.py").write_text(textwrap.dedent(REGISTRY))
    for name in ("llmcodec", "eight_bit"):
        (folder / f"{name}.py").write_text(textwrap.dedent(CODEC))
    for name, source in BROKEN.items():
        (folder / f"{name}.py").write_text(source)
    monkeypatch.syspath_prepend(folder.parents[1])
    forget()
    yield
    forget()


@pytest.mark.usefixtures("sound_codec")
def test_a_codec_of_theirs_is_resampled_in_and_out(assert_contract, clips):
    model = load("eight_bit")
    for clip, samples in zip(clips, assert_contract(model), strict=True):
        error = samples - clip.samples
        assert np.sqrt(np.mean(error**2)) < 0.01
    info = model.info
    assert (info.name, info.kind, info.sample_rate) == ("eight_bit", "superb", 24_000)
    # Nothing upstream tells the bit rate, or which weights these are.
    assert info.bitrate_bps is info.codebook_size is info.identity is None
    (item,) = model.encode(clips[:1])
    assert item.codes.dtype == np.int64
    assert item.codes.shape == (1, -(-len(clips[0].samples) * 24_000 // 16_000))


@pytest.mark.usefixtures("sound_codec")
def test_their_llmcodec_is_theirs_even_after_register():
    assert parse("llmcodec").kind == "llmcodec"
    assert parse("superb:llmcodec").label == "superb:llmcodec"
    registration = register()
    try:
        model = load("superb:llmcodec")
        assert model.info.sample_rate == 24_000
        assert sys.modules["SoundCodec.codec"].load_codec.__module__ == "SoundCodec.codec"
        # Ours is registered again afterwards.
        assert register().names == registration.names
        assert "soundcodec_llmcodec" in sys.modules["SoundCodec.codec.llmcodec"].Codec.__module__
    finally:
        unregister()


@pytest.mark.usefixtures("sound_codec")
def test_their_names_are_known_and_ours_are_not_among_them():
    register()
    try:
        names = [model.name for model in known_names()["superb"]]
    finally:
        unregister()
    assert names == [f"superb:{name}" for name in sorted({"llmcodec", "eight_bit", *BROKEN})]
    with pytest.raises(UnknownSpecError, match="no codec 'eigth_bit'; did you mean 'superb:eight_bit'"):
        parse("superb:eigth_bit")
    with pytest.raises(UnknownSpecError, match="did you mean 'eight_bit'"):
        parse("eigth_bit")


@pytest.mark.usefixtures("sound_codec")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("encode_only", "only encodes"),
        ("not_installed", "Please install it first"),
        ("no_rate", "no sampling_rate"),
    ],
)
def test_a_codec_that_cannot_be_had_is_left_out(name, message):
    with pytest.raises(LoadError, match=message):
        load(name)


@pytest.mark.usefixtures("sound_codec")
def test_a_failing_clip_fails_by_name(clips):
    with pytest.raises(ReconstructionError, match="extract_unit of SoundCodec's fails failed: IndexError: too short"):
        load("fails").encode(clips)


def test_without_sound_codec_the_error_says_what_to_do(monkeypatch):
    forget()
    monkeypatch.setitem(sys.modules, "SoundCodec", None)
    assert known_names()["superb"] == ()
    with pytest.raises(LoadError, match="needs Codec-SUPERB's package SoundCodec: install it"):
        load("superb:dac_16k")
    with pytest.raises(UnknownSpecError, match="SoundCodec is not installed"):
        load("dac_16k")
    with pytest.raises(SoundCodecMissingError):
        register()
