"""Sound sets of small files for every target, and the damage that its format invites."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np

from fuzzing import crafted
from fuzzing.mutate import damaged, damaged_json, extreme

Files = dict[str, bytes]
_CODEC = {
    "n_fft": 64,
    "hop_length": 32,
    "hidden_size": 16,
    "encoder_layers": 1,
    "decoder_layers": 1,
    "head_dim": 8,
    "ffn_mult": 1,
    "conv_kernel_size": 3,
    "attention_window": 4,
    "codebook_size": 32,
    "codebook_dim": 4,
}
_FORMATS = (
    ("wav", "PCM_16", "WAV"),
    ("wav", "FLOAT", "WAVEX"),
    ("wav", "IMA_ADPCM", "WAV"),
    ("flac", "PCM_16", "FLAC"),
    ("ogg", "VORBIS", "OGG"),
    ("opus", "OPUS", "OGG"),
    ("mp3", "MPEG_LAYER_III", "MP3"),
    ("aiff", "PCM_16", "AIFF"),
    ("au", "PCM_16", "AU"),
    ("caf", "ALAC_16", "CAF"),
)


# -- token files and text ----------------------------------------------------------------------------------------------
def token_files(folder: Path) -> list[Files]:
    """Token files of several sizes of codebook, levels and channels."""
    import torch

    from soundcodec_llmcodec.tokens import Tokens, dumps

    made = []
    for size, levels, channels, frames in ((20_480, 1, 1, 50), (2, 1, 1, 9), (512, 2, 2, 30), (2**31, 1, 1, 7)):
        codes = torch.randint(0, size, (channels, levels, frames), generator=torch.Generator().manual_seed(size))
        tokens = Tokens(codes, frames * 300, 16_000, size, codec_hash="ab" * 32, codec_name="tiny ü")
        made.append({"clip.llmc": dumps(tokens)})
    return made


def damage_tokens(seeds: list[Files], random_: random.Random) -> Files:
    """Half of the cases have sound checksums again, so that what stands behind them is reached."""
    data = random_.choice(seeds)["clip.llmc"]
    if random_.random() < 0.5:
        return {"clip.llmc": damaged(data, random_, random_.choice(seeds)["clip.llmc"])}
    start, header = struct.Struct("<8sHI"), struct.Struct("<B32sIIIHHQQIH")
    magic, version, length = start.unpack_from(data)
    fields = list(header.unpack_from(data, start.size))
    widths = (1, None, 4, 4, 4, 2, 2, 8, 8, 4, 2)
    for _ in range(random_.randint(0, 3)):
        index = random_.randrange(len(fields))
        if widths[index]:
            fields[index] = extreme(random_, widths[index])
    name = data[start.size + header.size : start.size + length]
    if random_.random() < 0.2:
        name = damaged(name, random_)[:2_000]
    head = start.pack(magic, version, header.size + len(name)) + header.pack(*fields) + name
    payload = data[start.size + length + 4 : -4]
    if random_.random() < 0.6:
        payload = damaged(payload, random_)
    return {"clip.llmc": head + _crc(head) + payload + _crc(payload)}


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def texts(folder: Path) -> list[Files]:
    """Text after a "t", JSON after a "j"."""
    spoken = "".join(f"<CODEC_{i * 97 % 20_480}>" for i in range(40))
    lists = ([1, 5, 20_479], [[1, 2], [3, 4]], ["<CODEC_1>", "<CODEC_2>"], [0], [[7, 8, 9]])
    return [{"ids": b"t" + spoken.encode()}, *({"ids": b"j" + json.dumps(ids).encode()} for ids in lists)]


def damage_text(seeds: list[Files], random_: random.Random) -> Files:
    """Text as bytes or as JSON; the first byte, which says what it is, stays."""
    ids = random_.choice(seeds)["ids"]
    other = random_.choice(seeds)["ids"]
    change = damaged_json(ids[1:], random_) if random_.random() < 0.6 else damaged(ids[1:], random_, other[1:])
    return {"ids": ids[:1] + change}


# -- audio -------------------------------------------------------------------------------------------------------------
def sounds(folder: Path) -> list[Files]:
    """A tenth of a second in every format that this libsndfile writes; some after a tag, after junk, or twice."""
    import soundfile

    made = []
    for ending, subtype, container in _FORMATS:
        if not soundfile.check_format(container, subtype):
            continue
        for channels in (1, 2):
            clip = np.random.default_rng(0).uniform(-0.3, 0.3, (2_400, channels)).astype(np.float32)
            file = io.BytesIO()
            soundfile.write(file, clip, 24_000, subtype=subtype, format=container)
            data = file.getvalue()
            made.append({f"clip.{ending}": data})
            if container in ("WAV", "AIFF", "FLAC", "OGG", "MP3"):
                tag = b"ID3\3\0\0\0\0\0\x7f" + bytes(127)
                made += [{f"clip.{ending}": changed} for changed in (tag + data, bytes(99) + data, data + data)]
    return made


def damage_sound(seeds: list[Files], random_: random.Random) -> Files:
    """Splices may join two formats; the ending may be another's."""
    ((name, data),) = random_.choice(seeds).items()
    ((other_name, other),) = random_.choice(seeds).items()
    return {other_name if random_.random() < 0.05 else name: damaged(data, random_, other)}


