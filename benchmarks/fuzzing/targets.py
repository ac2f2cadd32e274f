"""What is fuzzed: how a sound set of files is made, how it is damaged, who reads it, and which errors may come.

target       reads                                                        refuses with
tokens       .llmc token files                                            TokenFileError
text         "<CODEC_i>" text and lists of ids                            TokenError
audio        wav, flac, ogg, opus, mp3, aiff, au, caf, as bytes and path  AudioError
checkpoint   config.json, model.safetensors, .pt; then codes a clip       CheckpointError
pickle       .pt files whose pickle would run code                        CheckpointError, always
ngram        folders of counted language models                           TokenLMError
lm           folders of neural language models                            TokenLMError
corpus       codec.json and parquet shards of token corpora               TokenCorpusError
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fuzzing import makers, readers

Files = dict[str, bytes]


@dataclass(frozen=True)
class Target:
    """`seeds(folder)` makes sound sets of files, `damage` one case of them, `read` gives the bytes of what it read."""

    name: str
    share: float
    errors: tuple[str, ...]
    seeds: Callable[[Path], list[Files]]
    damage: Callable[[list[Files], random.Random], Files]
    read: Callable[[Path], int]


TARGETS = {
    target.name: target
    for target in (
        Target("tokens", 0.26, ("TokenFileError",), makers.token_files, makers.damage_tokens, readers.tokens),
        Target("text", 0.22, ("TokenError",), makers.texts, makers.damage_text, readers.text),
        Target("audio", 0.18, ("AudioError",), makers.sounds, makers.damage_sound, readers.audio),
        Target("checkpoint", 0.14, ("CheckpointError",), makers.checkpoints, makers.damage_files, readers.checkpoint),
        Target("pickle", 0.04, ("CheckpointError",), makers.pickles, makers.damage_pickle, readers.pickled),
        Target("ngram", 0.06, ("TokenLMError",), makers.ngrams, makers.damage_files, readers.language_model),
        Target("lm", 0.03, ("TokenLMError",), makers.language_models, makers.damage_files, readers.language_model),
        Target("corpus", 0.07, ("TokenCorpusError",), makers.corpora, makers.damage_files, readers.corpus),
    )
}
