"""Exported graphs give the codec's own tokens and audio, and a folder of them is written whole and checked."""

from __future__ import annotations

import copy
import json
import multiprocessing
import pickle
import re
import shutil

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.__main__ import main
from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.coding import TIE_MARGIN, CodecInputError
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.export import agreement, graph_writing
from soundcodec_llmcodec.export.export_folder import DESCRIPTION, TORCH_EXPORT, ExportError, read_description
from soundcodec_llmcodec.export.onnx_codec import OnnxCodec
from soundcodec_llmcodec.export.runners import TorchExportRunner, padded
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.token_ids import TokenError

pytest.importorskip("onnxscript")
onnxruntime = pytest.importorskip("onnxruntime")

# Of the tiny preset, whose blocks have 4 frames of 320: a sample, under a frame, a block, across blocks, many blocks.
LENGTHS = (1, 319, 4 * 320, 4 * 320 + 1, 12_345)
TINY = CodecConfig.preset("tiny").to_dict()
ODD = {"num_quantizers": 2, "encoder_layers": 2, "attention_window": 3, "n_fft": 250, "hop_length": 110}
CODECS = {"bounded": {}, "whole": {"attention_window": None}, "odd": {**ODD, "codebook_partitions": {}}}


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny_codec):
    """The tiny codec's ONNX folder, written by the command; tests that change it copy it."""
    base = tmp_path_factory.mktemp("exported")
    tiny_codec.save_pretrained(base / "random-0")
    assert main(["export", "--codec", str(base / "random-0"), "--onnx", str(base / "onnx")]) == 0
    return base / "onnx"


@pytest.fixture(scope="module", params=[*CODECS, "semantic", "joined", "harmonic"])
def pair(request, tmp_path_factory):
    """A codec and its export as a codec."""
    if request.param == "bounded":
        return request.getfixturevalue("tiny_codec"), OnnxCodec(request.getfixturevalue("exported"), threads=1)
    if request.param in ("semantic", "joined", "harmonic"):
        codec = request.getfixturevalue(f"{request.param}_codec")
    else:
        codec = LLMCodec.random(CodecConfig.from_dict({**TINY, **CODECS[request.param]}), seed=1)
    folder = tmp_path_factory.mktemp("exports") / request.param
    graph_writing.write_onnx(codec, folder)
    return codec, OnnxCodec(folder, threads=1)


def clips(noise) -> list[torch.Tensor]:
    return [noise(n, seed) for seed, n in enumerate(LENGTHS)]


# -- the same tokens, the same audio -----------------------------------------------------------------------------------
@pytest.mark.parametrize("n", LENGTHS)
def test_tokens_are_equal_and_audio_is_within_the_tolerance_at_five_lengths(pair, noise, n):
    codec, onnx = pair
    codes = codec.encode_samples(noise(n))
    undecided = agreement.undecided_frames(codec, noise(n))
    # But for clips of less than a hop, which are symmetric, none has a frame that rounding decides: equal means equal.
    assert n < codec.config.hop_length or not undecided.any()
    assert torch.equal(onnx.encode_samples(noise(n))[:, ~undecided], codes[:, ~undecided])
    torch.testing.assert_close(onnx.decode_codes(codes), codec.decode_codes(codes), atol=1e-4, rtol=0)


def test_a_batch_of_unequal_lengths_gives_each_what_it_has_alone(pair, noise):
    codec, onnx = pair
    expected = [codec.encode_samples(clip) for clip in clips(noise)]
    found = onnx.encode_samples_batch(clips(noise))
    assert [agreement.differences(codec, *pair)[1] for pair in zip(clips(noise), found, strict=True)] == [0] * len(
        found
    )
    for audio, codes in zip(onnx.decode_codes_batch(expected), expected, strict=True):
        torch.testing.assert_close(audio, codec.decode_codes(codes), atol=1e-4, rtol=0)


def test_an_exported_codec_travels_to_workers_forked_ones_too(exported, noise):
    """onnxruntime's sessions cannot be pickled, and a forked child that used its parent's would wait for ever."""
    codec, clip = OnnxCodec(exported, threads=2), noise(12_345)
    tokens = codec.encode(clip, 16_000)
    for again in (pickle.loads(pickle.dumps(codec)), copy.deepcopy(codec)):
        assert again.encode(clip, 16_000) == tokens
    forked = multiprocessing.get_context("fork").Pool(1, initializer=_hold, initargs=(codec,))
    with forked as pool:
        assert pool.apply_async(_encoded, (clip,)).get(120) == tokens
    assert codec.encode(clip, 16_000) == tokens
    assert (codec.sample_rate, codec.frame_rate) == (16_000, 50.0)
    assert repr(codec).startswith("OnnxCodec('random-0', 16000 Hz")


