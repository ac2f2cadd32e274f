"""The file that makes a folder a language model over tokens: what kind it is, and of which codec's tokens.

    FOLDER/token_lm.json      format, version, kind ("neural" or "ngram"), name, codec, and what that kind needs
    FOLDER/...                neural: a transformers folder; ngram: ngrams.safetensors

    FOLDER/tokenizer.json     neural: a tokenizer of "<CODEC_i>", beside whatever else transformers keeps of it

A folder with a token_lm.json is whole: it comes last, and goes before anything else is replaced.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.data.token_corpus import TokenCorpusError, TokenSource
from soundcodec_llmcodec.files import read_json
from soundcodec_llmcodec.lm.characters import Characters
from soundcodec_llmcodec.vocabulary import TokenSpec

FORMAT = "llmcodec-token-lm"
FORMAT_VERSION = 1
FILE = "token_lm.json"
NEURAL, NGRAM = "neural", "ngram"
KINDS = (NEURAL, NGRAM)
_MODEL = re.compile(
    r"(config|generation_config|codec_tokens|training)\.json|ngrams\.safetensors|model\.safetensors\.index\.json"
    r"|model(-\d{5}-of-\d{5})?\.safetensors"
)
_TOKENIZER = re.compile(
    r"(tokenizer|tokenizer_config|vocab|added_tokens|special_tokens_map)\.json|merges\.txt|tokenizer\.model"
    r"|chat_template\.(jinja|json)"
)
_FIELDS = {"format", "version", "kind", "name", "codec", "model"}


class TokenLMError(ValueError):
    """A language model over tokens that cannot be found or read, with what was found and what was expected."""


@dataclass(frozen=True)
class Description:
    """What `token_lm.json` says; `model` is what the kind needs beside its weights or counts."""

    kind: str
    name: str
    source: TokenSource
    model: Mapping[str, Any]

    @property
    def codec_hash(self) -> str:
        """That of the codec whose tokens it was trained on."""
        return self.source.codec_hash


@dataclass(frozen=True)
class NeuralDescription:
    """What `token_lm.json` says of a neural model: where its codes stand, which tokens begin and end a clip, and the
    text that it speaks, where it does."""

    name: str
    source: TokenSource
    spec: TokenSpec
    bos_id: int | None
    eos_id: int | None
    text: Characters | None = None


def check_target(folder: str | Path, kind: str) -> None:
    """Look, before anything long is begun, whether a model of this kind may be saved in a folder.

    Raises TokenLMError where the folder holds a model of another kind, or files of a save's names that no save wrote:
    those in a folder without token_lm.json.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise TokenLMError(f"{folder} is a file; name a folder for the language model")
    if (folder / FILE).is_file():
        held = describe(folder)
        if held.kind != kind:
            raise TokenLMError(
                f"{folder} holds {held.name}, a {held.kind} model, and would lose it; take another folder"
            )
    elif theirs := _saved_files(folder):
        listed = ", ".join(path.name for path in theirs[:4]) + (", ..." if len(theirs) > 4 else "")
        raise TokenLMError(
            f"{folder} has no {FILE}, so its {listed} are not of a language model that was saved by this program, and "
            "would be lost; take another folder, or remove them"
        )


@contextlib.contextmanager
def written(folder: str | Path, described: Description) -> Iterator[Path]:
    """A folder to write a model's files to. When the block ends without an error they take their place in `folder`,
    those of an earlier save go, and `token_lm.json` comes last; else everything stays as it was.

    Raises TokenLMError as `check_target` does.
    """
    folder = Path(folder)
    check_target(folder, described.kind)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".saving-") as name:
        scratch = Path(name)
        yield scratch
        (scratch / FILE).write_text(_text(described), encoding="utf-8")
        files = [path.relative_to(scratch) for path in scratch.rglob("*") if path.is_file()]
        (folder / FILE).unlink(missing_ok=True)
        for path in sorted(files, key=lambda path: path.name == FILE):
            if path.name == FILE:
                for old in _saved_files(folder):
                    if old.relative_to(folder) not in files:
                        old.unlink()
            (scratch / path).chmod(0o644)  # safetensors writes for the owner alone
            (folder / path).parent.mkdir(exist_ok=True)
            os.replace(scratch / path, folder / path)


def tokenizer_files(folder: Path) -> list[Path]:
    """The files of a tokenizer in a folder, as transformers names them."""
    return [path for path in sorted(folder.iterdir()) if path.is_file() and _TOKENIZER.fullmatch(path.name)]


def _saved_files(folder: Path) -> list[Path]:
    """What has the name of a file that a save writes beside token_lm.json."""
    if not folder.is_dir():
        return []
    return [path for path in sorted(folder.iterdir()) if _MODEL.fullmatch(path.name) or _TOKENIZER.fullmatch(path.name)]


def _text(described: Description) -> str:
    fields = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "kind": described.kind,
        "name": described.name,
        "codec": described.source.to_dict(),
        "model": dict(described.model),
    }
    return json.dumps(fields, indent=2, ensure_ascii=False) + "\n"


def describe(folder: str | Path) -> Description:
    """What a folder holds. Raises TokenLMError where it is no language model over tokens, or of another version."""
    path = Path(folder) / FILE
    if not path.is_file():
        raise TokenLMError(
            f"{folder} is no language model over tokens, it has no {FILE}; make one with llmcodec lm train or "
            "llmcodec lm count"
        )
    try:
        fields = read_json(path)
        version = (fields["format"], fields["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise TokenLMError(f"{path} describes no language model over tokens: {error!r}") from error
    if version != (FORMAT, FORMAT_VERSION):
        raise TokenLMError(f"{path} is of format {version}, this program reads {(FORMAT, FORMAT_VERSION)}")
    if set(fields) != _FIELDS or fields["kind"] not in KINDS or not isinstance(fields["name"], str):
        raise TokenLMError(
            f"{path}: expected the fields {sorted(_FIELDS)} with a kind of {KINDS}, got {sorted(fields)} with "
            f"{fields.get('kind')!r}"
        )
    if not isinstance(fields["codec"], dict) or not isinstance(fields["model"], dict):
        raise TokenLMError(f"{path}: expected objects as codec and model")
    try:
        source = TokenSource.from_dict(fields["codec"])
    except TokenCorpusError as error:
        raise TokenLMError(f"{path}: {error}") from error
    return Description(fields["kind"], fields["name"], source, fields["model"])


def read_neural(folder: str | Path) -> NeuralDescription:
    """What the folder of a neural model holds. Raises TokenLMError where it is another thing."""
    described = describe(folder)
    expected = {"spec", "bos_id", "eos_id"}
    if described.kind != NEURAL or set(described.model) - {"text"} != expected:
        raise TokenLMError(f"expected a neural model with {sorted(expected)} in {folder}, found {described}")
    try:
        spec = TokenSpec.from_dict(described.model["spec"])
        text = Characters.from_dict(described.model["text"]) if "text" in described.model else None
    except (TypeError, ValueError) as error:
        raise TokenLMError(f"{Path(folder) / FILE}: {error}") from error
    return NeuralDescription(
        described.name, described.source, spec, described.model["bos_id"], described.model["eos_id"], text
    )
