"""What a training step costs: CPU seconds of one thread by config, data included.

python benchmarks/train_step.py compact experiments/recipe/loudness.yaml --data FOLDER:train
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import torch

from soundcodec_llmcodec.train.codec_trainer import Trainer
from soundcodec_llmcodec.train.train_config import load_config


def measure(name: str, data: list[str], steps: int, cache: Path) -> tuple[float, float]:
    """CPU seconds a step, the median of `steps` after four to warm up (and to compile), and seconds of audio a step."""
    config = load_config(name, {"data": data})
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, Path(folder), cache=cache, progress=False)
        costs = []
        for _ in range(4 + steps):
            began = time.process_time()
            trainer.step()
            costs.append(time.process_time() - began)
    return sorted(costs[4:])[steps // 2], config.batch_size * config.segment_s


def main() -> None:
    """Print a row for each config."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("configs", nargs="+", help="bundled names or YAML files")
    parser.add_argument("--data", nargs="+", required=True)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--cache", type=Path, help="where decoded audio is kept (default: nowhere)")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        for name in arguments.configs:
            cost, audio = measure(name, arguments.data, arguments.steps, arguments.cache or Path(scratch))
            print(f"{name}: {cost:.3f} CPU s a step, {audio / cost:.1f} s of audio a CPU second", flush=True)


if __name__ == "__main__":
    main()