_HELD: list[OnnxCodec] = []


def _hold(codec: OnnxCodec) -> None:
    _HELD.append(codec)


def _encoded(clip: torch.Tensor):
    return _HELD[0].encode(clip, 16_000)


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_one_graph_takes_any_batch_with_anything_past_an_items_end(pair, noise, batch):
    codec, onnx = pair
    items = [noise(700 + 331 * index, index) for index in range(batch)]
    samples, lengths = padded([item.numpy() for item in items])
    for row, length in zip(samples, lengths, strict=True):
        row[length:] = 9.0
    found = onnx._runner.encode(samples, lengths, np.array([0, codec.config.codebook_size]))
    assert found.codes.shape[0] == batch
    for row, item in enumerate(items):
        expected = codec.encode_samples(item)
        assert found.frames[row] == expected.shape[1]
        assert np.array_equal(found.codes[row, :, : expected.shape[1]], expected)


def test_chunks_give_what_the_whole_clip_gives(pair, noise):
    codec, onnx = pair
    if codec.config.attention_window is None:
        pytest.skip("exact for a bounded attention window only")
    clip = noise(30_001)
    expected = codec.encode_samples(clip)
    onnx.chunk_frames, before = 20, onnx.chunk_frames
    try:
        assert torch.equal(onnx.encode_samples(clip), expected)
        torch.testing.assert_close(onnx.decode_codes(expected), codec.decode_codes(expected), atol=1e-4, rtol=0)
    finally:
        onnx.chunk_frames = before


def test_margins_are_the_codecs_own_and_a_near_tie_is_decided_alone(pair, noise, monkeypatch):
    codec, onnx = pair
    clip = noise(5_000)
    config = codec.config
    found = onnx._runner.encode(*padded([clip.numpy()]), np.array([0, config.codebook_size]))
    framed = agreement.framed_samples(clip, config)[None]
    expected = codec.model.tokenizer(framed, None, 0, config.codebook_size, want_margins=True).margins
    torch.testing.assert_close(torch.from_numpy(found.margins), expected, atol=1e-5, rtol=0)

    runs = []
    encode = onnx._runner.encode

    def close_in_batches(samples, lengths, code_range):
        runs.append(len(samples))
        result = encode(samples, lengths, code_range)
        if len(samples) == 1:
            return result
        # As if rounding had decided item 1 otherwise than alone.
        margins, codes = result.margins.copy(), result.codes.copy()
        margins[1, 0, 2], codes[1, 0, 2] = TIE_MARGIN / 2, (codes[1, 0, 2] + 1) % config.codebook_size
        return result._replace(margins=margins, codes=codes)

    monkeypatch.setattr(onnx._runner, "encode", close_in_batches)
    batch = [noise(4_000 - index, index) for index in range(3)]
    results = onnx.encode_samples_batch(batch)
    assert runs == [3, 1]
    assert all(torch.equal(a, codec.encode_samples(b)) for a, b in zip(results, batch, strict=True))


# -- a codec like any other --------------------------------------------------------------------------------------------
def test_it_keeps_the_codecs_promises_at_any_rate(pair, noise):
    codec, onnx = pair
    stereo = np.stack([noise(44_100, 3).numpy(), noise(44_100, 4).numpy()])
    made = onnx.encode(stereo, 44_100, keep_channels=True)
    assert made == codec.encode(stereo, 44_100, keep_channels=True)
    back = onnx.decode(made)
    assert back.shape == (2, 44_100)
    np.testing.assert_allclose(back, codec.decode(made), atol=1e-4, rtol=0)
    batch = onnx.encode_batch([stereo[0], stereo[1, :9_000]], [44_100, 8_000])
    assert batch == [onnx.encode(stereo[0], 44_100), onnx.encode(stereo[1, :9_000], 8_000)]
    assert [len(audio) for audio in onnx.decode_batch(batch)] == [44_100, 9_000]


def test_a_domain_keeps_to_its_own_codes(exported, tiny_codec, noise):
    onnx = OnnxCodec(exported, threads=1)
    made = onnx.encode(noise(9_000), 16_000, domain="other")
    assert made == tiny_codec.encode(noise(9_000), 16_000, domain="other")
    assert int(made.codes.min()) >= 256
    with pytest.raises(ValueError, match="unknown domain 'jazz'"):
        onnx.encode(noise(9_000), 16_000, domain="jazz")


