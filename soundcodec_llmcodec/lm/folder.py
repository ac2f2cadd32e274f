"""The file that makes a folder a language model over tokens: what kind it is, and of which codec's tokens.

    FOLDER/token_lm.json      format, version, kind ("neural" or "ngram"), name, codec, and what that kind needs
    FOLDER/...                neural: a transformers folder; ngram: ngrams.safetensors

A folder with a token_lm.json is whole: it is written last, and removed before anything else is written again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.files import read_json, written_whole
from soundcodec_llmcodec.token_corpus import TokenCorpusError, TokenSource

FORMAT = "llmcodec-token-lm"
FORMAT_VERSION = 1
FILE = "token_lm.json"
NEURAL, NGRAM = "neural", "ngram"
KINDS = (NEURAL, NGRAM)
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


def begin(folder: str | Path, kind: str) -> Path:
    """Make the folder, which describes no model until `finish`. Raises TokenLMError where it holds another kind's."""
    folder = Path(folder)
    if (folder / FILE).is_file() and (held := describe(folder)).kind != kind:
        raise TokenLMError(f"{folder} holds {held.name}, a {held.kind} model, and would lose it; take another folder")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).unlink(missing_ok=True)
    return folder


def finish(folder: Path, described: Description) -> None:
    """Write `token_lm.json`, after everything else."""
    fields = {
        "format": FORMAT,
        "version": FORMAT_VERSION,
        "kind": described.kind,
        "name": described.name,
        "codec": described.source.to_dict(),
        "model": dict(described.model),
    }
    with written_whole(folder / FILE) as path:
        path.write_text(json.dumps(fields, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


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
        found = (fields["format"], fields["version"])
    except (ValueError, KeyError, TypeError) as error:
        raise TokenLMError(f"{path} describes no language model over tokens: {error!r}") from error
    if found != (FORMAT, FORMAT_VERSION):
        raise TokenLMError(f"{path} is of format {found}, this program reads {(FORMAT, FORMAT_VERSION)}")
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
