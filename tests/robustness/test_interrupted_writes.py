"""A full disk and a killed process: the old file stays whole, and no half file has its name."""

from __future__ import annotations

import errno
import multiprocessing
import os
import resource
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from soundcodec_llmcodec import audio, tokens
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.pages import single_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and resource limits")
_FORK = multiprocessing.get_context("fork") if sys.platform != "win32" else None
_LIMIT = 20_000


def _clip() -> tokens.Tokens:
    codes = torch.randint(0, 20_480, (1, 1, 20_000), generator=torch.Generator().manual_seed(0))
    return tokens.Tokens(codes, 20_000 * 320, 16_000, 20_480)


def _samples() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, 240_000).astype(np.float32)


def _write_tokens(path: Path) -> None:
    tokens.save(_clip(), path)


def _write_audio(path: Path) -> None:
    audio.write_audio(path, _samples(), 16_000)


def _write_page(path: Path) -> None:
    single_file.write("<p>page</p>" * 10_000, path)


def _write_checkpoint(path: Path) -> None:
    LLMCodec.random(CodecConfig.preset("tiny")).save_pretrained(path)


def _write_ngrams(path: Path) -> None:
    from soundcodec_llmcodec.data.token_corpus import TokenSource
    from soundcodec_llmcodec.lm.counted import NgramLM

    source = TokenSource("toy", "a" * 64, 16_000, 320, 20_480)
    NgramLM.count([np.arange(2_000)], source, 2).save(path)


def _write_shard(path: Path) -> None:
    from soundcodec_llmcodec.data.token_corpus import TokenClip, write_shard

    codes = np.random.default_rng(0).integers(0, 20_480, 50_000).astype(np.int32)
    write_shard(path, "train-00000-of-00001", [TokenClip("a", codes, 16_000_000)])


WRITERS = {
    "clip.llmc": _write_tokens,
    **{f"clip{ending}": _write_audio for ending in (".wav", ".flac", ".aiff", ".ogg", ".mp3")},
    "page.html": _write_page,
    "checkpoint": _write_checkpoint,
    "ngrams": _write_ngrams,
    "corpus": _write_shard,
}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _ended(function, *arguments) -> int:
    assert _FORK is not None
    child = _FORK.Process(target=function, args=arguments)
    child.start()
    child.join(120)
    return child.exitcode


def _on_a_full_disk(name: str, folder: Path, told: Path) -> None:
    torch.set_num_threads(1)
    # Files end here, as they would where the disk does; Python ignores the signal that comes with it.
    resource.setrlimit(resource.RLIMIT_FSIZE, (_LIMIT, _LIMIT))
    try:
        WRITERS[name](folder / name)
    except OSError as error:
        told.write_text(str(error))
        os._exit(3)
    os._exit(0)


@pytest.mark.parametrize("name", list(WRITERS))
@pytest.mark.parametrize("before", [False, True], ids=["new", "over an old one"])
def test_a_full_disk_is_an_error_and_leaves_what_was_there(name, before, tmp_path):
    if name == "corpus":
        pytest.importorskip("pyarrow")
    folder = tmp_path / "disk"
    folder.mkdir()
    if before:
        WRITERS[name](folder / name)
        assert max(map(len, _files(folder).values())) > _LIMIT
    held = _files(folder)
    assert _ended(_on_a_full_disk, name, folder, tmp_path / "told") == 3
    assert _files(folder) == held
    message = (tmp_path / "told").read_text()
    assert name.partition(".")[0] in message
    assert os.strerror(errno.EFBIG) in message


def _die_in_the_middle(name: str, folder: Path) -> None:
    torch.set_num_threads(1)

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    os.replace = die
    WRITERS[name](folder / name)


@pytest.mark.parametrize("name", list(WRITERS))
def test_a_killed_process_leaves_the_old_file_and_no_half_one(name, tmp_path):
    if name == "corpus":
        pytest.importorskip("pyarrow")
    folder = tmp_path / "disk"
    folder.mkdir()
    for old in (False, True):
        if old:
            WRITERS[name](folder / name)
        held = {path: data for path, data in _files(folder).items() if not _is_temporary(path)}
        if name == "ngrams":
            # Its token_lm.json is taken away first, so that nobody takes new counts for the old model's.
            held.pop("ngrams/token_lm.json", None)
        assert _ended(_die_in_the_middle, name, folder) == -signal.SIGKILL
        assert {path: data for path, data in _files(folder).items() if not _is_temporary(path)} == held


def _is_temporary(path: str) -> bool:
    """What begins with a dot, or lies in a folder that does, is read by nothing."""
    return any(part.startswith(".") for part in Path(path).parts)


def _write_slowly(path: Path, started: Path) -> None:
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(b"new" * 1_000)
        file.flush()
        started.touch()
        signal.pause()


def test_a_process_killed_while_it_writes(tmp_path):
    assert _FORK is not None
    target = tmp_path / "old.bin"
    target.write_bytes(b"old")
    child = _FORK.Process(target=_write_slowly, args=(target, tmp_path / "started"))
    child.start()
    while not (tmp_path / "started").exists():
        assert child.is_alive()
    child.kill()
    child.join()
    assert target.read_bytes() == b"old"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_device_without_room_is_an_error_that_names_it():
    with pytest.raises(OSError, match="No space left") as error:
        tokens.save(_clip(), "/dev/full")
    assert error.value.errno == errno.ENOSPC
