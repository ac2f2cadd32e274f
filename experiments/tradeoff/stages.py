"""What is done for a row, stage after stage; a stage that is done is not done again.

A row's folder: `init/` (a smaller codebook), `train/`, `codec/`, `tokens/`, `lm/`, `predict/`, `reconstruct/`,
`salmon/`, a log of each stage, and `stages.json` with their commands and seconds.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.tradeoff.rows import Experiment, ExperimentError, RowSpec
from soundcodec_llmcodec.files import written_whole

ROOT = Path(__file__).resolve().parents[2]
RECORD = "stages.json"


@dataclass(frozen=True)
class Place:
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


@dataclass(frozen=True)
class Stage:
    """A command, or work in this process, that leaves `made`."""

    name: str
    made: Path
    command: tuple[str, ...] = ()
    work: Callable[[], Any] | None = None


def stages(experiment: Experiment, row: RowSpec, place: Place) -> Iterator[Stage]:
    """The row's stages in order."""
    folder = place.out / row.name
    init = place.midpoint / ("bundle" if row.parts else "codec")
    codec = folder / "codec"
    if row.codebook is not None:
        init = folder / "init"
        yield Stage("shrink", init / "config.json", work=lambda: _shrink(place, int(row.codebook or 0), init))
    yield Stage("train", codec / "config.json", _training(experiment, row, place, init))
    tokenize = (*_python("-m", "soundcodec_llmcodec", "tokenize"), "--codec", str(codec), "--quiet")
    tokens = folder / "tokens"
    for dataset, split in ((token_speech(experiment, place), "train"), (place.speech, "validation")):
        which = ("--dataset", f"{dataset}:{split}", "--out", str(tokens), "--device", place.device)
        yield Stage(f"tokenize-{split}", tokens / "codec.json", (*tokenize, *which))
    yield _lm(experiment, place, folder)
    models = ("--models", "unigram", "bigram", str(folder / "lm" / "export"))
    predict = ("--train", f"{tokens}:train", "--test", f"{tokens}:validation", *models, "--quiet", "--overwrite")
    where = ("--output", str(folder / "predict"))
    yield Stage("predict", folder / "predict" / "results.json", (*_python("eval/predictability.py"), *predict, *where))
    metrics = experiment.full_metrics if row.full else experiment.metrics
    measured = ("--models", f"{row.name}={codec}", "--dataset", place.speech, "--splits", "validation")
    settings = ("--metrics", *metrics, "--workers", "0", "--report-clips", "0", "--quiet", "--resume")
    output = ("--output", str(folder / "reconstruct"), "--device", place.device)
    made = folder / "reconstruct" / "results.json"
    yield Stage("reconstruct", made, (*_python("eval/superb_tiny.py"), *measured, *settings, *output))
    if row.full and place.salmon is not None:
        named = f"{row.name}={codec}@{folder / 'lm' / 'export'}"
        suite = ("--suite", str(place.salmon), "--models", named, "--quiet", "--resume", "--device", place.device)
        made = folder / "salmon" / "results.json"
        yield Stage("salmon", made, (*_python("eval/salmon.py"), *suite, "--output", str(folder / "salmon")))


def token_speech(experiment: Experiment, place: Place) -> str:
    """The speech whose training split becomes the tokens that language models learn from."""
    return place.speech if experiment.every == 1 else str(place.out / "token-speech")


def write_token_speech(experiment: Experiment, place: Place) -> None:
    """Write every n-th clip of the training split, once; speech is a folder of parquet files then."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    target = Path(token_speech(experiment, place)) / "data" / "train-00000-of-00001.parquet"
    if experiment.every == 1 or target.is_file():
        return
    files = sorted(Path(place.speech).glob("data/train-*.parquet"))
    if not files:
        raise ExperimentError(f"taking every {experiment.every}-th clip needs {place.speech}/data/train-*.parquet")
    table = pa.concat_tables([pq.read_table(file) for file in files])
    target.parent.mkdir(parents=True, exist_ok=True)
    with written_whole(target) as path:
        pq.write_table(table.take(pa.array(range(0, len(table), experiment.every))), path)


def do(stage: Stage, folder: Path, threads: int) -> None:
    """Run a stage unless it is done, and note what it took. Raises ExperimentError where its command fails."""
    record_path = folder / RECORD
    record = json.loads(record_path.read_text(encoding="utf-8")) if record_path.is_file() else {}
    if stage.name in record and stage.made.exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    if stage.work is not None:
        stage.work()
    else:
        _run(stage, folder, threads)
    record[stage.name] = {"seconds": round(time.monotonic() - began, 1), "command": list(stage.command)}
    with written_whole(record_path) as path:
        path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _run(stage: Stage, folder: Path, threads: int) -> None:
    log = folder / f"{stage.name}.log"
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(ROOT)}
    with log.open("w", encoding="utf-8") as out:
        code = subprocess.run(stage.command, cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT).returncode
    if code:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise ExperimentError(
            f"{folder.name}: {stage.name} ended with {code}: {lines[-1] if lines else ''} (see {log})"
        )


def _training(experiment: Experiment, row: RowSpec, place: Place, init: Path) -> tuple[str, ...]:
    import yaml

    folder = place.out / row.name
    values = experiment.training(row)
    if row.codebook is not None:
        values = {**values, "codec": _codec_of(place.midpoint / "codec", row.codebook)}
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "train.yaml"
    config.write_text(yaml.safe_dump({**values, "init": str(init)}, sort_keys=False), encoding="utf-8")
    data = ("--data", f"{place.speech}:train", "--cache", str(place.cache), "--device", place.device)
    out = ("--out", str(folder / "train"), "--export", str(folder / "codec"), "--quiet")
    return (*_python("-m", "soundcodec_llmcodec", "train"), "--config", str(config), *data, *out)


def _codec_of(midpoint: Path, codes: int) -> dict[str, Any]:
    described = json.loads((midpoint / "config.json").read_text(encoding="utf-8"))["codec"]
    return {**described, "codebook_size": codes, "codebook_partitions": {}}


def _lm(experiment: Experiment, place: Place, folder: Path) -> Stage:
    import yaml

    config = folder / "lm.yaml"
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(yaml.safe_dump(dict(experiment.lm), sort_keys=False), encoding="utf-8")
    tokens = ("--tokens", f"{folder / 'tokens'}:train", "--codec", str(folder / "codec"), "--device", place.device)
    out = ("--out", str(folder / "lm"), "--export", str(folder / "lm" / "export"), "--export-which", "last", "--quiet")
    command = (*_python("-m", "soundcodec_llmcodec", "lm", "train"), "--config", str(config), *tokens, *out)
    return Stage("lm", folder / "lm" / "export" / "token_lm.json", command)


def _shrink(place: Place, codes: int, folder: Path) -> None:
    from experiments.tradeoff.shrink import shrink
    from soundcodec_llmcodec import checkpoints
    from soundcodec_llmcodec.train.data import open_corpus

    midpoint = place.midpoint / "codec"
    rate = checkpoints.load(midpoint).config.sample_rate
    shrink(str(midpoint), open_corpus([f"{place.speech}:train"], rate, place.cache), codes, folder)


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)
