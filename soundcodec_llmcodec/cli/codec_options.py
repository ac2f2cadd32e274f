"""The options of the commands of codecs: encode, decode, info, tokenize, listen, demo, export and superb-run."""

from __future__ import annotations

import argparse
from pathlib import Path


def encode(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec encode`."""
    parser.description = "Audio files to token files."
    _add_files(parser, "sound files, or folders of them", "the token file, or a folder for several")
    parser.add_argument("--keep-channels", action="store_true", help="code each channel (default: their mean)")
    parser.add_argument("--domain", help="restrict the codes to a domain, where the codec has any (speech, music, ...)")
    parser.add_argument("--levels", type=int, metavar="N", help="the first N codebook levels alone (default: all)")


def decode(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec decode`."""
    parser.description = "Token files to audio at the original rate and length."
    _add_files(parser, "token files, or folders of them", "the sound file (by its ending), or a folder for several")
    parser.add_argument("--float", action="store_true", help="32-bit float samples, unclipped (WAV only)")
    parser.add_argument("--sampling-rate", type=int, metavar="HZ", help="another rate than the original's")
    parser.add_argument("--force", action="store_true", help="decode tokens of another codec than the one loaded")


def info(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec info`."""
    parser.description = "Describe a token file, sound file or checkpoint."
    parser.add_argument("what", metavar="FILE|CHECKPOINT", help="a file, a folder, a hub id or a codec's name")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def tokenize(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec tokenize`."""
    parser.description = (
        "A corpus to parquet files of tokens that the package datasets reads. The same command goes on "
        "where it was stopped. Exits with 1 where some clips could not be read; they are listed in OUT/failed."
    )
    parser.add_argument(
        "--dataset", required=True, metavar="PLACE[:SPLIT]", help="a folder of sound files or parquet, or a hub id"
    )
    parser.add_argument("--codec", help="a name, folder, file or hub id (default: the bundled codec)")
    parser.add_argument("--out", required=True, metavar="DIR", type=Path, help="the folder of tokens")
    parser.add_argument("--split", help="what the split is called in DIR (default: as in --dataset, else train)")
    parser.add_argument("--domain", help="restrict the codes to a domain, where the codec has any")
    parser.add_argument(
        "--shift", type=int, default=0, metavar="SAMPLES", help="silence before each clip: another view of the audio"
    )
    parser.add_argument("--shard-clips", type=int, default=512, metavar="N", help="clips a file (default: 512)")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="every N-th file from the I-th on, to share work")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def listen(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec listen`."""
    parser.description = (
        "Write one HTML file with the original and the reconstruction of sound files to hear, their "
        "spectrograms, tokens, bit rate and measures. Only a page of this command is ever replaced."
    )
    parser.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help="sound files")
    parser.add_argument("-o", "--output", metavar="PAGE.html", help="default: beside the first input, NAME.listen.html")
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="of longer files, take the beginning (default: 60)"
    )
    _add_page(parser)


def demo(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec demo`."""
    parser.description = "`listen` with the bundled clips."
    parser.add_argument("-o", "--output", metavar="PAGE.html", help="default: llmcodec-demo.html")
    parser.set_defaults(seconds=60.0)
    _add_page(parser)


def export(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec export`."""
    parser.description = (
        "Write the encoder and the decoder as graphs with free batch and length, checked against the codec "
        "before they take their place. DIR is new, empty, or an earlier export, which is replaced."
    )
    parser.add_argument("--onnx", metavar="DIR", type=Path, help="encoder.onnx, decoder.onnx and codec.json")
    parser.add_argument("--torch-export", metavar="DIR", type=Path, help="encoder.pt2, decoder.pt2 and codec.json")
    parser.add_argument("--codec", help="a name, folder, file or hub id (default: the bundled codec)")
    parser.add_argument("--quiet", action="store_true", help="no summary")


def superb_run(parser: argparse.ArgumentParser) -> None:
    """Options of `llmcodec superb-run`."""
    parser.description = (
        "Run a Python script with these codecs in SoundCodec's registry, as `python SCRIPT ARGS` would."
    )
    parser.add_argument("--checkpoint", help="what the name llmcodec loads: a folder, a file or a hub id")
    parser.add_argument("--device", help="where the codecs run (default: cpu)")
    parser.add_argument("script", metavar="SCRIPT", type=Path)
    parser.add_argument("args", metavar="ARGS", nargs=argparse.REMAINDER)


def _add_files(parser: argparse.ArgumentParser, inputs: str, output: str) -> None:
    parser.add_argument("inputs", metavar="INPUT", nargs="+", type=Path, help=inputs)
    parser.add_argument("-o", "--output", required=True, help=output)
    parser.add_argument("--checkpoint", help="a name, folder, file or hub id (default: the bundled codec)")
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    parser.add_argument("--skip-existing", action="store_true", help="leave outputs that are there already")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")


def _add_page(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--codec", action="append", help="a name, folder, file or hub id; several to compare (default: the bundled)"
    )
    parser.add_argument("--device", default="cpu", help="cpu (default), cuda, cuda:1, mps")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument("--quiet", action="store_true", help="no progress bar and no summary")
