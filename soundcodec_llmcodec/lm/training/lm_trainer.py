"""A language model's training run: packed batches, steps, and the weights that validate best."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig
from soundcodec_llmcodec.lm.training.lm_state import CHARACTERS, LMState, saved_config
from soundcodec_llmcodec.lm.training.lm_validation import LMValidation, validate
from soundcodec_llmcodec.lm.training.network import Network, seeded
from soundcodec_llmcodec.lm.training.network_building import base_facts, build
from soundcodec_llmcodec.lm.training.packing import PackedBatch, Sampler, clip_positions, clips_to_predict, collate
from soundcodec_llmcodec.lm.training.spoken_clips import open_spoken_clips
from soundcodec_llmcodec.lm.training.token_clips import Clips, open_clips
from soundcodec_llmcodec.runs.base_trainer import BaseTrainer
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in
from soundcodec_llmcodec.runs.errors import TrainConfigError, TrainingError
from soundcodec_llmcodec.runs.resuming import changes


class LMTrainer(BaseTrainer[LMTrainConfig, LMState, dict[str, float], LMValidation]):
    """A run in a folder: besides what every run has, `best`, the weights that validated best."""

    places = ("tokens", "validation", "codec")  # a token corpus is known by its tokens, a codec by its hash
    validates_at_end = True

    def __init__(self, config: LMTrainConfig, folder: Path, device: str = "cpu", progress: bool = True) -> None:
        """Raises TrainConfigError for what cannot be trained, and where the folder holds another run."""
        if not config.tokens:
            raise TrainConfigError("no tokens to train on: give token corpora, such as --tokens DIR:train")
        super().__init__(config, folder, device, progress)
        self.world.check_share("batch_rows", config.batch_rows, config.accumulation)
        self.held_out: Clips | None = None
        self.characters = ""
        if config.text.kind == "characters":
            self._open_spoken()
        else:
            self.clips = open_clips(config.tokens)
            if config.validation:
                self.held_out = open_clips(config.validation, self.clips.source).first(config.validation_clips)
        network = build(config, self.clips.source, self.characters).to(self.device)
        self._check_lengths(network)
        self.state = LMState.create(config, network)
        self.sampler = Sampler(clip_positions(network.layout, self.clips), config.row_tokens, config.seed)
        # What a run that goes on must have in common with this one; corpora may move.
        same = {"token_source": self.clips.source.to_dict(), "tokens_hash": self.clips.fingerprint}
        same |= base_facts(config, network)
        if self.characters:
            same[CHARACTERS] = self.characters
        held_out = None if self.held_out is None else self.held_out.fingerprint
        self.facts = {**same, "corpora": list(self.clips.labels), "validation_hash": held_out}
        before = self._resume(same)
        if saved := checkpoints_in(self.checkpoints):
            self._changes = changes(saved_config(saved[-1]), config, self.places)
        if before.get("validation_hash", held_out) != held_out:
            # The best of other clips, or of none any more, is not to be compared with what comes, nor exported.
            self.state.forget_best(folder)
        self.sampler.epoch, self.sampler.row = self.state.epoch, self.state.row

    def step(self) -> dict[str, float]:
        """One step. Raises TrainingError for one that is not finite, with nothing updated and the state saved."""
        state, config = self.state, self.config
        rows = self.sampler.take(config.batch_rows)
        batch = collate(rows, self.clips, state.network.layout)
        scored = int(batch.scored.sum())
        rate = state.set_rates()
        state.network.train()
        state.optimizer.zero_grad(set_to_none=True)
        nats = self._gradients(batch, scored)
        norm = nn.utils.clip_grad_norm_(list(state.network.trained().values()), config.optimizer.largest_norm)
        bits = float(nats) / scored / math.log(2)
        if not (math.isfinite(bits) and math.isfinite(float(norm))):
            self._give_up(bits, float(norm))
        state.optimizer.step()
        state.step += 1
        state.epoch, state.row = self.sampler.epoch, self.sampler.row
        progress = state.epoch + state.row / len(self.sampler.rows())
        return {
            "bits": bits,
            "gradient": float(norm),
            "learning_rate": rate,
            "tokens": scored,
            "fill_share": scored / batch.ids.numel(),
            "epochs": progress,
        }

    def run_facts(self) -> dict[str, Any]:
        """What is trained on what, for the log."""
        trained = self.state.network.trained().values()
        rows = len(self.sampler.rows())
        return {
            "clips": len(self.clips),
            "tokens": len(self.clips.tokens),
            "rows_an_epoch": rows,
            "steps_an_epoch": round(rows / self.config.batch_rows, 2),
            "trained_weights": sum(parameter.numel() for parameter in trained),
        }

    def _validate(self, held_out: Clips) -> LMValidation | None:
        """Validate and log; the best weights are kept."""
        result = validate(self.state.network, held_out, self.world)
        self.monitor.event("validation", self.state.step, **result.to_dict())
        if self.state.best is None or result.bits < self.state.best[1]:
            self.state.best = (self.state.step, result.bits)
            if self.world.is_main:
                self.state.save_best(self.folder, result.bits, {**self.facts, "validation": result.to_dict()})
        return result

    def _log_row(self, results: Sequence[dict[str, float]], seconds: float) -> Mapping[str, float]:
        """The last step's values, with the mean loss and the pace of all of them."""
        bits = float(np.mean([values["bits"] for values in results]))
        tokens = sum(int(values["tokens"]) for values in results)
        return {**results[-1], "bits": bits, "tokens_per_second": tokens / seconds}

    def _open_spoken(self) -> None:
        """The clips with their texts; what is left out of them is said in the log."""
        config, most = self.config, self.config.scratch.max_positions
        spoken = open_spoken_clips(config.tokens, min(most, config.row_tokens), config.text.characters)
        self.clips, self.characters = spoken.clips, spoken.characters
        parts = [spoken]
        if config.validation:
            parts.append(open_spoken_clips(config.validation, most, spoken.characters, spoken.clips.source))
            self.held_out = parts[-1].clips.first(config.validation_clips)
        self._ignored += [part.summary for part in parts if part.summary]

    def _check_lengths(self, network: Network) -> None:
        """Raise TrainConfigError for more positions than the model was made for, and for clips without any."""
        for what, clips in (("training", self.clips), ("validation", self.held_out)):
            if clips is not None and not clips_to_predict(network.layout, clips):
                raise TrainConfigError(f"no {what} clip has a token to predict: all of them are of one token")
        most = getattr(network.lm.config.get_text_config(), "max_position_embeddings", None)
        if most is None:
            return
        longest = int(clip_positions(network.layout, self.clips).max())
        if min(longest, self.config.row_tokens) > most:
            raise TrainConfigError(f"row_tokens {self.config.row_tokens} is more than the model's {most} positions")
        if self.held_out is not None and int(clip_positions(network.layout, self.held_out).max()) > most:
            raise TrainConfigError(
                f"a validation clip has {self.held_out.lengths.max()} tokens, more than the model's {most} positions: "
                "take validation clips that are shorter, or another model (scratch.max_positions)"
            )

    def _gradients(self, batch: PackedBatch, scored: int) -> Tensor:
        """Add the gradient of the mean over all of the batch's scored tokens; returns the sum over them in nats.

        Every process knows all rows, and so the number of tokens that counts, before it sees its own.
        """
        world, config = self.world, self.config
        mine = world.rows(config.batch_rows)
        size = config.batch_rows // world.size // config.accumulation
        dtype = getattr(torch, config.precision)
        total = torch.zeros((), device=world.device)
        for number in range(config.accumulation):
            place = slice(mine.start + number * size, mine.start + (number + 1) * size)
            part = PackedBatch(
                *(tensor[place] for tensor in (batch.ids, batch.positions, batch.segments, batch.targets))
            )
            seed = int(np.random.default_rng((config.seed, self.state.step, place.start)).integers(2**62))
            with seeded(seed, world.device), self._autocast():
                loss = self.state.network(part.to(world.device), dtype)
            # The processes' gradients are averaged, and should be summed.
            (loss * (world.size / scored)).backward()
            total += loss.detach()
        world.average_gradients(self.state.network.trained().values())
        return world.total(total)

    def _autocast(self) -> contextlib.AbstractContextManager[Any]:
        if self.config.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.world.device.type, torch.bfloat16)

    def _give_up(self, bits: float, norm: float) -> None:
        """Save the state of before the step, which nothing updated, and raise TrainingError."""
        if self._saved != self.state.step:
            self.save()
        raise TrainingError(
            f"step {self.state.step} is not finite (bits a token {bits}, gradient norm {norm}); nothing was updated. "
            "Lower optimizer.learning_rate or raise optimizer.warmup, and resume"
        )
