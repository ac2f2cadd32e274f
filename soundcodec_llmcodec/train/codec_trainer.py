"""The training loop: batches, steps, a log, validation, checkpoints, resume."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in, prune
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainingError
from soundcodec_llmcodec.runs.monitor import Monitor
from soundcodec_llmcodec.runs.resuming import write_config
from soundcodec_llmcodec.runs.stopping import Stopping
from soundcodec_llmcodec.teachers import teacher_hash
from soundcodec_llmcodec.train.checks import check_before_decoding, check_texts
from soundcodec_llmcodec.train.codec_state import TrainState
from soundcodec_llmcodec.train.codec_validation import Validation, validate
from soundcodec_llmcodec.train.crops import Cropping, DecodedCorpus, change_speed, crops, open_corpus, speed_of
from soundcodec_llmcodec.train.losses.pitch_loss import PitchLoss
from soundcodec_llmcodec.train.losses.reconstruction import ReconstructionLosses
from soundcodec_llmcodec.train.losses.teacher_loss import TeacherLoss
from soundcodec_llmcodec.train.nonfinite import keep_batch, nonfinite
from soundcodec_llmcodec.train.objectives.frozen_lm import loaded_lm
from soundcodec_llmcodec.train.objectives.language import FrozenLM, Start
from soundcodec_llmcodec.train.steps import AudioBatch, StepResult, Tools, train_step
from soundcodec_llmcodec.train.train_config import LANGUAGE, TrainConfig, TrainConfigError


class Trainer:
    """A run in a folder: `config.yaml`, `log.jsonl`, `metrics.csv`, `checkpoints/step-N`, `cache/`, and `nonfinite/`
    where it broke.

    `skip_nonfinite` steps whose loss is not finite are passed over, and counted, before the run stops.
    """

    def __init__(
        self,
        config: TrainConfig,
        folder: Path,
        device: str = "cpu",
        cache: Path | None = None,
        progress: bool = True,
        skip_nonfinite: int = 0,
        lm: tuple[FrozenLM, Start, str] | None = None,
    ) -> None:
        """`lm` is a frozen LLM, the rows that audio tokens begin with, and what identifies it; by default it is loaded
        by the config's name where the losses need one."""
        if not config.data:
            raise TrainConfigError("no training data: give data sources, such as --data FOLDER:train")
        self.config, self.folder, self.skip_nonfinite = config, folder, skip_nonfinite
        self.world = World.join(device)
        self.device = self.world.device
        if config.batch_size % (self.world.size * config.accumulation):
            raise TrainConfigError(
                f"batch_size {config.batch_size} cannot be shared evenly by {self.world.size} processes in "
                f"{config.accumulation} pieces each; take a multiple of {self.world.size * config.accumulation}"
            )
        self.codec: CodecConfig = config.codec_config
        self.progress = progress and self.world.is_main
        frames = max(1, round(config.segment_s * self.codec.frame_rate))
        self.segment = frames * self.codec.hop_length
        cache = cache or folder / "cache"
        self._changes = check_before_decoding(config, self.checkpoints, cache)
        if config.uses(*LANGUAGE) and lm is None:
            lm = loaded_lm(config, str(self.device))
        self.state = TrainState.create(config, self.device, None if lm is None else lm[1])
        self.corpus, self.held_out = self._corpora(cache)
        check_texts(config, self.corpus, self.segment)
        self.facts: dict[str, Any] = {"data": self.corpus.fingerprint, "language_model": None if lm is None else lm[2]}
        branch = self.state.model.tokenizer.semantic
        if branch is not None:
            self.facts["teacher"] = teacher_hash(branch.encoder.state_dict())
        losses = ReconstructionLosses(self.codec.sample_rate, config.losses).to(self.device)
        teacher = TeacherLoss(config.teacher, self.codec).to(self.device) if config.uses("teacher") else None
        harmonics = self.codec.harmonics if config.uses("pitch") else None
        pitch = None if harmonics is None else PitchLoss(harmonics, self.codec).to(self.device)
        self.tools = Tools(losses, self.world, None if lm is None else lm[0], teacher, pitch)
        if config.compile:
            # Layer by layer: all layers share one program, which is made in a fraction of a whole conformer's time.
            for conformer in (self.state.model.tokenizer.conformer, self.state.model.token2wav.conformer):
                for layer in conformer.layers:
                    layer.compile()
        self._validated: tuple[int, Validation | None] | None = None
        self._saved: int | None = None
        folder.mkdir(parents=True, exist_ok=True)
        saved = checkpoints_in(self.checkpoints)
        if saved:
            self.state.load(saved[-1], self.facts)
            self._saved = self.state.step
        if not self.world.agrees(self.state.step):
            raise TrainConfigError(
                f"the processes would go on from different steps, this one from {self.state.step}: all of them have to "
                f"see the same {self.checkpoints}"
            )
        self.monitor = Monitor(
            folder,
            step=self.state.step,
            tensorboard=config.tensorboard,
            progress=self.progress,
            enabled=self.world.is_main,
        )

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.folder / "checkpoints"

    def run(self, max_seconds: float | None = None) -> TrainState:
        """Train to `config.steps`, or for about `max_seconds`, or until Ctrl-C or SIGTERM, which end the step under
        way.

        The last state is saved in each case.
        """
        facts = {"device": str(self.device), "processes": self.world.size, **self.data_facts()}
        if self.tools.teacher is not None:
            facts["teacher_behind"] = self.tools.teacher.teacher_hash
        self.monitor.event("start", self.state.step, **facts)
        if self._changes:
            self.monitor.event("changed", self.state.step, **self._changes)
        if self.world.is_main:
            write_config(self.folder, self.config)
        with Stopping() as stopping:
            self._loop(stopping, math.inf if max_seconds is None else max_seconds)
        if self._saved != self.state.step:
            self.save()
        if stopping.asked:
            self.monitor.event("stopped", self.state.step)
        return self.state

    def _loop(self, stopping: Stopping, max_seconds: float) -> None:
        began = time.monotonic()
        marked, marked_step = began, self.state.step
        sums: dict[str, list[Tensor]] = {}
        bar = tqdm(total=self.config.steps, initial=self.state.step, disable=not self.progress, unit="step")
        while self.state.step < self.config.steps:
            result = self.step()
            if result.applied:  # what was passed over would make the means NaN
                for name, value in result.values.items():
                    sums.setdefault(name, []).append(value)
            bar.update()
            step = self.state.step
            if step % self.config.log_every == 0:
                now = time.monotonic()
                means = {name: float(torch.stack([v.float() for v in values]).mean()) for name, values in sums.items()}
                pace = (now - marked) / (step - marked_step)
                self.monitor.step(step, self._watched(means), seconds_per_step=pace, total_steps=self.config.steps)
                sums, marked, marked_step = {}, now, step
            if step % self.config.validate_every == 0:
                self.validate()
            if step % self.config.checkpoint_every == 0:
                self.save()
            if self._agreed(stopping.asked or time.monotonic() - began > max_seconds):
                break
        bar.close()

    def step(self) -> StepResult:
        """One step on the batch that belongs to the state's step. Raises TrainingError for one that is not finite."""
        batch = self.batch(self.state.step)
        result = train_step(self.state, self.tools, batch)
        if not result.applied:
            self._passed_over(batch, result)
        return result

    def batch(self, step: int) -> AudioBatch:
        """The whole batch of a step; every process makes the same and takes its rows."""
        config = self.config
        speed = speed_of(config.speeds, config.seed, step)
        length = 2 * round(self.segment * speed / 2)
        share = config.language.text_share if config.uses("alignment", "contrast") else 0.0
        drawing = (config.draw, config.padding, config.random_polarity)
        how = Cropping(length, config.gain_db, config.phase_jitter, config.language.text_coverage, share, *drawing)
        made = crops(self.corpus, config.seed, step, config.batch_size, how)
        target = change_speed(made.waves.to(self.device, non_blocking=True), self.segment)
        padded = torch.nn.functional.pad(target, (self.codec.stft_padding,) * 2, mode="reflect")
        return AudioBatch(padded, target, made.ids, made.texts)

    def validate(self) -> Validation | None:
        """Validate the averaged model and log it; None without validation data. The main process does it alone."""
        if self.held_out is None:
            return None
        if self._validated is not None and self._validated[0] == self.state.step:
            return self._validated[1]
        result = None
        if self.world.is_main:
            result = validate(self.state.average, self.held_out, self.config.validation_clips)
            self.monitor.event("validation", self.state.step, **result.to_dict())
            self._show(self.held_out)
        # In every process, or one would wait for the others the next time.
        self._validated = (self.state.step, result)
        self.world.wait()
        return result

    def save(self) -> Path:
        """Save the state, keeping the newest few. The main process writes."""
        path = self.checkpoints / self.state.folder_name
        if self.world.is_main:
            self.state.save(self.checkpoints, self.facts)
            prune(self.checkpoints, self.config.keep_checkpoints)
        self._saved = self.state.step
        self.world.wait()
        return path

    def data_facts(self) -> dict[str, Any]:
        """What was trained on: clips, hours, clips that could not be read, and how many have texts."""
        return {
            "clips": len(self.corpus.ids),
            "hours": round(self.corpus.hours, 3),
            "unreadable": len(self.corpus.bad),
            "texts": sum(text is not None for text in self.corpus.texts),
        }

    def _corpora(self, cache: Path) -> tuple[DecodedCorpus, DecodedCorpus | None]:
        """The training and the held-out clips; the main process decodes them for all."""
        if not self.world.is_main:
            self.world.wait()
        corpus = open_corpus(self.config.data, self.codec.sample_rate, cache, self.progress)
        held_out = None
        if self.config.validation:
            held_out = open_corpus(self.config.validation, self.codec.sample_rate, cache, self.progress)
        if self.world.is_main:
            self.world.wait()
        return corpus, held_out

    def _watched(self, means: Mapping[str, float]) -> dict[str, float]:
        """A logged row: losses, norms, the learning rate, and how the codebook is used."""
        usage = self.state.usage
        return {
            **means,
            "learning_rate/codec": float(self.state.optimizer.param_groups[0]["lr"]),
            "codes_in_use": float(usage.in_use(self.config.revival.threshold)),
            "code_entropy_bits": usage.entropy_bits(),
            "skipped": float(self.state.skipped),
        }

    def _show(self, corpus: DecodedCorpus) -> None:
        """The longest held-out clip among the first few, as it is and as the averaged model gives it back."""
        from soundcodec_llmcodec import coding

        index = max(range(min(8, len(corpus.ids))), key=lambda i: corpus.offsets[i + 1] - corpus.offsets[i])
        clip = corpus.clip(index)[: 8 * self.codec.sample_rate]
        model = self.state.average
        codes = coding.encode_batch(model, [clip], None, coding.CHUNK_FRAMES)
        (back,) = coding.decode_batch(model, codes, coding.CHUNK_FRAMES)
        for name, samples in (("original", clip), ("reconstruction", back[: clip.shape[0]])):
            self.monitor.audio(self.state.step, name, samples.cpu().numpy(), self.codec.sample_rate)
            self.monitor.spectrogram(self.state.step, name, samples.cpu().numpy(), self.codec.sample_rate)

    def _agreed(self, over: bool) -> bool:
        """Whether to stop: the main process decides for all."""
        decided = torch.tensor(float(over), device=self.device)
        self.world.share([decided])
        return bool(decided)

    def _passed_over(self, batch: AudioBatch, result: StepResult) -> None:
        """Keep what a step that was not finite saw, count it, and stop the run where too many were."""
        broken = nonfinite(result.values)
        step = self.state.step - 1
        self.state.skipped += 1
        where = self.folder / "nonfinite"
        if self.world.is_main:
            keep_batch(where, step, batch, result.values)
        if self.state.skipped <= self.skip_nonfinite:
            self.monitor.event("skipped", self.state.step, broken=broken, clips=list(batch.ids))
            return
        # Nothing was updated, so that the state is still that of before the step: keep it.
        self.state.step, self.state.skipped = step, self.state.skipped - 1
        if self._saved != step:
            self.save()
        raise TrainingError(
            f"{', '.join(broken)} became NaN or infinite at step {step} (its clips: {', '.join(batch.ids[:8])}); "
            f"what it saw is in {where}, and nothing was updated. Lower the learning rate or the loss's weight and "
            f"resume, or pass over such steps: --skip-nonfinite N (passed over so far: {self.state.skipped})"
        )
