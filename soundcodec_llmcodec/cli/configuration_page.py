"""The page of every key of training a codec and of training a language model.

`python -m soundcodec_llmcodec.cli.configuration_page` writes docs/configuration.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import HarmonicConfig, JoinConfig, MagnitudeConfig, SemanticConfig
from soundcodec_llmcodec.files import written_whole
from soundcodec_llmcodec.lm.training.lm_config import LMTrainConfig
from soundcodec_llmcodec.runs.config_keys import key_table, keys_of
from soundcodec_llmcodec.runs.schedules import LossSchedule
from soundcodec_llmcodec.train.loss_names import ABOUT_LOSSES
from soundcodec_llmcodec.train.train_config import TrainConfig

PAGE = Path("docs") / "configuration.md"
_HEAD = """# Configuration of training

Every key, its type, its default and what it is. A run takes a bundled config or a YAML file (`--config`), which may be
a difference to another one (`base: NAME`), and on top of that `--set key=value`, with a dot between a section and its
key: `--set optimizer.learning_rate=1e-3`. `--print-config` prints all of them, resolved, as `--config` reads them.

<!-- Written by: python -m soundcodec_llmcodec.cli.configuration_page -->
"""


def configuration_page() -> str:
    """The page of all keys, Markdown."""
    losses = [f"| `losses.{name}` | {about} |" for name, about in ABOUT_LOSSES.items()]
    parts = [
        _HEAD,
        "## Training a codec: `llmcodec train`\n",
        key_table(keys_of(TrainConfig)),
        "### The losses\n\nEach is its weight alone (`losses.mel=15`) or a schedule (`losses.mel.start=1000`).\n",
        "\n".join(["| Key | What it is |", "|---|---|", *losses, ""]),
        key_table(keys_of(LossSchedule, "losses.LOSS.")),
        "### The codec\n\n`codec` is a preset's name (`compact`), or these keys, beside `preset` as a difference to it "
        "(`codec={preset: compact, decoder_layers: 6}`).\n",
        key_table(
            [
                *keys_of(CodecConfig, "codec."),
                *keys_of(MagnitudeConfig, "codec.magnitudes."),
                *keys_of(SemanticConfig, "codec.semantic."),
                *keys_of(JoinConfig, "codec.semantic.join."),
                *keys_of(HarmonicConfig, "codec.harmonics."),
            ]
        ),
        "## Training a language model: `llmcodec lm train`\n",
        key_table(keys_of(LMTrainConfig)),
    ]
    return "\n".join(parts)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="python -m soundcodec_llmcodec.cli.configuration_page", description=main.__doc__
    )
    parser.add_argument("--out", type=Path, default=PAGE, help=f"default: {PAGE}")
    with written_whole(parser.parse_args(argv).out) as path:
        path.write_text(configuration_page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
