"""A folder as files of a bounded size, and back: for machines that are lent for minutes and take and give little.

python experiments/pieces.py pack runs/mid/checkpoints/step-00001000 out --mib 16
python experiments/pieces.py unpack out runs/mid/checkpoints/step-00001000
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

MANIFEST, SUFFIX = "pieces.json", ".piece"
MIB = 2**20


class PiecesError(ValueError):
    """Pieces that cannot be put together, with what is missing or damaged."""


def pack(folder: Path, out: Path, mib: float = 16) -> list[Path]:
    """Write the files of `folder` to `out` as pieces of at most `mib` MiB, last the manifest; returns the pieces."""
    size = int(mib * MIB)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    if size < 1 or not files:
        raise PiecesError(f"nothing to pack: {len(files)} files in {folder}, pieces of {mib} MiB")
    out.mkdir(parents=True, exist_ok=True)
    pieces: list[Path] = []
    digests: list[str] = []
    with tempfile.TemporaryFile() as whole:
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
            for path in files:
                archive.write(path, path.relative_to(folder).as_posix())
        whole.seek(0)
        while block := whole.read(size):
            piece = out / f"{len(pieces):03d}{SUFFIX}"
            piece.write_bytes(block)
            pieces.append(piece)
            digests.append(hashlib.sha256(block).hexdigest())
    (out / MANIFEST).write_text(json.dumps({"pieces": digests}) + "\n", encoding="utf-8")
    return pieces


def unpack(packed: Path, folder: Path) -> list[Path]:
    """Put pieces together again in `folder`; returns the files. Raises PiecesError, before it writes, where one is
    missing or damaged."""
    try:
        digests = json.loads((packed / MANIFEST).read_text(encoding="utf-8"))["pieces"]
    except (OSError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise PiecesError(f"{packed} has no whole {MANIFEST}: {error!r}") from error
    with tempfile.TemporaryFile() as whole:
        for index, digest in enumerate(digests):
            piece = packed / f"{index:03d}{SUFFIX}"
            block = piece.read_bytes() if piece.is_file() else None
            if block is None or hashlib.sha256(block).hexdigest() != digest:
                raise PiecesError(
                    f"{piece} is {'missing' if block is None else 'damaged'}; it is one of {len(digests)}"
                )
            whole.write(block)
        with zipfile.ZipFile(whole) as archive:
            names = archive.namelist()
            outside = [name for name in names if Path(name).is_absolute() or ".." in Path(name).parts]
            if outside:
                raise PiecesError(f"{packed} holds files outside of a folder: {outside[0]!r}")
            folder.mkdir(parents=True, exist_ok=True)
            archive.extractall(folder)
    return [folder / name for name in names]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="pieces", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("pack", "unpack"))
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--mib", type=float, default=16, help="the largest piece (default: 16)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.what == "pack":
            made = pack(arguments.source, arguments.target, arguments.mib)
        else:
            made = unpack(arguments.source, arguments.target)
    except (PiecesError, OSError) as error:
        print(f"pieces: error: {error}", file=sys.stderr)
        return 2
    print(f"{len(made)} files in {arguments.target}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
