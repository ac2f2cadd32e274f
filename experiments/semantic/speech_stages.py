"""What is made for a codec, stage by stage: tokens of the corpus, a language model of them, and its speech. What a
stopped run has made is not made again.

    OUT/CODEC/tokens/             train, validation and test, of the codec's first level
    OUT/CODEC/seed-N/lm/          the training run, and its export
    OUT/CODEC/seed-N/speech/      a sound file for each test sentence, and speech.json, which comes last
    OUT/CODEC/resynthesis/        the same clips coded and decoded

Letters: N tokens of a clip.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from experiments.semantic.item_seeds import seed_of
from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.data import DataRow, open_dataset
from soundcodec_llmcodec.data.token_corpus import TokenCorpus, TokenSource, shard_name, write_shard, write_source
from soundcodec_llmcodec.data.tokenizing import TokenizingPlan, tokenize
from soundcodec_llmcodec.files import read_json, written_whole
from soundcodec_llmcodec.llmcodec import LLMCodec
from soundcodec_llmcodec.lm.continuation import tokens_to_codes
from soundcodec_llmcodec.lm.speaking import NothingSaidError, speak
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.lm.training.lm_config import load_config, make_config
from soundcodec_llmcodec.lm.training.lm_export import export_run
from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer
from soundcodec_llmcodec.lm.training.spoken_clips import open_spoken_clips

SPLITS = ("train", "validation", "test")
SPEECH_FILE = "speech.json"


@dataclass(frozen=True)
class SpeechPlan:
    """The experiment: the corpus (splits train, validation, test), the language model's settings, and how it speaks the
    first `sentences` test sentences."""

    corpus: str
    lm: dict[str, Any]
    steps: int | None = None
    sentences: int = 60
    temperature: float = 1.0
    top_p: float | None = None
    tries: int = 1
    longest_s: float = 10.0
    device: str = "cpu"

    def spoken_by(self) -> dict[str, Any]:
        """What decides the speech beside the language model."""
        names = ("corpus", "sentences", "temperature", "top_p", "tries", "longest_s")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class CodecUnderTest:
    """A codec by its name in tables, and where its weights are."""

    name: str
    place: str

    @classmethod
    def parse(cls, text: str) -> CodecUnderTest:
        """ "NAME=FOLDER", or what `load_codec` takes."""
        name, separator, place = text.partition("=")
        if not name or name.startswith(".") or "/" in name or (separator and not place):
            raise ValueError(f"expected --codec NAME=FOLDER, such as base=runs/base/export, got {text!r}")
        return cls(name, place or name)

    def load(self, device: str) -> LLMCodec:
        """The codec."""
        return LLMCodec.from_pretrained(checkpoints.resolve(checkpoint=self.place), device=device)


def read_lm_settings(name_or_path: str) -> dict[str, Any]:
    """The settings of a bundled config or a YAML file, checked."""
    config = load_config(name_or_path)
    if config.text.kind == "none":
        raise ValueError(f"{name_or_path} makes a language model that reads no text; set text: {{kind: characters}}")
    return config.to_dict()


def test_rows(plan: SpeechPlan) -> Iterator[DataRow]:
    """The test sentences' clips."""
    for _, row in zip(range(plan.sentences), open_dataset(f"{plan.corpus}:test").rows(), strict=False):
        yield row


def make_tokens(codec: LLMCodec, plan: SpeechPlan, folder: Path) -> Path:
    """The token corpus of the codec's first level below a codec's folder."""
    several = codec.config.num_quantizers > 1
    target = folder / ("tokens-all" if several else "tokens")
    for split in SPLITS:
        tokenize(codec, TokenizingPlan(f"{plan.corpus}:{split}", split), target, progress=True)
        if several and not (folder / "tokens" / "data" / f"{shard_name(split, 0, 1)}.parquet").exists():
            _first_level(target, split, folder / "tokens")
    return folder / "tokens"


def _first_level(folder: Path, split: str, target: Path) -> None:
    """A split with each frame's first code alone."""
    corpus = TokenCorpus.open(f"{folder}:{split}")
    levels = corpus.source.num_quantizers
    write_source(target, dataclasses.replace(corpus.source, num_quantizers=1))
    clips = [dataclasses.replace(clip, codes=np.ascontiguousarray(clip.codes[::levels])) for clip in corpus.clips()]
    write_shard(target, shard_name(split, 0, 1), clips)


