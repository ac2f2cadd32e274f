"""What a codec can be called, and what is said of names that mean none."""

from __future__ import annotations

import pytest

from eval.reconstruction import codecs
from eval.reconstruction.codecs import LoadError, UnknownSpecError, check, known_names, load, parse
from soundcodec_llmcodec.codec import list_codec


def test_every_known_name_resolves_to_its_kind():
    known = known_names()
    assert set(known) == set(codecs.FORMS)
    for kind, models in known.items():
        for model in models:
            assert parse(model.name).kind == kind, model.name
    assert [model.name for model in known["llmcodec"]] == list_codec()


@pytest.mark.parametrize(
    ("text", "label", "kind", "target", "value"),
    [
        ("identity", "identity", "bound", "identity", None),
        ("resample_24k", "resample_24k", "bound", "resample", 24_000),
        ("opus_6k", "opus_6k", "classical", "opus", 6),
        ("codec2_700c", "codec2_700c", "classical", "codec2", "700C"),
        ("codec2_1200", "codec2_1200", "classical", "codec2", "1200"),
        ("ours=llmcodec", "ours", "llmcodec", "llmcodec", None),
        ("Opus 6 kbit=opus_6k", "Opus 6 kbit", "classical", "opus", 6),
        ("hf:a/b?bandwidth=6", "b_bandwidth_6", "hf", "a/b", None),
        ("x=hf:a/b?bandwidth=6", "x", "hf", "a/b", None),
        ("hf:kyutai/mimi", "mimi", "hf", "kyutai/mimi", None),
        ("x=superb:dac_16k", "x", "superb", "dac_16k", None),
        ("recon:runs/mine", "mine", "recon", "runs/mine", None),
        ("recon:runs/mine?kbps=1.5", "mine", "recon", "runs/mine", None),
    ],
)
def test_names_and_labels(text, label, kind, target, value):
    spec = parse(text)
    assert (spec.label, spec.kind, spec.target, spec.value) == (label, kind, target, value)
    assert spec.text == text
    assert parse(text).label == label


def test_options_are_read():
    assert parse("hf:a/b?num_quantizers=8&revision=main").options == {"num_quantizers": "8", "revision": "main"}


def test_a_checkpoint_is_a_folder_or_a_file(tmp_path, tiny_codec, monkeypatch):
    tiny_codec.save_pretrained(tmp_path / "mine")
    for text in (str(tmp_path / "mine"), str(tmp_path / "mine" / "model.safetensors")):
        spec = parse(text)
        assert (spec.kind, spec.label, spec.takes_checkpoint) == ("llmcodec", "mine", False)
    monkeypatch.chdir(tmp_path)
    assert parse("mine").path == parse("./mine").path == tmp_path / "mine"
    # A bare name is a name first.
    (tmp_path / "identity").mkdir()
    assert parse("identity").kind == "bound"
    assert parse("./identity").kind == "llmcodec"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("identiti", r"no codec is called 'identiti'; did you mean 'identity'\?.*hf:REPO"),
        ("llmcodek", "did you mean 'llmcodec'"),
        ("codec2_800", "did you mean 'codec2_"),
        ("opus_3k", "'opus_3k' is out of range: it takes 6 to 256 kbit/s"),
        ("opus_510k", "6 to 256 kbit/s for one channel"),
        ("resample_0k", "out of range"),
        ("./not/there", "no checkpoint at './not/there'.*hf:"),
        ("weights.pt", "no checkpoint at 'weights.pt'"),
        ("hf:", "names nothing"),
        ("recon:", "names nothing"),
        ("recon:runs/mine?kbps=fast", "a bit rate in kbit/s above zero, got 'fast'"),
        ("recon:runs/mine?kbps=0", "above zero, got '0'"),
        ("recon:runs/mine?bps=1", "there is kbps"),
        ("hf:a/b?bandwidth", "key=value"),
        ("hf:a/b?bandwidth=6&bandwidth=3", "each option once"),
        ("=identity", "LABEL=SPEC"),
        ("x=", "LABEL=SPEC"),
        ("", "LABEL=SPEC"),
    ],
)
def test_what_means_nothing_says_what_would(text, message):
    with pytest.raises(UnknownSpecError, match=message):
        parse(text)


def test_labels_are_told_apart():
    assert [spec.label for spec in check(["identity", "x=identity"])] == ["identity", "x"]
    with pytest.raises(ValueError, match="two codecs are called identity"):
        check(["identity", "opus_6k", "identity=resample_8k"])


def test_a_checkpoint_goes_with_one_codec_of_ours():
    check(["llmcodec", "identity"], checkpoint="folder")
    with pytest.raises(ValueError, match="exactly one"):
        check(["identity"], checkpoint="folder")
    with pytest.raises(ValueError, match="takes no checkpoint"):
        load("identity", checkpoint="folder")


def test_what_is_missing_is_told_with_the_name(monkeypatch):
    monkeypatch.setenv("PATH", "")
    classical = {model.name: str(model) for model in known_names()["classical"]}
    assert "apt-get install opus-tools" in classical["opus_6k"]
    assert "apt-get install codec2" in classical["codec2_700c"]
    with pytest.raises(LoadError, match=r"opusenc and opusdec .* apt-get install opus-tools"):
        load("opus_6k")
    with pytest.raises(LoadError, match="apt-get install codec2"):
        load("codec2_700c")


def test_a_codec_of_ours_has_options():
    spec = codecs.parse("fast=llmcodec?optimize=bf16")
    assert (spec.label, spec.kind, spec.target, dict(spec.options)) == (
        "fast",
        "llmcodec",
        "llmcodec",
        {"optimize": "bf16"},
    )
    assert codecs.parse("llmcodec?optimize=bf16-decoder").label == "llmcodec?optimize=bf16-decoder"
    assert dict(codecs.parse("llmcodec?levels=2&optimize=bf16").options) == {"levels": "2", "optimize": "bf16"}
    for wrong, message in (
        ("optimize=int8", "unknown optimization 'int8'"),
        ("speed=2", "has the options optimize and levels"),
        ("levels=0", "levels is a whole number of codebook levels"),
    ):
        with pytest.raises(codecs.UnknownSpecError, match=message):
            codecs.parse(f"llmcodec?{wrong}")
