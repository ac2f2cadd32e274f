"""The package's readers, each on a folder that holds one case. They give about how many bytes they made of it.

What a reader accepts is used as a caller would, so that what is wrong but well-formed shows where it hurts.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def tokens(folder: Path) -> int:
    """A token file, by path and written again."""
    from soundcodec_llmcodec import tokens as token_files

    read = token_files.load(folder / "clip.llmc")
    if token_files.loads(token_files.dumps(read)) != read:
        raise AssertionError("what was read is not what its own file holds")
    return int(read.codes.nbytes) * 4


def text(folder: Path) -> int:
    """Text or a JSON list, with every treatment of what is out of range."""
    from soundcodec_llmcodec.token_ids import TokenError, parse_codes

    raw = (folder / "ids").read_bytes()
    given = raw[1:].decode("utf-8", errors="surrogateescape")
    ids = given
    if raw[:1] == b"j":
        try:
            ids = json.loads(given)
        except (ValueError, RecursionError):
            ids = given
    refused = None
    for levels, rule in ((1, "raise"), (1, "drop"), (1, "nearest"), (2, "drop")):
        try:
            found = parse_codes(ids, 20_480, levels, rule)
        except TokenError as error:
            refused = refused or (error if rule == "raise" else None)
            continue
        if not 0 <= int(found.min()) <= int(found.max()) < 20_480:
            raise AssertionError("codes out of range were given back")
    if refused is not None:
        raise refused
    return 64 * len(raw)


def audio(folder: Path) -> int:
    """A sound file as bytes and, block by block, by its path."""
    from soundcodec_llmcodec import audio as audio_io
    from soundcodec_llmcodec.audio_files import AudioError

    (path,) = folder.iterdir()
    try:
        clip = audio_io.as_clip(path.read_bytes())
    except AudioError:
        audio_io.read_mono(path, 16_000)
        raise
    read = audio_io.read_mono(path, 16_000)
    return 2 * int(clip.samples.nbytes) + int(read.samples.nbytes)


def checkpoint(folder: Path) -> int:
    """A checkpoint's folder or `.pt` file; what loads also codes a fifth of a second and back."""
    from soundcodec_llmcodec.llmcodec import LLMCodec

    source = folder / "codec.pt" if (folder / "codec.pt").exists() else folder
    codec = LLMCodec.from_pretrained(source)
    clip = np.sin(np.arange(3_200, dtype=np.float32) / 9)
    samples = codec.decode(codec.encode(clip, 16_000))
    if samples.shape != (3_200,):
        raise AssertionError(f"3200 samples came back as {samples.shape}")
    return sum(tensor.nbytes for tensor in codec.model.state_dict().values())


def pickled(folder: Path) -> int:
    """A `.pt` file that must not be read."""
    from soundcodec_llmcodec import checkpoints

    checkpoints.load(folder / "codec.pt")
    raise AssertionError("a crafted pickle was read")


def language_model(folder: Path) -> int:
    """A token language model; what loads also scores a clip."""
    import torch

    from soundcodec_llmcodec.lm.loading import load_token_lm

    torch.set_num_threads(1)
    lm = load_token_lm(folder)
    most = getattr(lm, "max_positions", None)
    if most is not None and most < 4:
        # A model of so few positions refuses the clip, as it says.
        return 0
    (scores,) = lm.score([np.arange(4, dtype=np.int64)])
    if len(scores.audio_nll) not in (3, 4):
        raise AssertionError(f"4 tokens have {len(scores.audio_nll)} scores")
    return 0


def corpus(folder: Path) -> int:
    """A token corpus: its length and every clip."""
    from soundcodec_llmcodec.data.token_corpus import TokenCorpus

    opened = TokenCorpus.open(str(folder))
    size = sum(clip.codes.nbytes for clip in opened.clips())
    len(opened)
    return size
