"""One of several processes that train a language model, started by test_lm_distributed.py: FOLDER CONFIG.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from soundcodec_llmcodec.lm.training.lm_config import make_config
from soundcodec_llmcodec.lm.training.lm_trainer import LMTrainer


def main() -> None:
    torch.set_num_threads(1)
    folder, config = Path(sys.argv[1]), make_config(json.loads(Path(sys.argv[2]).read_text()))
    run = LMTrainer(config, folder / "run", progress=False)
    run.run()
    tensors = {name: tensor.detach().contiguous() for name, tensor in run.state.network.trained().items()}
    save_file(tensors, folder / f"rank-{run.world.rank}.safetensors")
    validation = run.validate()
    (folder / f"rank-{run.world.rank}.json").write_text(json.dumps([validation.to_dict(), run.state.best]))


if __name__ == "__main__":
    main()