# -- folders -----------------------------------------------------------------------------------------------------------
def checkpoints(folder: Path) -> list[Files]:
    """A small codec as a folder, and as a `.pt` with its config beside it."""
    import torch

    codec = _codec()
    codec.save_pretrained(folder / "saved")
    whole = _files(folder / "saved")
    held = io.BytesIO()
    torch.save(codec.model.state_dict(), held)
    return [whole, whole, {"config.json": whole["config.json"], "codec.pt": held.getvalue()}]


def ngrams(folder: Path) -> list[Files]:
    """Counted models of orders 1 to 3."""
    from soundcodec_llmcodec.lm.counted import NgramLM

    clips = [np.random.default_rng(0).integers(0, 32, 60)]
    made = []
    for order in (1, 2, 3):
        NgramLM.count(clips, _source(), order).save(folder / str(order))
        made.append(_files(folder / str(order)))
    return made


def language_models(folder: Path) -> list[Files]:
    """A neural model of one layer, E = 8."""
    import torch
    import transformers

    from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
    from soundcodec_llmcodec.vocabulary import TokenSpec

    torch.manual_seed(0)
    small = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 4, "vocab_size": 34}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 32}
    config = transformers.LlamaConfig(**small, **heads, bos_token_id=0, eos_token_id=1, pad_token_id=None)
    model = transformers.LlamaForCausalLM(config).eval()
    NeuralTokenLM(model, TokenSpec(2, 32), _source(), bos_id=0, eos_id=1, name="small").save(folder / "lm")
    return [_files(folder / "lm")]


def corpora(folder: Path) -> list[Files]:
    """A corpus of two shards."""
    from soundcodec_llmcodec.data import token_corpus

    place = folder / "corpus"
    token_corpus.write_source(place, _source())
    for index in range(2):
        codes = [np.random.default_rng(clip).integers(0, 32, 20).astype(np.int32) for clip in range(3)]
        clips = [token_corpus.TokenClip(f"clip-{i}", ids, 640, "words", None) for i, ids in enumerate(codes)]
        token_corpus.write_shard(place, token_corpus.shard_name("train", index, 2), clips)
    return [_files(place)]


def damage_files(seeds: list[Files], random_: random.Random) -> Files:
    """One file of a set, as its format invites; now and then one is missing or empty."""
    files = dict(random_.choice(seeds))
    name = random_.choice(sorted(files))
    chance = random_.random()
    if chance < 0.01:
        del files[name]
    elif chance < 0.02:
        files[name] = b""
    elif name.endswith(".json"):
        files[name] = damaged_json(files[name], random_)
    elif name.endswith(".safetensors") and chance < 0.7:
        files[name] = crafted.safetensors(files[name], random_)
    elif name.endswith(".pt") and chance < 0.7:
        files[name] = crafted.torch_zip(files[name], random_)
    else:
        files[name] = damaged(files[name], random_, random_.choice(list(files.values())))
    return files


# -- pickles -----------------------------------------------------------------------------------------------------------
def pickles(folder: Path) -> list[Files]:
    """`.pt` files, zipped and old, that would make a file `executed` in the working folder."""
    codec = _codec()
    codec.save_pretrained(folder / "saved")
    config = (folder / "saved" / "config.json").read_bytes()
    return [{"config.json": config, "codec.pt": made} for made in crafted.pickles(codec.model.state_dict())]


def damage_pickle(seeds: list[Files], random_: random.Random) -> Files:
    """A crafted pickle as it is, or its archive damaged."""
    files = dict(random_.choice(seeds))
    if random_.random() < 0.7 and zipfile.is_zipfile(io.BytesIO(files["codec.pt"])):
        files["codec.pt"] = crafted.torch_zip(files["codec.pt"], random_, keep_pickle=True)
    elif random_.random() < 0.5:
        files["codec.pt"] = damaged(files["codec.pt"], random_)
    return files


def _codec():
    from soundcodec_llmcodec.config import CodecConfig
    from soundcodec_llmcodec.llmcodec import LLMCodec

    return LLMCodec.random(CodecConfig(**_CODEC))


def _source():
    from soundcodec_llmcodec.data.token_corpus import TokenSource

    return TokenSource("tiny", "a" * 64, 16_000, 320, 32)


def _files(folder: Path) -> Files:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
