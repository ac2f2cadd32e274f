"""Several processes that train one model: each takes its rows of every batch, and gradients are averaged.

Launched by torchrun or `accelerate launch`; a process by itself needs nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.extras import missing
from soundcodec_llmcodec.runs.errors import TrainConfigError

CPU = torch.device("cpu")
PATIENCE = timedelta(hours=12)


def best_device() -> str:
    """The device to train on where none is named: CUDA where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@dataclass(frozen=True)
class World:
    """This process among all: `rank` of `size`, on `device`."""

    rank: int = 0
    size: int = 1
    device: torch.device = CPU

    @classmethod
    def join(cls, device: str) -> World:
        """The world that the launcher set up; one process by itself where it set up none."""
        if int(os.environ.get("WORLD_SIZE", "1")) == 1:
            return cls(device=torch.device(device))
        try:
            from accelerate import PartialState
        except ImportError as error:
            raise ImportError(missing("training in several processes", "accelerate", "train")) from error
        # The others wait while the main process decodes data or validates, for as long as that takes.
        state = PartialState(cpu=torch.device(device).type == "cpu", timeout=PATIENCE)
        return cls(state.process_index, state.num_processes, state.device)

    @property
    def is_main(self) -> bool:
        """Whether this process writes the log and the checkpoints."""
        return self.rank == 0

    def rows(self, batch_size: int) -> slice:
        """This process's rows of a batch. Raises TrainConfigError for a batch that cannot be shared evenly."""
        if batch_size % self.size:
            raise TrainConfigError(f"batch_size {batch_size} cannot be shared evenly by {self.size} processes")
        part = batch_size // self.size
        return slice(self.rank * part, (self.rank + 1) * part)

    def check_share(self, name: str, size: int, accumulation: int) -> None:
        """Raise TrainConfigError where a batch, `size` of the key `name`, cannot be cut into equal pieces."""
        pieces = self.size * accumulation
        if size % pieces:
            raise TrainConfigError(
                f"{name} {size} cannot be shared evenly by {self.size} processes in {accumulation} pieces each; take a "
                f"multiple of {pieces}"
            )

    def decided(self, value: bool) -> bool:
        """What the main process decides, for all."""
        decision = torch.tensor(float(value), device=self.device)
        self.share([decision])
        return bool(decision)

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            torch.distributed.barrier()

    def total(self, value: Tensor) -> Tensor:
        """The sum of a tensor over all processes, a new tensor."""
        if self.size == 1:
            return value
        value = value.clone()
        torch.distributed.all_reduce(value)
        return value

    def means(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The means of scalars over all processes; the names are the same in each."""
        if self.size == 1 or not values:
            return dict(values)
        names = sorted(values)
        mean = self.total(torch.stack([values[name].detach().float() for name in names])) / self.size
        return dict(zip(names, mean.unbind(), strict=True))

    def gathered(self, value: Tensor) -> Tensor:
        """The processes' tensors (N, ...) of one shape as one (size * N, ...), in their order."""
        if self.size == 1:
            return value
        parts = [torch.empty_like(value) for _ in range(self.size)]
        torch.distributed.all_gather(parts, value.contiguous())
        return torch.cat(parts)

    def agrees(self, number: int) -> bool:
        """Whether all processes have the same number."""
        if self.size == 1:
            return True
        numbers = self.gathered(torch.tensor([number], device=self.device))
        return bool((numbers == number).all())

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Make tensors those of the main process, in place."""
        if self.size > 1:
            for tensor in tensors:
                torch.distributed.broadcast(tensor, 0)

    def average_buffers(self, module: nn.Module) -> None:
        """Make a module's floating-point buffers the mean over all processes, in place (running statistics)."""
        if self.size > 1:
            for buffer in module.buffers():
                if buffer.is_floating_point():
                    torch.distributed.all_reduce(buffer)
                    buffer /= self.size

    def average_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make gradients the mean over all processes, in place; one that is missing in some counts as zero there.

        What has a gradient in no process keeps none, so that an optimizer passes it over as in a single process.
        """
        if self.size == 1:
            return
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        has = torch.tensor([parameter.grad is not None for parameter in trained], dtype=torch.int32, device=self.device)
        torch.distributed.all_reduce(has)
        for parameter, count in zip(trained, has.tolist(), strict=True):
            if not count:
                continue
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            torch.distributed.all_reduce(parameter.grad)
            parameter.grad /= self.size
