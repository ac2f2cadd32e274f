"""Language models over tokens by name or folder."""

from __future__ import annotations

from pathlib import Path

from soundcodec_llmcodec.checkpoints import usable_device
from soundcodec_llmcodec.lm import folder as folders
from soundcodec_llmcodec.lm.counted import NGRAM_NAMES, UNIFORM, NgramLM, UniformLM
from soundcodec_llmcodec.lm.folder import NGRAM, TokenLMError
from soundcodec_llmcodec.lm.scores import TokenLM, check_codec
from soundcodec_llmcodec.token_corpus import TokenSource

BUNDLED_NAME = "bundled"
BUNDLED = Path(__file__).parents[1] / "assets" / "llmcodec_lm"
DTYPES = ("float32", "bfloat16")


def load_token_lm(
    spec: str | Path, source: TokenSource | None = None, device: str = "cpu", dtype: str = "float32"
) -> TokenLM:
    """A language model over tokens: "bundled", "uniform" (which needs `source`), or a folder with `token_lm.json`.

    With `source`, the codec whose tokens are to be scored, a model of another codec is refused. `device` and `dtype`
    are those of a neural model's weights. Raises TokenLMError where there is nothing to read, CodecMismatchError for
    another codec's model, ImportError where a package is missing.
    """
    if dtype not in DTYPES:
        raise TokenLMError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if str(spec) == UNIFORM:
        if source is None:
            raise TokenLMError("the uniform model needs to know whose tokens; say which codec")
        return UniformLM(source.vocabulary_size)
    folder = BUNDLED if str(spec) == BUNDLED_NAME else Path(spec).expanduser()
    if not folder.is_dir():
        raise TokenLMError(_nothing(str(spec)))
    lm: TokenLM
    if folders.describe(folder).kind == NGRAM:
        lm = NgramLM.load(folder)
    else:
        # Only now: n-grams need no transformers.
        import torch

        from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM

        lm = NeuralTokenLM.load(folder, device=usable_device(device), dtype=getattr(torch, dtype))
    if source is not None:
        check_codec(lm, source.codec_hash, source.codec_name)
    return lm


def _nothing(spec: str) -> str:
    if spec == BUNDLED_NAME:
        return "this installation has no bundled language model; name a folder that llmcodec lm train has written"
    if spec in NGRAM_NAMES:
        return f"a {spec} model is counted: llmcodec lm count TOKENS --order {NGRAM_NAMES.index(spec) + 1} -o FOLDER"
    return f"nothing is at {spec!r}: expected {BUNDLED_NAME!r}, {UNIFORM!r} or a folder of llmcodec lm train or count"
