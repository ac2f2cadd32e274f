"""The commands listen and demo."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from pathlib import Path

from tqdm import tqdm

from soundcodec_llmcodec.audio_files import AudioError
from soundcodec_llmcodec.cli.codec_choice import load_codec
from soundcodec_llmcodec.cli.command_errors import CommandError, one_line
from soundcodec_llmcodec.listening import Excerpt, build, read_excerpt
from soundcodec_llmcodec.listening.listening_page import MARK
from soundcodec_llmcodec.pages import single_file

ENDING = ".listen.html"
DEMO_PAGE = "llmcodec-demo.html"
DEMO_CLIPS = Path(__file__).parent.parent / "assets" / "demo"
DEMO_NAMES = ("speech-english.flac", "speech-japanese.flac", "music-drums.flac")
DEMO_ABOUT = (
    "The clips that come with the package. They are synthetic: no person was recorded, and what they show is how a "
    "codec sounds, not how good it is."
)


def listen(arguments: argparse.Namespace) -> int:
    """`llmcodec listen`: returns the exit status. Raises one of USER_ERRORS before any file is touched."""
    if not 0 < arguments.seconds <= 3600:
        raise CommandError(f"expected --seconds above 0 and at most 3600, got {arguments.seconds:g}")
    inputs: list[Path] = arguments.inputs
    beside = inputs[0].with_name(inputs[0].stem + ENDING) if inputs[0].name else Path(ENDING)
    target = _target(arguments.output, beside)
    excerpts = []
    for path in inputs:
        try:
            excerpts.append(read_excerpt(path, arguments.seconds))
        except AudioError as error:
            message = one_line(error)
            raise CommandError(message if str(path) in message else f"{path}: {message}") from error
    title = excerpts[0].name if len(excerpts) == 1 else f"{excerpts[0].name} and {len(excerpts) - 1} more"
    return _write(arguments, excerpts, target, title, "")


def demo(arguments: argparse.Namespace) -> int:
    """`llmcodec demo`: the same for the clips that come with the package."""
    target = _target(arguments.output, Path(DEMO_PAGE))
    excerpts = [read_excerpt(DEMO_CLIPS / name) for name in DEMO_NAMES]
    return _write(arguments, excerpts, target, "LLM-Codec demo", DEMO_ABOUT)


def _write(arguments: argparse.Namespace, excerpts: list[Excerpt], target: Path, title: str, about: str) -> int:
    codecs = [load_codec(name, arguments.device) for name in arguments.codec or [None]]
    hidden = arguments.quiet or len(excerpts) == 1
    with tqdm(total=len(excerpts), unit="clip", disable=hidden) as bar:
        done = -1

        def progress(name: str) -> None:
            nonlocal done
            done += 1
            bar.n = done
            bar.set_postfix_str(name)

        text = build(excerpts, codecs, title=title, about=about, progress=progress)
        bar.n = len(excerpts)
        bar.set_postfix_str("")
    single_file.write(text, target)
    if not arguments.quiet:
        cut = sum(excerpt.is_cut for excerpt in excerpts)
        note = f"; {cut} cut to {arguments.seconds:g} s (--seconds)" if cut else ""
        clips = f"{len(excerpts)} clip{'s' * (len(excerpts) > 1)}"
        print(f"{target}: {clips}, {target.stat().st_size / 1e6:.1f} MB{note}")
    if arguments.open and not webbrowser.open(target.resolve().as_uri()):
        print(f"llmcodec: warning: found no browser to open {target} with", file=sys.stderr)
    return 0


def _target(output: str | None, default: Path) -> Path:
    """Where the page goes. Raises CommandError where something that is no such page is there already."""
    target = default if output is None else Path(output)
    if output is not None and (target.is_dir() or output.endswith(("/", os.sep))):
        target = target / default.name
    if target.suffix.lower() not in (".html", ".htm"):
        raise CommandError(f"cannot write {target}: name the page with .html")
    if not target.absolute().parent.is_dir():
        raise CommandError(f"the folder {target.parent} does not exist")
    if target.exists() and not _is_ours(target):
        raise CommandError(f"{target} is there and is no page of this command; name another with -o")
    return target


def _is_ours(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return MARK.encode() in file.read(1024)
