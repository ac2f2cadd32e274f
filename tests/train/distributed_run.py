"""One of several processes of a training run, started by test_distributed.py: FOLDER CONFIG.json STEPS."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from toy_lm import ToyLM

from soundcodec_llmcodec.train.codec_trainer import Trainer
from soundcodec_llmcodec.train.train_config import make_config


def main() -> None:
    torch.set_num_threads(1)
    folder, config_file, steps = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    config = make_config(json.loads(config_file.read_text()))
    lm = ToyLM()
    run = Trainer(config, folder / "run", progress=False, lm=(lm, lm.start(), "toy"))
    rows = [{name: float(value) for name, value in run.step().values.items()} for _ in range(steps)]
    tensors = {
        f"{name}.{key}": value.contiguous().clone()
        for name, part in run.state.parts()
        if not isinstance(part, torch.optim.Optimizer)
        for key, value in part.state_dict().items()
    }
    save_file(tensors, folder / f"rank-{run.world.rank}.safetensors")
    (folder / f"rank-{run.world.rank}.json").write_text(json.dumps(rows))
    run.save()


if __name__ == "__main__":
    main()