def test_wrong_input_is_refused_as_the_codec_refuses_it(exported):
    onnx = OnnxCodec(exported, threads=1)
    with pytest.raises(AudioError):
        onnx.encode(np.zeros(0), 16_000)
    with pytest.raises(TokenError, match="512 at 1"):
        onnx.decode([3, 512])
    with pytest.raises(CodecInputError, match="item 1 of 2"):
        onnx.encode_samples_batch([torch.zeros(5), torch.full((5,), float("nan"))])
    with pytest.raises(ExportError, match="no PyTorch model"):
        onnx.stream_decoder()
    with pytest.raises(TokenError, match="made by codec"):
        onnx.decode(LLMCodec.random(CodecConfig.preset("tiny"), seed=5).encode(np.zeros(900), 16_000))


# -- the folder --------------------------------------------------------------------------------------------------------
def test_the_folder_alone_suffices_for_onnxruntime_and_numpy(exported, tiny_codec, noise, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "elsewhere")
    described = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    sessions = {part: onnxruntime.InferenceSession(folder / described[part]["file"]) for part in ("encoder", "decoder")}
    for part, session in sessions.items():
        for way, held in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            assert [tensor["name"] for tensor in described[part][way]] == [tensor.name for tensor in held]
            for tensor, own in zip(described[part][way], held, strict=True):
                kinds = {"float32": "tensor(float)", "int64": "tensor(int64)"}
                assert kinds[tensor["dtype"]] == own.type
                fixed = [size if isinstance(size, int) else None for size in tensor["shape"]]
                assert fixed == [size if isinstance(size, int) else None for size in own.shape]
    clip = noise(2_000).numpy()
    given = {"samples": clip[None], "lengths": np.array([2_000]), "code_range": np.array([0, 512])}
    codes, frames, _ = sessions["encoder"].run(None, given)
    assert np.array_equal(codes[0], tiny_codec.encode_samples(noise(2_000)))
    (samples,) = sessions["decoder"].run(None, {"codes": codes, "frames": frames})
    assert samples.shape == (1, int(frames[0]) * described["hop_length"])
    assert described["codec_hash"] == tiny_codec.weights_hash
    assert described["domains"] == {"speech": [0, 256], "other": [256, 512]}


def test_a_folder_with_anything_else_in_it_is_refused_and_left_as_it_is(exported, tiny_codec, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "notes.txt").write_text("kept")
    with pytest.raises(ExportError, match=r"holds notes\.txt, which no export wrote"):
        graph_writing.write_onnx(tiny_codec, mine)
    earlier = shutil.copytree(exported, tmp_path / "earlier")
    (earlier / "notes.txt").write_text("kept")
    with pytest.raises(ExportError, match=r"holds notes\.txt"):
        graph_writing.write_onnx(tiny_codec, earlier)
    with pytest.raises(ExportError, match="it is a file"):
        graph_writing.write_onnx(tiny_codec, mine / "notes.txt")
    with pytest.raises(ExportError, match="does not exist"):
        graph_writing.write_onnx(tiny_codec, tmp_path / "no" / "folder")
    assert (mine / "notes.txt").read_text() == (earlier / "notes.txt").read_text() == "kept"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier", "mine"]


def test_an_earlier_export_is_replaced_whole_or_stays(exported, tiny_codec, tmp_path, monkeypatch):
    folder = shutil.copytree(exported, tmp_path / "earlier")
    before = (folder / DESCRIPTION).read_text(encoding="utf-8")
    other = LLMCodec.random(CodecConfig.preset("tiny"), seed=7)
    with monkeypatch.context() as patch:
        decode = graph_writing.TorchExportRunner.decode
        patch.setattr(graph_writing.TorchExportRunner, "decode", lambda *given: decode(*given) + np.float32(2e-4))
        with pytest.raises(ExportError, match=r"audio differs by 2\.0e-04"):
            graph_writing.write_torch_export(other, folder)
    assert (folder / DESCRIPTION).read_text(encoding="utf-8") == before
    assert OnnxCodec(folder, threads=1).weights_hash == tiny_codec.weights_hash
    graph_writing.write_torch_export(other, folder)
    assert read_description(folder, TORCH_EXPORT)[0]["codec_hash"] == other.weights_hash
    assert not list(folder.glob("*.onnx"))
    assert [path.name for path in tmp_path.iterdir()] == ["earlier"]


