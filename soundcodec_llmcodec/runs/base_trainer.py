"""A training run of any kind: joining the other processes, going on from the newest checkpoint, the loop with its log,
validation and checkpoints, and stopping."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from tqdm import tqdm

from soundcodec_llmcodec.nn.linear import has_bfloat16_products
from soundcodec_llmcodec.runs.checkpoint_folders import CHECKPOINTS, checkpoints_in, prune, step_name
from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.monitor import Monitor
from soundcodec_llmcodec.runs.resuming import PLACES, write_config
from soundcodec_llmcodec.runs.stopping import Stopping


class RunConfig(Protocol):
    """What the loop needs of a run's config."""

    @property
    def steps(self) -> int: ...
    @property
    def precision(self) -> str: ...
    @property
    def log_every(self) -> int: ...
    @property
    def validate_every(self) -> int: ...
    @property
    def checkpoint_every(self) -> int: ...
    @property
    def keep_checkpoints(self) -> int: ...
    def to_dict(self) -> dict[str, Any]:
        """All settings, ready for JSON and YAML."""
        ...


class RunState(Protocol):
    """What the loop needs of a run's state: the number of steps taken, and to be saved and loaded."""

    step: int

    def save(self, folder: Path, facts: Mapping[str, Any]) -> Path:
        """Write `folder/step-N` with the facts."""
        ...

    def load(self, folder: Path, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Take over a saved step, whose facts are returned; TrainConfigError where one of `facts` differs."""
        ...


ConfigT = TypeVar("ConfigT", bound=RunConfig)
StateT = TypeVar("StateT", bound=RunState)
ResultT = TypeVar("ResultT")  # what a step gives
ValidationT = TypeVar("ValidationT")


class BaseTrainer(ABC, Generic[ConfigT, StateT, ResultT, ValidationT]):
    """A run in a folder: `config.yaml`, `log.jsonl`, `metrics.csv` and `checkpoints/step-N`.

    A subclass's `__init__` calls this one's, makes `state`, `facts` (kept with every checkpoint) and `held_out` (what
    is validated on, None where nothing is), and calls `_resume` with what a resumed run must have in common with it.
    """

    places: ClassVar[Sequence[str]] = PLACES  # keys that say where things lie, which are no settings
    validates_at_end: ClassVar[bool] = False
    held_out: Any
    state: StateT
    facts: dict[str, Any]
    monitor: Monitor

    def __init__(self, config: ConfigT, folder: Path, device: str, progress: bool) -> None:
        self.config, self.folder = config, folder
        self.world = World.join(device)
        self.device = self.world.device
        self.progress = progress and self.world.is_main
        self._changes: dict[str, str] = {}
        self._ignored: list[str] = []  # what a resume was given and takes no notice of, in words
        self._validated: tuple[int, ValidationT | None] | None = None
        self._saved: int | None = None

    @abstractmethod
    def step(self) -> ResultT:
        """One step. Raises TrainingError for one that is not finite."""

    @abstractmethod
    def run_facts(self) -> dict[str, Any]:
        """What is trained on what, for the log."""

    @abstractmethod
    def _log_row(self, results: Sequence[ResultT], seconds: float) -> Mapping[str, float]:
        """The numbers to log of the steps since the last row, which took so many seconds."""

    @abstractmethod
    def _validate(self, held_out: Any) -> ValidationT | None:
        """Validate on `held_out` and log; called in every process."""

    @property
    def checkpoints(self) -> Path:
        """The folder of this run's checkpoints."""
        return self.folder / CHECKPOINTS

    def run(self, max_seconds: float | None = None) -> StateT:
        """Train to `config.steps`, or for about `max_seconds`, or until Ctrl-C or SIGTERM, which end the step under
        way.

        The last state is saved in each case.
        """
        facts = {"device": str(self.device), "processes": self.world.size, **self.run_facts()}
        self.monitor.event("start", self.state.step, **facts)
        if self._changes:
            self.monitor.changed(self.state.step, self._changes)
        for text in self._ignored:
            self.monitor.warning(self.state.step, text)
        self._warn_of_slow_products()
        if self.world.is_main:
            write_config(self.folder, self.config, self.places)
        with Stopping() as stopping:
            self._loop(stopping, math.inf if max_seconds is None else max_seconds)
        if self.validates_at_end and self.state.step >= self.config.steps:
            self.validate()
        if self._saved != self.state.step:
            self.save()
        if stopping.requested:
            self.monitor.event("stopped", self.state.step)
        return self.state

    def validate(self) -> ValidationT | None:
        """Validate and log, once a step; None without validation data."""
        if self.held_out is None:
            return None
        if self._validated is None or self._validated[0] != self.state.step:
            # In every process, or one would wait for the others the next time.
            self._validated = (self.state.step, self._validate(self.held_out))
        return self._validated[1]

    def save(self) -> Path:
        """Save the state, keeping the newest few. The main process writes."""
        if self.world.is_main:
            self.state.save(self.checkpoints, self.facts)
            prune(self.checkpoints, self.config.keep_checkpoints)
        self._saved = self.state.step
        self.world.wait()
        return self.checkpoints / step_name(self.state.step)

    def _resume(self, same: Mapping[str, Any], *, tensorboard: bool = False) -> dict[str, Any]:
        """Load the newest checkpoint, where there is one, and open the log; returns the facts that came with it.

        Raises TrainConfigError where one of the facts `same` was another then, or where processes see other
        checkpoints.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        before: dict[str, Any] = {}
        if saved := checkpoints_in(self.checkpoints):
            before = self.state.load(saved[-1], same)
            self._saved = self.state.step
        if not self.world.agrees(self.state.step):
            raise TrainConfigError(
                f"the processes would go on from different steps, this one from {self.state.step}: all of them have to "
                f"see the same {self.checkpoints}"
            )
        self.monitor = Monitor(
            self.folder,
            step=self.state.step,
            tensorboard=tensorboard,
            progress=self.progress,
            enabled=self.world.is_main,
        )
        return before

    def _loop(self, stopping: Stopping, max_seconds: float) -> None:
        config = self.config
        began = time.monotonic()
        marked, marked_step = began, self.state.step
        results: list[ResultT] = []
        bar = tqdm(total=config.steps, initial=self.state.step, disable=not self.progress, unit="step")
        while self.state.step < config.steps:
            results.append(self.step())
            bar.update()
            step = self.state.step
            if step % config.log_every == 0:
                now = time.monotonic()
                row, pace = self._log_row(results, now - marked), (now - marked) / (step - marked_step)
                self.monitor.step(step, row, seconds_per_step=pace, total_steps=config.steps)
                results, marked, marked_step = [], now, step
            if step % config.validate_every == 0:
                self.validate()
            if step % config.checkpoint_every == 0:
                self.save()
            if self.world.decided(stopping.requested or time.monotonic() - began > max_seconds):
                break
        bar.close()

    def _warn_of_slow_products(self) -> None:
        """Say that products in bfloat16 are slow here where they are: some ten times slower than in float32."""
        if self.config.precision == "bfloat16" and self.device.type == "cpu" and not has_bfloat16_products():
            self.monitor.warning(
                self.state.step,
                "precision is bfloat16, and this processor has no bfloat16 products (x86 needs AVX-512 or AMX): steps "
                "may take ten times as long as in float32; train with --set precision=float32",
            )
