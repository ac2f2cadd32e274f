"""Language models over tokens by name or folder."""

from __future__ import annotations

from pathlib import Path

from soundcodec_llmcodec.checkpoint_files import is_hub_id
from soundcodec_llmcodec.checkpoints import usable_device
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.choices import BUNDLED_NAME, DTYPES
from soundcodec_llmcodec.lm.counted import NGRAM_NAMES, UNIFORM, NgramLM, UniformLM
from soundcodec_llmcodec.lm.lm_folder import NGRAM, TokenLMError
from soundcodec_llmcodec.lm.lm_hub import downloaded_lm
from soundcodec_llmcodec.lm.scores import TokenLM, check_codec

BUNDLED = Path(__file__).parents[1] / "assets" / "llmcodec_lm"


def load_token_lm(
    spec: str | Path, source: TokenSource | None = None, device: str = "cpu", dtype: str = "float32"
) -> TokenLM:
    """A language model over tokens: "bundled", "uniform" (which needs `source`), a folder, or a hub id `owner/name`.

    A folder or repository has a `token_lm.json`, or is a transformers model whose tokenizer has `<CODEC_i>`, as the
    published one and those that codec training exports (`load_text_lm`). With `source`, the codec whose tokens are to
    be scored, a model of another codec is refused, before its weights are read. `device` and `dtype` are those of a
    neural model's weights. Raises TokenLMError where there is nothing to read, CodecMismatchError for
    another codec's model, ImportError where a package is missing.
    """
    if dtype not in DTYPES:
        raise TokenLMError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if str(spec) == UNIFORM:
        if source is None:
            raise TokenLMError("the uniform model needs to know whose tokens; say which codec")
        return UniformLM(source.vocabulary_size)
    place = BUNDLED if str(spec) == BUNDLED_NAME else Path(spec).expanduser()
    if not place.is_dir() and not is_hub_lm(str(spec)):
        raise TokenLMError(_nothing(str(spec)))
    folder = place if place.is_dir() else downloaded_lm(str(spec), source)
    if folder is not None and ((folder / folders.FILE).is_file() or not (folder / "config.json").is_file()):
        return _described_lm(folder, source, device, dtype)
    # Only now: n-grams need no transformers.
    import torch

    from soundcodec_llmcodec.lm.text_lms import load_text_lm

    return load_text_lm(str(spec if folder is None else folder), source, usable_device(device), getattr(torch, dtype))


def is_hub_lm(spec: str) -> bool:
    """Whether a text means a language model on the hub: `owner/name`, and no folder `owner` is here, where it would
    rather be a folder whose name was mistyped."""
    return is_hub_id(spec) and not Path(spec).parent.is_dir()


def _described_lm(folder: Path, source: TokenSource | None, device: str, dtype: str) -> TokenLM:
    """The model in a folder with a token_lm.json."""
    described = folders.describe(folder)
    if source is not None:
        check_codec(described, source.codec_hash, source.codec_name)
    if described.kind == NGRAM:
        return NgramLM.load(folder)
    import torch

    from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM

    return NeuralTokenLM.load(folder, device=usable_device(device), dtype=getattr(torch, dtype))


def _nothing(spec: str) -> str:
    if spec == BUNDLED_NAME:
        return "this installation has no bundled language model; name a folder that llmcodec lm train has written"
    if spec in NGRAM_NAMES:
        return f"a {spec} model is counted: llmcodec lm count TOKENS --order {NGRAM_NAMES.index(spec) + 1} -o FOLDER"
    if is_hub_id(spec):
        near = Path(spec).parent
        return f"there is no folder {spec!r}, and it is not looked for on the hub because a folder {near} is here"
    return (
        f"nothing is at {spec!r}: expected {BUNDLED_NAME!r}, {UNIFORM!r}, a folder of llmcodec lm train or count, or a "
        "model whose tokenizer has <CODEC_i>, in a folder or by its hub id 'owner/name'"
    )
