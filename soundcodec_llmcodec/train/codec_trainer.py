"""A codec's training run: its data, its losses, and what is done with a step that is not finite."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.runs.base_trainer import BaseTrainer
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
from soundcodec_llmcodec.runs.errors import TrainConfigError, TrainingError
from soundcodec_llmcodec.teachers import teacher_hash
from soundcodec_llmcodec.train.audio_batch import AudioBatch
from soundcodec_llmcodec.train.checks import check_before_decoding, check_texts
from soundcodec_llmcodec.train.codec_state import TrainState, saved_config
from soundcodec_llmcodec.train.codec_validation import Validation, validate
from soundcodec_llmcodec.train.crops import Cropping, DecodedCorpus, change_speed, crops, open_corpus, speed_of
from soundcodec_llmcodec.train.frozen_lm import loaded_lm
from soundcodec_llmcodec.train.frozen_teacher import FrozenTeacher
from soundcodec_llmcodec.train.loss_names import LANGUAGE
from soundcodec_llmcodec.train.losses.pitch_loss import PitchLoss
from soundcodec_llmcodec.train.losses.reconstruction import ReconstructionLosses
from soundcodec_llmcodec.train.losses.teacher_loss import TeacherLoss
from soundcodec_llmcodec.train.nonfinite import keep_batch, nonfinite
from soundcodec_llmcodec.train.objectives.language import FrozenLM, Start
from soundcodec_llmcodec.train.objectives.semantic_decoder import teacher_of_loss
from soundcodec_llmcodec.train.steps import StepResult, Tools, train_step
from soundcodec_llmcodec.train.train_config import TrainConfig


class Trainer(BaseTrainer[TrainConfig, TrainState, StepResult, Validation]):
    """A run in a folder: besides what every run has, `cache/`, and `nonfinite/` where it broke.

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
        super().__init__(config, folder, device, progress)
        self.world.check_share("batch_size", config.batch_size, config.accumulation)
        self.skip_nonfinite = skip_nonfinite
        self.codec: CodecConfig = config.codec_config
        frames = max(1, round(config.segment_s * self.codec.frame_rate))
        self.segment = frames * self.codec.hop_length
        cache = cache or folder / "cache"
        self._changes = check_before_decoding(config, self.checkpoints, cache)
        if config.uses(*LANGUAGE) and lm is None:
            lm = loaded_lm(config, str(self.device))
        self.state = TrainState.create(config, self.device, None if lm is None else lm[1])
        self.corpus, self.held_out = self._corpora(cache)
        check_texts(config, self.corpus, self.segment)
        self.facts = {"data": self.corpus.fingerprint, "language_model": None if lm is None else lm[2]}
        branch = self.state.model.tokenizer.semantic
        if branch is not None:
            self.facts["teacher"] = teacher_hash(branch.encoder.state_dict())
        self.tools = self._tools(None if lm is None else lm[0])
        if config.compile:
            # Layer by layer: all layers share one program, which is made in a fraction of a whole conformer's time.
            for conformer in (self.state.model.tokenizer.conformer, self.state.model.token2wav.conformer):
                for layer in conformer.layers:
                    layer.compile()
        self._resume(self.facts, tensorboard=config.tensorboard)
        self._keep_init()

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
        cropping = Cropping(length, config.gain_db, config.phase_jitter, config.language.text_coverage, share, *drawing)
        cropped = crops(self.corpus, config.seed, step, config.batch_size, cropping)
        target = change_speed(cropped.waves.to(self.device, non_blocking=True), self.segment)
        padded = torch.nn.functional.pad(target, (self.codec.stft_padding,) * 2, mode="reflect")
        return AudioBatch(padded, target, cropped.ids, cropped.texts)

    def run_facts(self) -> dict[str, Any]:
        """What is trained on: clips, hours, clips that could not be read, how many have texts, and the teacher."""
        facts: dict[str, Any] = {
            "clips": len(self.corpus.ids),
            "hours": round(self.corpus.hours, 3),
            "unreadable": len(self.corpus.bad),
            "texts": sum(text is not None for text in self.corpus.texts),
        }
        listening = self.tools.teacher or self.tools.semantic
        if listening is not None:
            facts["teacher_behind"] = listening.teacher_hash
        return facts

    def _validate(self, held_out: DecodedCorpus) -> Validation | None:
        """Validate the averaged model and log it. The main process does it alone; None in the others."""
        result = None
        if self.world.is_main:
            result = validate(self.state.average, held_out, self.config.validation_clips)
            self.monitor.event("validation", self.state.step, **result.to_dict())
            self._show(held_out)
        self.world.wait()
        return result

    def _keep_init(self) -> None:
        """Note, where a resume names another `init`, that it is ignored; records keep the one that the run began with.

        A resume that names none, as one by the folder's own config.yaml, asks for nothing that is not done.
        """
        saved = checkpoints_in(self.checkpoints)
        if not saved:
            return
        init, given = saved_config(saved[-1]).init, self.config.init
        if given is not None and given != init:
            self._ignored.append(
                f"init is ignored: the run goes on from step {self.state.step:,} of its own checkpoint "
                f"(it began with init={init or 'null'}, not {given}); for another start use another --out"
            )
        self.config = self.state.config = dataclasses.replace(self.config, init=init)

    def _tools(self, lm: FrozenLM | None) -> Tools:
        """What steps use of the config's losses."""
        config = self.config
        losses = ReconstructionLosses(self.codec.sample_rate, config.losses).to(self.device)
        teacher = TeacherLoss(config.teacher, self.codec).to(self.device) if config.uses("teacher") else None
        # The codec's own features are the target where its encoder sees what the target is made of.
        other = teacher_of_loss(config.teacher, self.codec) is config.teacher or config.noise.share > 0
        semantic = None
        if config.uses("semantic") and other:
            semantic = FrozenTeacher(teacher_of_loss(config.teacher, self.codec), self.codec).to(self.device)
        harmonics = self.codec.harmonics if config.uses("pitch") else None
        pitch = None if harmonics is None else PitchLoss(harmonics, self.codec).to(self.device)
        return Tools(losses, self.world, lm, teacher, semantic, pitch)

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

    def _log_row(self, results: Sequence[StepResult], seconds: float) -> Mapping[str, float]:
        """Mean losses and norms, the learning rate, and how the codebook is used."""
        values: dict[str, list[Tensor]] = {}
        for result in results:
            if result.applied:  # what was passed over would make the means NaN
                for name, value in result.values.items():
                    values.setdefault(name, []).append(value.float())
        usage = self.state.usage
        return {
            **{name: float(torch.stack(steps).mean()) for name, steps in values.items()},
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
