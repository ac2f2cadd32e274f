"""What the package installs: the codec always, everything else by extra. Lower bounds only."""

from pathlib import Path

from setuptools import find_packages, setup

EVAL = ["datasets>=3.0", "librosa>=0.10", "pandas>=2.0", "pesq>=0.0.4", "pyarrow>=14", "pystoi>=0.4"]
EVAL += ["scipy>=1.8", "tabulate>=0.9"]
TRAIN = ["datasets>=3.0", "librosa>=0.10", "pyarrow>=14", "pyyaml>=6.0"]
TEST = [*EVAL, *TRAIN, "auv>=0.1.1", "einops>=0.7", "hypothesis>=6", "mypy>=1.8", "pytest>=8", "ruff>=0.5"]

setup(
    name="soundcodec-llmcodec",
    version="0.1.0",
    description="LLM-Codec: a neural audio codec whose tokens are both reconstructable and predictable",
    long_description=(Path(__file__).parent / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="MIT",
    python_requires=">=3.10",
    packages=find_packages(include=["soundcodec_llmcodec", "soundcodec_llmcodec.*"]),
    package_data={
        "soundcodec_llmcodec": ["assets/*/*"],
        "soundcodec_llmcodec.train": ["configs/*.yaml"],
    },
    install_requires=[
        "huggingface_hub>=0.25",
        "numpy>=1.24",
        "safetensors>=0.4",
        "soundfile>=0.12",
        "soxr>=0.3.7",
        "torch>=2.2",
        "tqdm>=4.60",
    ],
    extras_require={"eval": EVAL, "train": TRAIN, "test": TEST},
    entry_points={"console_scripts": ["llmcodec=soundcodec_llmcodec.__main__:main"]},
)