def test_a_graph_with_other_tokens_is_refused_and_leaves_nothing(tiny_codec, tmp_path, monkeypatch):
    encode = graph_writing.TorchExportRunner.encode

    def wrong(*given):
        found = encode(*given)
        codes = found.codes.copy()
        codes[-1, 0, 0] = (codes[-1, 0, 0] + 1) % 512
        return found._replace(codes=codes)

    monkeypatch.setattr(graph_writing.TorchExportRunner, "encode", wrong)
    with pytest.raises(ExportError, match=r"\d+ of \d+ frames otherwise than the codec on a clip of \d+ samples"):
        graph_writing.write_torch_export(tiny_codec, tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_not_whole_is_no_codec(exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "copy")
    with pytest.raises(ExportError, match="no export of this kind"):
        OnnxCodec(tmp_path)
    (folder / "decoder.onnx").rename(folder / "away")
    with pytest.raises(ExportError, match=r"it has no decoder\.onnx"):
        OnnxCodec(folder)
    whole = (folder / "away").read_bytes()
    (folder / "decoder.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ExportError, match=r"decoder\.onnx is not the file that was exported"):
        OnnxCodec(folder)


def test_the_codec_is_left_as_it_was(tmp_path):
    codec = LLMCodec.random(CodecConfig.preset("tiny"), seed=2)
    codec.model.train().requires_grad_(True)
    before = codec.weights_hash
    graph_writing.write_torch_export(codec, tmp_path / "programs")
    assert codec.weights_hash == before
    assert all(part.training for part in codec.model.modules())
    assert all(parameter.requires_grad for parameter in codec.model.parameters())


# -- torch.export, and the command -------------------------------------------------------------------------------------
def test_programs_of_torch_export_agree_with_the_codec_too(tiny_codec, noise, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    tiny_codec.save_pretrained("codec")
    assert main(["export", "--codec", "codec", "--torch-export", "programs"]) == 0
    assert re.search(r"\d+ tokens equal.*, audio within", capsys.readouterr().out)
    found = sorted(path.name for path in (tmp_path / "programs").iterdir())
    assert found == ["codec.json", "decoder.pt2", "encoder.pt2"]
    runner = TorchExportRunner("programs/encoder.pt2", "programs/decoder.pt2")
    samples, lengths = padded([clip.numpy() for clip in clips(noise)])
    encoded = runner.encode(samples, lengths, np.array([0, 512]))
    decoded = runner.decode(encoded.codes, encoded.frames)
    for row, clip in enumerate(clips(noise)):
        codes = torch.from_numpy(encoded.codes[row, :, : encoded.frames[row]])
        assert agreement.differences(tiny_codec, clip, codes)[1] == 0
        audio = tiny_codec.decode_codes(codes).numpy()
        np.testing.assert_allclose(decoded[row, : len(audio)], audio, atol=1e-4, rtol=0)
        assert not decoded[row, len(audio) :].any()


def test_either_decodes_the_others_tokens(exported, tiny_codec, noise):
    onnx = OnnxCodec(exported, threads=1)
    made = onnx.encode(noise(8_001), 16_000)
    np.testing.assert_allclose(tiny_codec.decode(made), onnx.decode(made), atol=1e-4, rtol=0)
    assert onnx.decode(tiny_codec.encode(noise(900), 8_000)).shape == (900,)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["export"], "nothing to export: give --onnx DIR, --torch-export DIR or both"),
        (["export", "--onnx", "same", "--torch-export", "same"], "need folders of their own"),
        (["export", "--onnx", "full"], "it holds mine.txt, which no export wrote"),
    ],
)
def test_the_command_refuses_before_it_loads_anything(tmp_path, monkeypatch, capsys, argv, says):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    assert main([*argv, "--codec", "no-such-codec"]) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.strip().splitlines()) == 1


def test_undecided_frames_are_those_that_rounding_decides(tiny_codec):
    # A constant has no phase but rounding's own; noise has a phase everywhere.
    assert agreement.undecided_frames(tiny_codec, torch.full((6_400,), 0.3)).any()
    noise = 0.1 * torch.randn(6_400, generator=torch.Generator().manual_seed(3))
    assert not agreement.undecided_frames(tiny_codec, noise).any()
    other = tiny_codec.encode_samples(noise)
    other[0, 4] = (other[0, 4] + 1) % 512
    assert agreement.differences(tiny_codec, noise, other) == (0, 1)
