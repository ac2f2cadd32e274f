"""The training loop: packed batches, steps, a log, validation, checkpoints, resume."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig
from soundcodec_llmcodec.lm.training.lm_state import LMState, saved_config
from soundcodec_llmcodec.lm.training.lm_validation import LMValidation, validate
from soundcodec_llmcodec.lm.training.network import Network, seeded
from soundcodec_llmcodec.lm.training.network_building import base_facts, build
from soundcodec_llmcodec.lm.training.packing import PackedBatch, Sampler, clips_to_predict, collate
from soundcodec_llmcodec.lm.training.token_clips import Clips, open_clips
from soundcodec_llmcodec.runs.checkpoint_folders import checkpoints_in, prune
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainConfigError, TrainingError
from soundcodec_llmcodec.runs.monitor import Monitor
from soundcodec_llmcodec.runs.resuming import changes, write_config
from soundcodec_llmcodec.runs.stopping import Stopping

CHECKPOINTS = "checkpoints"
PLACES = ("tokens", "validation", "codec")  # a token corpus is known by its tokens, a codec by its hash


class LMTrainer:
    """A run in a folder: `config.yaml`, `log.jsonl`, `metrics.csv`, `checkpoints/step-N`, and `best`, the weights that
    validated best."""

    def __init__(self, config: LMTrainConfig, folder: Path, device: str = "cpu", progress: bool = True) -> None:
        """Raises TrainConfigError for what cannot be trained, and where the folder holds another run."""
        if not config.tokens:
            raise TrainConfigError("no tokens to train on: give token corpora, such as --tokens DIR:train")
        self.config, self.folder = config, folder
        self.world = World.join(device)
        self.progress = progress and self.world.is_main
        if config.batch_rows % (self.world.size * config.accumulation):
            raise TrainConfigError(
                f"batch_rows {config.batch_rows} cannot be shared evenly by {self.world.size} processes in "
                f"{config.accumulation} pieces each; take a multiple of {self.world.size * config.accumulation}"
            )
        self.clips = open_clips(config.tokens)
        self.held_out: Clips | None = None
        if config.validation:
            self.held_out = open_clips(config.validation, self.clips.source).first(config.validation_clips)
        network = build(config, self.clips.source).to(self.world.device)
        self._check_lengths(network)
        self.state = LMState.create(config, network)
        self.sampler = Sampler(network.layout.positions(self.clips.lengths), config.row_tokens, config.seed)
        # What a run that goes on must have in common with this one; corpora may move.
        same = {"token_source": self.clips.source.to_dict(), "tokens_hash": self.clips.fingerprint}
        same |= base_facts(config, network)
        held_out = None if self.held_out is None else self.held_out.fingerprint
        self.facts = {**same, "corpora": list(self.clips.labels), "validation_hash": held_out}
        self._saved: int | None = None
        self._validated: tuple[int, LMValidation] | None = None
        folder.mkdir(parents=True, exist_ok=True)
        saved = checkpoints_in(self.checkpoints)
        self._changes: dict[str, str] = {}
        if saved:
            before = self.state.load(saved[-1], same)
            self._changes = changes(saved_config(saved[-1]), config, PLACES)
            self._saved = self.state.step
            if before.get("validation_hash", held_out) != held_out:
                # The best of other clips, or of none any more, is not to be compared with what comes, nor exported.
                self.state.forget_best(folder)
        self.sampler.epoch, self.sampler.row = self.state.epoch, self.state.row
        if not self.world.agrees(self.state.step):
            raise TrainConfigError(
                f"the processes would go on from different steps, this one from {self.state.step}: all of them have to "
                f"see the same {self.checkpoints}"
            )
        self.monitor = Monitor(folder, step=self.state.step, progress=self.progress, enabled=self.world.is_main)

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.folder / CHECKPOINTS

    def run(self, max_seconds: float | None = None) -> LMState:
        """Train to `config.steps`, or for about `max_seconds`, or until Ctrl-C or SIGTERM, which end the step under
        way. The last state is saved in each case."""
        self.monitor.event("start", self.state.step, **self.run_facts())
        if self._changes:
            self.monitor.event("changed", self.state.step, **self._changes)
        if self.world.is_main:
            write_config(self.folder, self.config, PLACES)
        with Stopping() as stopping:
            self._loop(stopping, math.inf if max_seconds is None else max_seconds)
        if self.state.step >= self.config.steps:
            self.validate()
        if self._saved != self.state.step:
            self.save()
        if stopping.asked:
            self.monitor.event("stopped", self.state.step)
        return self.state

    def _loop(self, stopping: Stopping, max_seconds: float) -> None:
        config = self.config
        began = marked = time.monotonic()
        marked_step, losses, tokens = self.state.step, [], 0
        bar = tqdm(total=config.steps, initial=self.state.step, disable=not self.progress, unit="step")
        while self.state.step < config.steps:
            values = self.step()
            losses.append(values["bits"])
            tokens += int(values["tokens"])
            bar.update()
            step = self.state.step
            if step % config.log_every == 0:
                now = time.monotonic()
                shown = {**values, "bits": float(np.mean(losses)), "tokens_per_second": tokens / (now - marked)}
                pace = (now - marked) / (step - marked_step)
                self.monitor.step(step, shown, seconds_per_step=pace, total_steps=config.steps)
                losses, tokens, marked_step = [], 0, step
                marked = time.monotonic()
            if step % config.validate_every == 0:
                self.validate()
            if step % config.checkpoint_every == 0:
                self.save()
            if self._agreed(stopping.asked or time.monotonic() - began > max_seconds):
                break
        bar.close()

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

    def validate(self) -> LMValidation | None:
        """Validate and log; the best weights are kept. None without validation data."""
        if self.held_out is None:
            return None
        if self._validated is None or self._validated[0] != self.state.step:
            found = validate(self.state.network, self.held_out, self.world)
            self._validated = (self.state.step, found)
            self.monitor.event("validation", self.state.step, **found.to_dict())
            if self.state.best is None or found.bits < self.state.best[1]:
                self.state.best = (self.state.step, found.bits)
                if self.world.is_main:
                    self.state.save_best(self.folder, found.bits, {**self.facts, "validation": found.to_dict()})
        return self._validated[1]

    def save(self) -> Path:
        """Save the state, keeping the newest few. The main process writes."""
        path = self.checkpoints / self.state.folder_name
        if self.world.is_main:
            self.state.save(self.checkpoints, self.facts)
            prune(self.checkpoints, self.config.keep_checkpoints)
        self._saved = self.state.step
        self.world.wait()
        return path

    def run_facts(self) -> dict[str, Any]:
        """What is trained on what, for the log."""
        trained = self.state.network.trained().values()
        rows = len(self.sampler.rows())
        return {
            "device": str(self.world.device),
            "processes": self.world.size,
            "clips": len(self.clips),
            "tokens": len(self.clips.tokens),
            "rows_an_epoch": rows,
            "steps_an_epoch": round(rows / self.config.batch_rows, 2),
            "trained_weights": sum(parameter.numel() for parameter in trained),
        }

    def _check_lengths(self, network: Network) -> None:
        """Raise TrainConfigError for more positions than the model was made for, and for clips without any."""
        for what, clips in (("training", self.clips), ("validation", self.held_out)):
            if clips is not None and not clips_to_predict(network.layout, clips):
                raise TrainConfigError(f"no {what} clip has a token to predict: all of them are of one token")
        most = getattr(network.lm.config.get_text_config(), "max_position_embeddings", None)
        if most is None:
            return
        longest = int(network.layout.positions(self.clips.lengths).max())
        if min(longest, self.config.row_tokens) > most:
            raise TrainConfigError(f"row_tokens {self.config.row_tokens} is more than the model's {most} positions")
        if self.held_out is not None and int(network.layout.positions(self.held_out.lengths).max()) > most:
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

    def _agreed(self, over: bool) -> bool:
        """Whether to stop: the main process decides for all."""
        decided = torch.tensor(float(over), device=self.world.device)
        self.world.share([decided])
        return bool(decided)

    def _give_up(self, bits: float, norm: float) -> None:
        """Save the state of before the step, which nothing updated, and raise TrainingError."""
        if self._saved != self.state.step:
            self.save()
        raise TrainingError(
            f"step {self.state.step} is not finite (bits a token {bits}, gradient norm {norm}); nothing was updated. "
            "Lower optimizer.learning_rate or raise optimizer.warmup, and resume"
        )
