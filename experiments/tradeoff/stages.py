"""What is done for a row, stage after stage.

A row's folder: `init/` (a smaller codebook), `train/`, `codec/`, `tokens/`, `lm/`, `predict/`, `reconstruct/`,
`salmon/`, a log of each stage, and `stages.json` with their commands and seconds.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from experiments.tradeoff.running import Stage, is_finished, recorded
from experiments.tradeoff.tradeoff_rows import Experiment, ExperimentError, RowSpec, as_config
from soundcodec_llmcodec.files import sha256_of, written_whole
from soundcodec_llmcodec.train.loss_names import LANGUAGE
from soundcodec_llmcodec.train.train_config import TrainConfig, load_config


@dataclass(frozen=True)
class StagePlace:
    """Where everything is: the speech, the midpoint all rows start from (an exported codec, and a bundle of it with
    what trains beside it), SALMon's pairs (None: not measured), the folder of results, what a process may use."""

    speech: str
    midpoint: Path
    out: Path
    salmon: Path | None = None
    device: str = "cpu"
    threads: int = 1

    @property
    def cache(self) -> Path:
        """Decoded audio, shared by all rows."""
        return self.out / "cache"


def stages(experiment: Experiment, row: RowSpec, place: StagePlace) -> Iterator[Stage]:
    """The row's stages in order."""
    folder = place.out / row.name
    begun = place.midpoint if row.start is None else place.out / row.start
    init = begun / ("bundle" if row.parts and row.start is None else "codec")
    codec = folder / "codec"
    if row.start is not None:
        _check_trained(row, experiment, place)
    source = _hash_of(init if row.codebook is None else begun / "codec")
    if row.codebook is not None:
        codes, whole, init = row.codebook, begun / "codec", folder / "init"
        outcome = init / "config.json"
        yield Stage("shrink", outcome, work=lambda: _shrink(place, whole, codes, init), source=f"{source}:{codes}")
    yield replace(_training(experiment, row, place, begun, init), source=source)
    tokenize = (*_python("-m", "soundcodec_llmcodec", "tokenize"), "--codec", str(codec), "--quiet")
    tokens = folder / "tokens"
    for dataset, split in ((token_speech(experiment, place), "train"), (place.speech, "validation")):
        which = ("--dataset", f"{dataset}:{split}", "--out", str(tokens), "--device", place.device)
        yield Stage(f"tokenize-{split}", tokens / "sources" / f"{split}.json", (*tokenize, *which))
    yield _lm(experiment, place, folder)
    models = ("--models", "unigram", "bigram", str(folder / "lm" / "export"))
    predict = ("--train", f"{tokens}:train", "--test", f"{tokens}:validation", *models, "--quiet", "--overwrite")
    where = ("--output", str(folder / "predict"))
    command = (*_python("eval/predictability.py"), *predict, *where)
    yield Stage("predict", folder / "predict" / "results.json", command, measures=folder / "predict")
    metrics = experiment.full_metrics if row.full else experiment.metrics
    measured = ("--models", f"{row.name}={codec}", "--dataset", place.speech, "--splits", "validation")
    settings = ("--metrics", *metrics, "--workers", "0", "--report-clips", "0", "--quiet", "--resume")
    output = ("--output", str(folder / "reconstruct"), "--device", place.device)
    outcome = folder / "reconstruct" / "results.json"
    command = (*_python("eval/superb_tiny.py"), *measured, *settings, *output)
    yield Stage("reconstruct", outcome, command, measures=folder / "reconstruct")
    if row.full and place.salmon is not None:
        named = f"{row.name}={codec}@{folder / 'lm' / 'export'}"
        suite = ("--suite", str(place.salmon), "--models", named, "--quiet", "--resume", "--device", place.device)
        outcome = folder / "salmon" / "results.json"
        command = (*_python("eval/salmon.py"), *suite, "--output", str(folder / "salmon"))
        yield Stage("salmon", outcome, command, measures=folder / "salmon")


def token_speech(experiment: Experiment, place: StagePlace) -> str:
    """The speech whose training split becomes the tokens that language models learn from."""
    return place.speech if experiment.every == 1 else str(place.out / "token-speech" / f"every-{experiment.every}")


