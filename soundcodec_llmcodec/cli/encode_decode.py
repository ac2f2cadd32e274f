"""The commands encode and decode, one file or many."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from soundcodec_llmcodec import tokens
from soundcodec_llmcodec.audio_files import check_rate
from soundcodec_llmcodec.audio_writing import check_ending, write_audio
from soundcodec_llmcodec.cli.codec_choice import TOKEN_ENDING, load_codec
from soundcodec_llmcodec.cli.command_errors import FILE_ERRORS, CommandError, one_line
from soundcodec_llmcodec.data import SOUND_ENDINGS, sound_files
from soundcodec_llmcodec.data.arrow_tables import visible_files
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.token_ids import TokenError

_HASH_SHOWN = 12


def encode(arguments: argparse.Namespace) -> int:
    """`llmcodec encode`: returns the exit status. Raises one of USER_ERRORS before any file is touched."""
    jobs = _jobs(arguments, SOUND_ENDINGS, TOKEN_ENDING)
    for _, target in jobs:
        # Tokens under a sound file's name would be found out by whoever plays it. A device or pipe has no ending.
        if target.suffix.lower() != TOKEN_ENDING and (target.is_file() or not target.exists()):
            raise CommandError(f"cannot write {target}: name a token file with {TOKEN_ENDING}, or a folder with /")
    codec = load_codec(arguments.checkpoint, arguments.device)
    if arguments.domain not in (None, *codec.config.domains):
        domains = ", ".join(codec.config.domains) or "none: its codebook is undivided"
        raise CommandError(f"no domain is called {arguments.domain!r}; the domains of {codec.name} are: {domains}")
    levels = codec.config.num_quantizers if arguments.levels is None else arguments.levels
    if levels not in codec.config.levels_to_decode:
        choices = ", ".join(map(str, codec.config.levels_to_decode))
        raise CommandError(f"{codec.name} decodes {choices} levels, not {levels}: give --levels one of them")

    def encode_file(source: Path, target: Path) -> str:
        clip = codec.encode(
            os.fspath(source),
            domain=arguments.domain,
            keep_channels=arguments.keep_channels,
            progress=not arguments.quiet,
        ).first_levels(levels)
        tokens.save(clip, target)
        size = target.stat().st_size
        return f"{clip.duration_s:.2f} s, {len(clip)} frames, {size} bytes, {clip.bitrate_bps:.0f} bit/s"

    return _run(jobs, encode_file, arguments)


def decode(arguments: argparse.Namespace) -> int:
    """`llmcodec decode`: returns the exit status. Raises one of USER_ERRORS before any file is touched."""
    jobs = _jobs(arguments, (TOKEN_ENDING,), ".wav")
    check_ending(*(target for _, target in jobs))
    if arguments.float and any(target.suffix.lower() != ".wav" for _, target in jobs):
        raise CommandError("--float is for WAV files; name the output with .wav")
    if arguments.sampling_rate is not None:
        check_rate(arguments.sampling_rate)
    codec = load_codec(arguments.checkpoint, arguments.device)

    def decode_file(source: Path, target: Path) -> str:
        clip = tokens.load(source)
        _check_codec(clip, codec, arguments.force)
        rate = arguments.sampling_rate or clip.sampling_rate
        samples = codec.decode(clip, sampling_rate=rate, any_codec=arguments.force, progress=not arguments.quiet)
        write_audio(target, samples, rate, subtype="FLOAT" if arguments.float else None)
        return f"{samples.shape[-1] / rate:.2f} s at {rate} Hz, {clip.channels} channel{'s' * (clip.channels > 1)}"

    return _run(jobs, decode_file, arguments)


def _check_codec(clip: tokens.Tokens, codec: LLMCodec, force: bool) -> None:
    """Raise TokenError, naming this command's options, unless the codec made these tokens or `force` is given."""
    if not force and clip.codec_hash not in (None, codec.weights_hash):
        made_by = f"{str(clip.codec_hash)[:_HASH_SHOWN]} ({clip.codec_name or 'name unknown'})"
        raise TokenError(
            f"made by codec {made_by}, but this is {codec.weights_hash[:_HASH_SHOWN]} ({codec.name}); name the codec "
            f"that made it with --checkpoint, or pass --force"
        )


def _jobs(arguments: argparse.Namespace, endings: Sequence[str], ending: str) -> list[tuple[Path, Path]]:
    """(input, output) pairs. Folders are searched for files with one of `endings`; `ending` is the outputs'.

    Raises CommandError for missing or empty inputs, two inputs with one output, or an output that is an input.
    """
    output = Path(arguments.output)
    single = len(arguments.inputs) == 1 and not arguments.inputs[0].is_dir()
    if single and not output.is_dir() and not arguments.output.endswith(("/", os.sep)):
        jobs = [(arguments.inputs[0], output)]
        if not output.absolute().parent.is_dir():
            raise CommandError(f"the folder {output.parent} does not exist")
    else:
        if output.exists() and not output.is_dir():
            raise CommandError(f"several inputs need a folder for their outputs, and {output} is a file")
        jobs = []
        for source in arguments.inputs:
            paths = _files_in(source, endings) if source.is_dir() else [source]
            if not paths:
                raise CommandError(f"the folder {source} has no {', '.join(endings)} files")
            base = source if source.is_dir() else source.parent
            jobs += [(path, output / path.relative_to(base).with_suffix(ending)) for path in paths]
    _check_jobs(jobs)
    return jobs


def _files_in(folder: Path, endings: Sequence[str]) -> list[Path]:
    """The files to work on; of sound that cannot be read, those that have no readable twin beside them."""
    matches = visible_files(folder, endings)
    if TOKEN_ENDING in endings:
        return matches
    readable = {path.with_suffix("") for path in matches}
    return [path for path in sound_files(folder) if path in matches or path.with_suffix("") not in readable]


def _check_jobs(jobs: Sequence[tuple[Path, Path]]) -> None:
    sources = {source.resolve() for source, _ in jobs}
    source_of: dict[Path, Path] = {}
    for source, target in jobs:
        if not source.exists():
            raise CommandError(f"there is no file {source}")
        if target.resolve() in sources:
            raise CommandError(f"the output {target} is an input too; give it another name")
        if target in source_of:
            raise CommandError(f"{source_of[target]} and {source} would both be written to {target}")
        source_of[target] = source


def _run(jobs: Sequence[tuple[Path, Path]], convert: Callable[[Path, Path], str], arguments: argparse.Namespace) -> int:
    """Do every job; of several, a failed one is reported and the others are still done."""
    failed = 0
    several = len(jobs) > 1
    for source, target in tqdm(jobs, unit="file", disable=arguments.quiet or not several):
        if arguments.skip_existing and target.exists():
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            summary = convert(source, target)
        except FILE_ERRORS as error:
            failed += 1
            message = one_line(error)
            named = message if str(source) in message else f"{source}: {message}"
            tqdm.write(f"llmcodec: error: {named}", file=sys.stderr)
            continue
        if not arguments.quiet:
            tqdm.write(f"{source} -> {target}: {summary}", file=sys.stdout)
    if failed and several:
        print(f"llmcodec: error: {failed} of {len(jobs)} files failed", file=sys.stderr)
    return 2 if failed else 0
