"""Gradients of losses on the decoded wave, each brought to its share of the whole: the balancer of EnCodec (Défossez et
al. 2022, section 3.4).

A loss's weight says little of what it does: gradients of a mel distance and of discriminators differ by orders of
magnitude at the wave, and change over a run. Here a group of losses has a share instead. Letters: B batch, S samples.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.runs.distributed import World
from soundcodec_llmcodec.runs.errors import TrainConfigError
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.setting import setting
from soundcodec_llmcodec.train.loss_names import ADVERSARIAL, ON_WAVE, RECONSTRUCTION

# The groups of losses that have no share of their own.
GROUPS: Mapping[str, tuple[str, ...]] = {"reconstruction": RECONSTRUCTION, "gan": ADVERSARIAL}
UNBALANCED = "unbalanced"  # what all reconstruction losses are together without balancing
NORM = "gradient/wave_"  # a norm's name among a step's values, and its group
SMALLEST = 1e-20


@dataclass(frozen=True)
class BalanceConfig:
    """With `enabled`, each group of losses on the decoded wave gives its share of the gradient there.

    Shares count in proportion to each other, among the groups that count in a step; a loss's schedule (start, ramp,
    final) raises and lowers its group's share as it would its weight.
    """

    enabled: bool = setting(False, "whether gradients at the decoded wave are balanced")
    shares: Mapping[str, float] = setting(
        lambda: {"reconstruction": 1.0, "gan": 1.0},
        'shares by loss, or of all losses of a kind without a share of their own ("reconstruction"; "gan": adversarial '
        "and feature matching), those in proportion to their weights",
    )
    decay: float = setting(0.99, "decay, over steps, of the average of a group's size: its gradient's norm at a clip")
    norm: float | None = setting(
        None,
        "size of the whole (null: what the reconstruction losses give together without balancing, so that learning "
        "rates, clipping and losses that are not on the wave keep their meaning)",
    )

    def __post_init__(self) -> None:
        names = (*GROUPS, *ON_WAVE)
        unknown = sorted(set(self.shares) - set(names))
        if unknown:
            raise TrainConfigError(f"shares are of losses on the wave ({', '.join(names)}), got {', '.join(unknown)}")
        if not self.shares:
            raise TrainConfigError("shares is empty: give groups of losses their shares, such as reconstruction: 1")
        for name, share in self.shares.items():
            if not share > 0:
                raise TrainConfigError(
                    f"shares.{name} must be above zero, got {share!r}; what is not to count has no weight in losses"
                )
        if not 0 <= self.decay < 1:
            raise TrainConfigError(f"decay must lie in [0, 1), got {self.decay!r}")
        if self.norm is not None and not self.norm > 0:
            raise TrainConfigError(f"norm must be above zero, or null, got {self.norm!r}")

    def group_of(self, loss: str) -> str | None:
        """The group that a loss belongs to, its own name or its kind's; None where neither has a share."""
        kinds = [group for group, members in GROUPS.items() if loss in members]
        return next((name for name in (loss, *kinds) if name in self.shares), None)

    def check(self, losses: Mapping[str, LossSchedule]) -> None:
        """Raise TrainConfigError where a loss that counts has no share, or nothing says how large the whole is."""
        if not self.enabled:
            return
        counted = [name for name in ON_WAVE if name in losses and not losses[name].is_off]
        without = [name for name in counted if self.group_of(name) is None]
        if without:
            raise TrainConfigError(
                f"the losses {', '.join(without)} count and have no share in balance.shares, which has "
                f"{', '.join(self.shares)}: name them there, or their kind ({', '.join(GROUPS)})"
            )
        if self.norm is None and not any(name in RECONSTRUCTION and losses[name].start == 0 for name in counted):
            raise TrainConfigError(
                "balance.norm: null is the size of the reconstruction losses' gradient, and none counts from the "
                "first step: give a number"
            )


