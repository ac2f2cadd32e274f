"""Milliseconds a step of each reconstruction loss and discriminator kind, forward and backward, on one core.

    OMP_NUM_THREADS=1 python benchmarks/train_losses.py --clips 8 --seconds 2

A loss's time is with its own spectra; "all" shares them. A discriminator's turn is judging real and fake waves and its
own loss, the codec's turn is the adversarial and feature losses from these judgements down to the waves (as in a
training step), and R1 is one penalty. With --precision bfloat16 discriminators run as in a run of that precision.
Medians over the repeats.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from soundcodec_llmcodec.train import discriminators as gan
from soundcodec_llmcodec.train import losses

RATE = 16_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--channels", type=int, default=32)
    parser.add_argument("--stft-channels", type=int, default=8)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    shape = (arguments.clips, int(arguments.seconds * RATE))
    target, estimate = (0.1 * torch.randn(shape, device=arguments.device) for _ in range(2))
    time_losses(target, estimate, arguments.repeats)
    print()
    sizes = {"channels": arguments.channels, "stft_channels": arguments.stft_channels}
    time_discriminators(target, estimate, sizes, arguments.precision == "bfloat16", arguments.repeats)


def time_losses(target: Tensor, estimate: Tensor, repeats: int) -> None:
    parts: list[nn.Module] = [
        losses.MultiScaleMelLoss(RATE),
        losses.LogMelLoss(RATE),
        losses.PublishedMelLoss(RATE),
        losses.LoudnessLoss(RATE),
        losses.MultiResolutionSTFTLoss(),
        losses.ComplexSTFTLoss(),
        losses.PhaseLoss(),
    ]
    parts = [part.to(target.device) for part in parts]
    print("| loss | ms |\n| --- | --- |")
    for chosen, name in [*(([part], type(part).__name__) for part in parts), (parts, "all")]:
        print(
            f"| {name} | {milliseconds(lambda c=chosen: reconstruct(c, target, estimate), repeats):.0f} |", flush=True
        )


def reconstruct(parts: list[nn.Module], target: Tensor, estimate: Tensor) -> None:
    estimate = estimate.detach().requires_grad_(True)
    windows = sorted({key for part in parts for key in part.windows})
    wanted, got = losses.spectra(target, windows), losses.spectra(estimate, windows)
    torch.stack([part(wanted, got) for part in parts]).sum().backward()


def time_discriminators(real: Tensor, fake: Tensor, sizes: dict[str, int], half: bool, repeats: int) -> None:
    print("| kind | parameters | its turn ms | the codec's turn ms | R1 ms |\n| --- | --- | --- | --- | --- |")
    for kind in gan.KINDS:
        config = gan.DiscriminatorConfig(kinds=(kind,), **sizes)
        judges = gan.Discriminators(config).to(real.device)
        both = milliseconds(lambda j=judges: turns(j, real, fake, half), repeats)
        own = milliseconds(lambda j=judges: turns(j, real, fake, half, codec=False), repeats)
        r1 = milliseconds(lambda j=judges: gan.r1_penalty(j, real, 2.0).backward(), repeats)
        size = sum(parameter.numel() for parameter in judges.parameters())
        times = f"{own:.0f} | {both - own:.0f} | {r1:.0f}"
        print(f"| {kind} | {size:,} | {times} |", flush=True)


def turns(judges: gan.Discriminators, real: Tensor, fake: Tensor, half: bool, codec: bool = True) -> None:
    fake = fake.detach().requires_grad_(codec)
    with torch.autocast(real.device.type, torch.bfloat16, enabled=half):
        wanted, got = judges(real), judges(fake)
    gan.discriminator_loss(wanted, got).backward(inputs=list(judges.parameters()), retain_graph=codec)
    if codec:
        (gan.adversarial_loss(got) + gan.feature_matching_loss(wanted, got)).backward(inputs=[fake])


def milliseconds(work: Callable[[], None], repeats: int) -> float:
    work()
    times = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        work()
        wait()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)


def wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


if __name__ == "__main__":
    main()