def train_lm(plan: SpeechPlan, codec: str, tokens: Path, folder: Path, seed: int) -> Path:
    """The exported language model of the tokens of the codec at that place, trained in `folder`; a stopped run goes
    on."""
    corpora = {"tokens": [f"{tokens}:train"], "validation": [f"{tokens}:validation"]}
    values = {**plan.lm, "seed": seed, "codec": codec, **corpora}
    config = make_config(values if plan.steps is None else {**values, "steps": plan.steps})
    export = folder / "export"
    if not _is_trained(export, folder, config.steps):
        trainer = LMTrainer(config, folder, plan.device)
        trainer.run()
        trainer.monitor.close()
        if trainer.state.step < config.steps:
            raise KeyboardInterrupt
        export_run(folder, export)
    return export


def _is_trained(export: Path, run: Path, steps: int) -> bool:
    last = run / "checkpoints" / f"step-{steps:08d}"
    return (export / "token_lm.json").is_file() and last.is_dir()


def bits_of_test(lm: NeuralTokenLM, tokens: Path) -> tuple[np.ndarray, np.ndarray]:
    """(bits, tokens) float64 of each test clip given its text, over the audio vocabulary."""
    assert lm.text is not None
    assert lm.max_positions is not None
    clips = open_spoken_clips([f"{tokens}:test"], lm.max_positions, lm.text.characters, lm.source).clips
    texts = [(clips.text(index) + lm.text.first_id).tolist() for index in range(len(clips))]
    scores = lm.score_spoken([clips.clip(index).astype(np.int64) for index in range(len(clips))], texts)
    bits = [scored.audio_nll.sum() / math.log(2) for scored in scores]
    return np.array(bits), clips.lengths.astype(np.float64)


def make_speech(codec: LLMCodec, lm: NeuralTokenLM, plan: SpeechPlan, folder: Path, seed: int) -> list[dict[str, Any]]:
    """Each test sentence spoken into `folder`; returns by sentence what came of it.

    A sentence that nothing is said for has a reason and no file.
    """
    made_by = {**plan.spoken_by(), "seed": seed, "lm": lm.identity, "codec": codec.weights_hash}
    described = folder / SPEECH_FILE
    if described.is_file() and (before := read_json(described))["made_by"] == made_by:
        return list(before["sentences"])
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    settings: dict[str, Any] = {
        "temperature": plan.temperature,
        "top_p": plan.top_p,
        "tries": plan.tries,
        "longest_s": plan.longest_s,
    }
    for row in tqdm(list(test_rows(plan)), desc=f"{folder.parents[1].name} speaks", unit="sentence"):
        said: dict[str, Any] = {"id": row.clip_id, "text": row.text}
        try:
            speech = speak(codec, lm, row.text or "", seed=seed_of(seed, row.clip_id), **settings)
        except NothingSaidError as error:
            rows.append({**said, "reason": str(error)})
            continue
        soundfile.write(folder / f"{row.clip_id}.wav", speech.audio, speech.rate)
        rows.append({**said, "ended": speech.ended, "tokens": len(speech.tokens), "nats": speech.nats})
    with written_whole(described) as path:
        path.write_text(json.dumps({"made_by": made_by, "sentences": rows}, indent=1) + "\n", encoding="utf-8")
    return rows


def make_resynthesis(codec: LLMCodec, plan: SpeechPlan, tokens: Path, folder: Path) -> None:
    """The test clips' tokens, decoded: what the codec leaves of its speech, which no language model can better."""
    folder.mkdir(parents=True, exist_ok=True)
    corpus = TokenCorpus.open(f"{tokens}:test")
    for _, clip in zip(range(plan.sentences), corpus.clips(), strict=False):
        path = folder / f"{clip.clip_id}.wav"
        if not path.exists():
            samples = codec.decode(tokens_to_codes(clip.codes.astype(np.int64), corpus.source))
            with written_whole(path) as partial:
                soundfile.write(partial, samples[: clip.n_samples], codec.config.sample_rate)


def source_of(tokens: Path) -> TokenSource:
    """The codec's facts, of the level that is spoken."""
    return TokenCorpus.open(f"{tokens}:test").source
