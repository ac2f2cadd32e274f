"""The command line: encode, decode, info, tokenize, listen, demo, export, superb-run, train, lm."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soundcodec_llmcodec import __version__
from soundcodec_llmcodec.terminal import show_what_can_be_shown

_OWN_COMMANDS = {
    "train": ("train a codec (needs the extra 'train')", "train"),
    "lm": ("language models over tokens: train, count, score, continue (needs the extra 'lm')", "token_lm"),
}
_EPILOG = "LLMCODEC_CHECKPOINT names another checkpoint for the default codec. Errors of use exit with status 2."


def parser() -> argparse.ArgumentParser:
    """The command line of `llmcodec`."""
    top = argparse.ArgumentParser(prog="llmcodec", description="LLM-Codec: audio to tokens and back.", epilog=_EPILOG)
    top.add_argument("--version", action="version", version=f"llmcodec {__version__}")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    _add_encode(commands)
    _add_decode(commands)
    _add_info(commands)
    _add_tokenize(commands)
    _add_listen(commands)
    _add_export(commands)
    _add_superb_run(commands)
    # Only for the list of commands: main hands everything after the word to commands of their own.
    for name, (about, _) in _OWN_COMMANDS.items():
        commands.add_parser(name, help=about, add_help=False)
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status. A user's error is one line on stderr and status 2."""
    show_what_can_be_shown()
    argv = list(sys.argv[1:] if argv is None else argv)
    own = bool(argv) and argv[0] in _OWN_COMMANDS
    arguments = parser().parse_args(argv[:1] if own else argv)
    # Only now: `--help` and `--version` need not wait for torch.
    from soundcodec_llmcodec.cli import common, encode_decode, info, listen, tokenize
    from soundcodec_llmcodec.cli import export_graphs as export
    from soundcodec_llmcodec.cli import superb_run as run

    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            if arguments.command == "encode":
                return encode_decode.encode(arguments)
            if arguments.command == "decode":
                return encode_decode.decode(arguments)
            if arguments.command == "info":
                return info.info(arguments)
            if arguments.command == "tokenize":
                return tokenize.tokenize(arguments)
            if arguments.command == "listen":
                return listen.listen(arguments)
            if arguments.command == "demo":
                return listen.demo(arguments)
            if arguments.command == "export":
                return export.export(arguments)
            if own:
                return getattr(run, _OWN_COMMANDS[argv[0]][1])(argv[1:])
            script = run.prepare_script(arguments)
        except common.USER_ERRORS as error:
            print(f"llmcodec: error: {common.one_line(error)}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("llmcodec: stopped; no file is left half written", file=sys.stderr)
            return 130
    # Outside of the handlers: a script's own errors and warnings look as they do under python itself.
    return run.run_script(script, arguments.args)


def _add_encode(commands: Any) -> None:
    encode = commands.add_parser("encode", help="audio to tokens (.llmc)", description="Audio files to token files.")
    _add_files(encode, "sound files, or folders of them", "the token file, or a folder for several")
    encode.add_argument("--keep-channels", action="store_true", help="code each channel (default: their mean)")
    encode.add_argument("--domain", help="restrict the codes to a domain, where the codec has any (speech, music, ...)")


def _add_decode(commands: Any) -> None:
    decode = commands.add_parser(
        "decode", help="tokens (.llmc) to audio", description="Token files to audio at the original rate and length."
    )
    _add_files(decode, "token files, or folders of them", "the sound file (by its ending), or a folder for several")
    decode.add_argument("--float", action="store_true", help="32-bit float samples, unclipped (WAV only)")
    decode.add_argument("--sampling-rate", type=int, metavar="HZ", help="another rate than the original's")
    decode.add_argument("--force", action="store_true", help="decode tokens of another codec than the one loaded")


def _add_info(commands: Any) -> None:
    info = commands.add_parser(
        "info", help="describe a file or a checkpoint", description="Describe a token file, sound file or checkpoint."
    )
    info.add_argument("what", metavar="FILE|CHECKPOINT", help="a file, a folder, a hub id or a codec's name")
    info.add_argument("--json", action="store_true", help="one JSON object")


def _add_tokenize(commands: Any) -> None:
    tokenize = commands.add_parser(
        "tokenize",
        help="a corpus to tokens (parquet)",
        description="A corpus to parquet files of tokens that the package datasets reads. The same command goes on "
        "where it was stopped. Exits with 1 where some clips could not be read; they are listed in OUT/failed.",
    )
    tokenize.add_argument(
        "--dataset", required=True, metavar="PLACE[:SPLIT]", help="a folder of sound files or parquet, or a hub id"
    )
    tokenize.add_argument("--codec", help="a name, folder, file or hub id (default: the bundled codec)")
    tokenize.add_argument("--out", required=True, metavar="DIR", type=Path, help="the folder of tokens")
    tokenize.add_argument("--split", help="what the split is called in DIR (default: as in --dataset, else train)")
    tokenize.add_argument("--domain", help="restrict the codes to a domain, where the codec has any")
    tokenize.add_argument(
        "--shift", type=int, default=0, metavar="SAMPLES", help="silence before each clip: another view of the audio"
    )
    tokenize.add_argument("--shard-clips", type=int, default=512, metavar="N", help="clips a file (default: 512)")
    tokenize.add_argument(
        "--part", default="0/1", metavar="I/N", help="every N-th file from the I-th on, to share work"
    )
    tokenize.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    tokenize.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _add_listen(commands: Any) -> None:
    listen = commands.add_parser(
        "listen",
        help="original and reconstruction on one HTML page",
        description="Write one HTML file with the original and the reconstruction of sound files to hear, their "
        "spectrograms, tokens, bit rate and measures. Only a page of this command is ever replaced.",
    )
    listen.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help="sound files")
    listen.add_argument("-o", "--output", metavar="PAGE.html", help="default: beside the first input, NAME.listen.html")
    listen.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="of longer files, take the beginning (default: 60)"
    )
    demo = commands.add_parser(
        "demo", help="the same page of the clips that come with it", description="`listen` with the bundled clips."
    )
    demo.add_argument("-o", "--output", metavar="PAGE.html", help="default: llmcodec-demo.html")
    demo.set_defaults(seconds=60.0)
    for command in (listen, demo):
        command.add_argument(
            "--codec", action="append", help="a name, folder, file or hub id; several to compare (default: the bundled)"
        )
        command.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
        command.add_argument("--open", action="store_true", help="open the page in the browser")
        command.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _add_export(commands: Any) -> None:
    export = commands.add_parser(
        "export",
        help="the codec as ONNX graphs, or as programs of torch.export",
        description="Write the encoder and the decoder as graphs with free batch and length, checked against the codec "
        "before they take their place. DIR is new, empty, or an earlier export, which is replaced.",
    )
    export.add_argument("--onnx", metavar="DIR", type=Path, help="encoder.onnx, decoder.onnx and codec.json")
    export.add_argument("--torch-export", metavar="DIR", type=Path, help="encoder.pt2, decoder.pt2 and codec.json")
    export.add_argument("--codec", help="a name, folder, file or hub id (default: the bundled codec)")
    export.add_argument("--quiet", action="store_true", help="no summary")


def _add_superb_run(commands: Any) -> None:
    run = commands.add_parser(
        "superb-run",
        help="run a script of Codec-SUPERB with these codecs registered",
        description="Run a Python script with these codecs in SoundCodec's registry, as `python SCRIPT ARGS` would.",
    )
    run.add_argument("--checkpoint", help="what the name llmcodec loads: a folder, a file or a hub id")
    run.add_argument("--device", help="where the codecs run (default: cpu)")
    run.add_argument("script", metavar="SCRIPT", type=Path)
    run.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER)


def _add_files(command: argparse.ArgumentParser, inputs: str, output: str) -> None:
    command.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help=inputs)
    command.add_argument("-o", "--output", required=True, help=output)
    command.add_argument("--checkpoint", help="a name, folder, file or hub id (default: the bundled codec)")
    command.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    command.add_argument("--skip-existing", action="store_true", help="leave outputs that are there already")
    command.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"llmcodec: warning: {message}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