class WaveBalance(nn.Module):
    """Balances gradients at the wave; the moving averages of their norms are its buffers.

    A step's scales follow from the steps before, so that they are the same in each of its pieces and processes, and
    after a resume. Only where a group has no past yet, its norm in the piece at hand (the mean over processes) stands
    for it: in a group's first step a batch that is cut into pieces is scaled a little otherwise than a whole one.
    """

    def __init__(self, config: BalanceConfig, losses: Mapping[str, LossSchedule]) -> None:
        super().__init__()
        self.config = config
        counted = {name: loss for name, loss in losses.items() if name in ON_WAVE and not loss.is_off}
        self.peaks = {name: max(loss.weight, loss.final or 0.0) for name, loss in counted.items()}
        self.members: dict[str, list[str]] = {}
        for name in counted:
            self.members.setdefault(config.group_of(name) or name, []).append(name)
        for group in (*self.members, UNBALANCED):
            self.register_buffer(f"{group}_sum", torch.zeros(()))
            self.register_buffer(f"{group}_count", torch.zeros(()))

    def forward(
        self, estimate: Tensor, values: Mapping[str, Tensor], weights: Mapping[str, float], world: World
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The balanced gradient (B, S) at the decoded wave, and the groups' norms in this piece, by name.

        `values` are unweighted losses by name, means over the B clips; `weights` are what they count in this step.
        """
        gradients: dict[str, Tensor] = {}
        strengths: dict[str, float] = {}
        for group, names in self.members.items():
            counted = {name: weights[name] for name in names if name in values and weights[name] > 0}
            if counted:
                loss = torch.stack([weight * values[name] for name, weight in counted.items()]).sum()
                gradients[group] = torch.autograd.grad(loss, estimate, retain_graph=True)[0].float()
                strengths[group] = max(weight / self.peaks[name] for name, weight in counted.items())
        norms = {group: norm_at_clips(gradient) / strengths[group] for group, gradient in gradients.items()}
        rebuilt = [gradients[group] for group in gradients if set(self.members[group]) <= set(RECONSTRUCTION)]
        if rebuilt:
            norms[UNBALANCED] = norm_at_clips(torch.stack(rebuilt).sum(dim=0))
        sizes = self._sizes(norms, world)
        size = sizes[UNBALANCED] if self.config.norm is None else self.config.norm
        parts = sum(self.config.shares[group] * strength for group, strength in strengths.items())
        whole = torch.zeros_like(estimate, dtype=torch.float32)
        for group, gradient in gradients.items():
            whole += gradient * (size * self.config.shares[group] / parts / sizes[group].clamp_min(SMALLEST))
        return whole, {NORM + group: norm for group, norm in norms.items()}

    @torch.no_grad()
    def update(self, values: Mapping[str, Tensor]) -> None:
        """Take in the norms among a step's values, the means over its pieces and processes."""
        for group in self.groups:
            if NORM + group in values:
                getattr(self, f"{group}_sum").mul_(self.config.decay).add_(values[NORM + group])
                getattr(self, f"{group}_count").mul_(self.config.decay).add_(1)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = False, assign: bool = False) -> Any:
        """Take over the averages of groups that are still here; what joins starts fresh."""
        return super().load_state_dict({k: v for k, v in state_dict.items() if hasattr(self, k)}, strict, assign)

    def _sizes(self, norms: Mapping[str, Tensor], world: World) -> dict[str, Tensor]:
        """Each group's average norm over the steps before; where there is none, its norm in this piece."""
        averages = {group: (getattr(self, f"{group}_sum"), getattr(self, f"{group}_count")) for group in self.groups}
        sizes = {group: total / count for group, (total, count) in averages.items() if count > 0}
        return sizes | world.means({group: norm for group, norm in norms.items() if group not in sizes})

    @property
    def groups(self) -> tuple[str, ...]:
        """The names of all norms."""
        return (*self.members, UNBALANCED)


def norm_at_clips(gradient: Tensor) -> Tensor:
    """Mean over clips of the norm of what a clip's own loss gives; `gradient` (B, S) is of a mean over clips."""
    return len(gradient) * torch.linalg.vector_norm(gradient, dim=1).mean()