def write_token_speech(experiment: Experiment, place: StagePlace) -> None:
    """Write every n-th clip of the training split, once; speech is a folder of parquet files then.

    Raises ExperimentError where there are none, and where what was written before is of other speech.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if experiment.every == 1:
        return
    folder = Path(token_speech(experiment, place))
    target, noted = folder / "data" / "train-00000-of-00001.parquet", folder / "taken_from.json"
    files = sorted(Path(place.speech).glob("data/train-*.parquet"))
    if not files:
        raise ExperimentError(
            f"taking every {experiment.every}-th clip needs {place.speech}/data/train-*.parquet: "
            "download the set there, or let the experiment say `every: 1`"
        )
    source = {file.name: sha256_of(file) for file in files}
    if target.is_file():
        note = json.loads(noted.read_text(encoding="utf-8")) if noted.is_file() else None
        if note != source:
            relation = "was taken from other speech than" if note else "does not say that it was taken from"
            raise ExperimentError(f"{folder} {relation} {place.speech}; remove it, or name another --out")
        return
    table = pa.concat_tables([pq.read_table(file) for file in files])
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as path:
        pq.write_table(table.take(pa.array(range(0, len(table), experiment.every))), path)
        noted.write_text(json.dumps(source, indent=2) + "\n", encoding="utf-8")


def _check_trained(row: RowSpec, experiment: Experiment, place: StagePlace) -> None:
    """Raise ExperimentError unless the row that this one starts from was trained to its end, with today's settings."""
    (other,) = experiment.named([str(row.start)])
    digest = ""
    for stage in stages(experiment, other, place):
        digest = stage.digest(digest)
        if stage.name == "train":
            break
    entry = recorded(place.out / other.name).get("train")
    if entry is None or not is_finished(entry) or not stage.made.is_file():
        raise ExperimentError(f"{row.name} goes on from {row.start}, which is not trained: run that row first")
    if entry["digest"] != digest:
        raise ExperimentError(f"{row.name} goes on from {row.start}, which was trained with other settings: see there")


def _hash_of(start: Path) -> str:
    """What a codec's folder or a bundle is known by, so that nothing made from another is taken for what this makes."""
    described = start / "config.json"
    if described.is_file():
        return str(json.loads(described.read_text(encoding="utf-8"))["weights_hash"])
    weights = sorted(start.glob("*.safetensors"))
    if not weights:
        raise ExperimentError(f"{start} holds neither a codec nor a bundle: export one there (see --help)")
    digest = hashlib.sha256()
    for path in weights:
        digest.update(path.name.encode())
        digest.update(bytes.fromhex(sha256_of(path)))
    return digest.hexdigest()


def _training(experiment: Experiment, row: RowSpec, place: StagePlace, begun: Path, init: Path) -> Stage:
    folder = place.out / row.name
    codec = folder / "codec"
    values = {**experiment.training(row), "init": str(init)}
    if row.codebook is not None:
        values["codec"] = _codec_of(begun / "codec", row.codebook)
        if as_config(values, load_config).uses("prior", *LANGUAGE):
            raise ExperimentError(
                f"{row.name} has fewer codes than the midpoint's prior and LLM rows know: take `codebook` out"
            )
    elif row.parts and row.start is None:
        _check_parts(row, as_config(values, load_config), init)
    config = folder / "train.yaml"
    data = ("--data", f"{place.speech}:train", "--cache", str(place.cache), "--device", place.device)
    out = ("--out", str(folder / "train"), "--export", str(codec), "--quiet")
    command = (*_python("-m", "soundcodec_llmcodec", "train"), "--config", str(config), *data, *out)
    steps = as_config(values, load_config).steps

    def unfinished() -> str | None:
        described = json.loads((codec / "config.json").read_text(encoding="utf-8"))
        steps_done = described["info"]["trained"]["steps"]
        return None if steps_done == steps else f"{steps_done} of {steps} steps"

    outcome = codec / "config.json"
    return Stage("train", outcome, command, settings=(config, values), unfinished=unfinished)


def _check_parts(row: RowSpec, config: TrainConfig, bundle: Path) -> None:
    """Raise ExperimentError where the midpoint lacks what the row should go on from."""
    needed = {"prior": config.uses("prior"), "language": config.uses(*LANGUAGE)}
    parts = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))["parts"]
    missing = sorted(name for name, is_needed in needed.items() if is_needed and name not in parts)
    if missing:
        raise ExperimentError(
            f"{row.name} goes on from a midpoint's {' and '.join(missing)}, but {bundle} has only "
            f"{', '.join(sorted(parts))}: train the midpoint with them (midpoint.yaml), or set parts: false"
        )


def _codec_of(codec: Path, codes: int) -> dict[str, Any]:
    described = json.loads((codec / "config.json").read_text(encoding="utf-8"))["codec"]
    return {**described, "codebook_size": codes, "codebook_partitions": {}}


def _lm(experiment: Experiment, place: StagePlace, folder: Path) -> Stage:
    config, export = folder / "lm.yaml", folder / "lm" / "export"
    tokens = ("--tokens", f"{folder / 'tokens'}:train", "--codec", str(folder / "codec"), "--device", place.device)
    out = ("--out", str(folder / "lm"), "--export", str(export), "--export-which", "last", "--quiet")
    command = (*_python("-m", "soundcodec_llmcodec", "lm", "train"), "--config", str(config), *tokens, *out)
    steps = int(experiment.lm["steps"])

    def unfinished() -> str | None:
        steps_done = json.loads((export / "training.json").read_text(encoding="utf-8"))["steps"]
        return None if steps_done == steps else f"{steps_done} of {steps} steps"

    return Stage("lm", export / "token_lm.json", command, settings=(config, dict(experiment.lm)), unfinished=unfinished)


def _shrink(place: StagePlace, codec: Path, codes: int, folder: Path) -> None:
    from experiments.tradeoff.shrink import shrink
    from soundcodec_llmcodec import checkpoints
    from soundcodec_llmcodec.train.crops import open_corpus

    rate = checkpoints.load(codec).config.sample_rate
    shrink(str(codec), open_corpus([f"{place.speech}:train"], rate, place.cache), codes, folder)


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)
