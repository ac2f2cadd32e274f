"""The training loop: batches, steps, a log, validation, checkpoints, resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from soundcodec_llmcodec import checkpoints
from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.train.config import TrainConfig, TrainConfigError
from soundcodec_llmcodec.train.data import Corpus, change_speed, crops, open_corpus, speed_of
from soundcodec_llmcodec.train.state import TrainState, checkpoints_in, prune
from soundcodec_llmcodec.train.steps import ReconstructionLosses, train_step
from soundcodec_llmcodec.train.validation import Validation, validate

LOG = "log.jsonl"


class TrainingError(RuntimeError):
    """A run that cannot go on, with the step and the loss that broke it."""


class Trainer:
    """A run in a folder: `log.jsonl`, `checkpoints/step-N`, `cache/`, and `export/` when it is done."""

    def __init__(
        self, config: TrainConfig, folder: Path, device: str = "cpu", cache: Path | None = None, progress: bool = True
    ) -> None:
        if not config.data:
            raise TrainConfigError("no training data: give data sources, such as --data FOLDER:train")
        self.config, self.folder, self.device = config, folder, torch.device(device)
        self.codec: CodecConfig = config.codec_config
        self.progress = progress
        frames = max(1, round(config.segment_s * self.codec.frame_rate))
        self.segment = frames * self.codec.hop_length
        cache = cache or folder / "cache"
        self.corpus = open_corpus(config.data, self.codec.sample_rate, cache, progress)
        self.held_out: Corpus | None = None
        if config.validation:
            self.held_out = open_corpus(config.validation, self.codec.sample_rate, cache, progress)
        self.state = TrainState.create(config, self.device)
        if config.compile:
            self.state.model.tokenizer.conformer.compile()
            self.state.model.token2wav.conformer.compile()
        self.losses = ReconstructionLosses(self.codec.sample_rate).to(self.device)
        folder.mkdir(parents=True, exist_ok=True)
        saved = checkpoints_in(self.checkpoints)
        if saved:
            self.state.load(saved[-1])

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.folder / "checkpoints"

    def run(self, max_seconds: float | None = None) -> TrainState:
        """Train to `config.steps`, or for about `max_seconds`; the last state is saved either way."""
        began, marked, marked_step = time.monotonic(), time.monotonic(), self.state.step
        self._log({"event": "start", "step": self.state.step, "device": str(self.device), **self._data_facts()})
        values: dict[str, Tensor] = {}
        bar = tqdm(total=self.config.steps, initial=self.state.step, disable=not self.progress, unit="step")
        sums: dict[str, Tensor] = {}
        while self.state.step < self.config.steps:
            values = self.step()
            for name, value in values.items():
                sums[name] = sums.get(name, torch.zeros((), device=self.device)) + value
            bar.update()
            step = self.state.step
            if step % self.config.checkpoint_every == 0:
                self._check_finite(values)
            if step % self.config.log_every == 0:
                now = time.monotonic()
                means = {name: float(value) / (step - marked_step) for name, value in sums.items()}
                self._check_finite(means)
                pace = (now - marked) / (step - marked_step)
                self._log({"event": "step", "step": step, "seconds_per_step": round(pace, 4), **means})
                sums, marked, marked_step = {}, now, step
            if step % self.config.validate_every == 0:
                self.validate()
            if step % self.config.checkpoint_every == 0:
                self.save()
            if max_seconds is not None and time.monotonic() - began > max_seconds:
                break
        bar.close()
        if self.state.folder_name not in [path.name for path in checkpoints_in(self.checkpoints)]:
            self._check_finite(values)
            self.save()
        return self.state

    def step(self) -> dict[str, Tensor]:
        """One step on the batch that belongs to the state's step."""
        padded, target, _ = self.batch(self.state.step)
        self.state.model.train()
        return train_step(self.state, self.losses, padded, target)

    def batch(self, step: int) -> tuple[Tensor, Tensor, list[str]]:
        """(padded (B, (F - 1) * hop + n_fft), target (B, F * hop), clip ids) of a step."""
        config = self.config
        speed = speed_of(config.speeds, config.seed, step)
        length = 2 * round(self.segment * speed / 2)
        waves, ids = crops(self.corpus, config.seed, step, config.batch_size, length, config.gain_db)
        target = change_speed(waves.to(self.device, non_blocking=True), self.segment)
        padded = torch.nn.functional.pad(target, (self.codec.stft_padding,) * 2, mode="reflect")
        return padded, target, ids

    def validate(self) -> Validation | None:
        """Validate the averaged model and log it; None without validation data."""
        if self.held_out is None:
            return None
        result = validate(self.state.average, self.held_out, self.config.validation_clips)
        self._log({"event": "validation", "step": self.state.step, **result.to_dict()})
        return result

    def save(self) -> Path:
        """Save the state, keeping the newest few."""
        path = self.state.save(self.checkpoints)
        prune(self.checkpoints, self.config.keep_checkpoints)
        return path

    def export(self, folder: Path, info: dict[str, Any], dtype: torch.dtype = torch.float16) -> Path:
        """Write the averaged model as a codec checkpoint, with what it was trained on and for how long."""
        recipe = self.config.to_dict()
        for key in ("data", "validation", "init"):
            recipe.pop(key)  # where files lie on this machine is nobody else's business
        trained = {"steps": self.state.step, "recipe": recipe, **self._data_facts()}
        return checkpoints.save(folder, self.codec, self.state.average, {**info, "trained": trained}, dtype)

    def _data_facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = {"clips": len(self.corpus.ids), "hours": round(self.corpus.hours, 3)}
        facts["unreadable"] = len(self.corpus.bad)
        return facts

    def _check_finite(self, values: Mapping[str, float | Tensor]) -> None:
        """Stop the run where a loss is not finite, before any of it is saved."""
        broken = [name for name, value in values.items() if not math.isfinite(float(value))]
        if broken:
            clips = self.batch(self.state.step - 1)[2]
            self._log({"event": "not finite", "step": self.state.step, "losses": broken, "last_clips": clips})
            raise TrainingError(
                f"{', '.join(broken)} became NaN or infinite by step {self.state.step} (its clips: "
                f"{', '.join(clips[:8])}); the newest checkpoint in {self.checkpoints} is from before. Lower the "
                "learning rate or the loss's weight and resume"
            )

    def _log(self, row: dict[str, Any]) -> None:
        with (self.folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(row) + "\n")
        if self.progress and row["event"] != "step":
            tqdm.write(json.dumps(row))
