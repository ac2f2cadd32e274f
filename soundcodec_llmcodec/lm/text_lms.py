"""Text models that were extended by the codes, as models over a codec's tokens: exported ones and the published one.

Their folder has no token_lm.json. Where the codes stand follows from the tokenizer; whose codes they are follows from
the codec's weights, where these lie beside the model as in the published repository, and else is for the caller to say.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from soundcodec_llmcodec.checkpoint_files import codec_beside
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm.extend import ExtendedLM
from soundcodec_llmcodec.lm.lm_folder import FILE, NEURAL, Description, TokenLMError
from soundcodec_llmcodec.lm.scores import check_codec
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM


def load_text_lm(place: str, source: TokenSource | None, device: torch.device, dtype: torch.dtype) -> NeuralTokenLM:
    """The model over tokens in a transformers folder or hub repository whose tokenizer has `<CODEC_i>`.

    `source` is the codec whose tokens it is to read. Where nothing beside the model says that it is that codec's, a
    warning says so; the number of codes has to be right. Raises TokenLMError where there is no such model, or neither
    `source` nor a codec beside it, and CodecMismatchError for another codec than the one beside it.
    """
    folder = Path(place).expanduser()
    name = folder.resolve().name if folder.is_dir() else place
    with _named_errors(place):
        source_beside = _source_beside(place)
    if source_beside is not None and source is not None:
        check_codec(Description(NEURAL, name, source_beside, {}), source.codec_hash, source.codec_name)
    source_given = source or source_beside
    if source_given is None:
        raise TokenLMError(f"{place} does not say whose tokens it was trained on; say which codec")
    with _named_errors(place):
        read = ExtendedLM.load(folder if folder.is_dir() else place, dtype, source_given.vocabulary_size)
        lm = NeuralTokenLM(
            read.model.requires_grad_(False).eval().to(device),
            read.spec,
            source_given,
            bos_id=read.tokenizer.bos_token_id,
            eos_id=read.tokenizer.eos_token_id,
            name=name,
            tokenizer=read.tokenizer,
        )
    if source_beside is None:
        warnings.warn(
            f"{place} does not say whose tokens it was trained on; they are taken for those of "
            f"{source_given.codec_name} ({source_given.codec_hash[:12]}), which has as many codes",
            stacklevel=3,
        )
    return lm


def _source_beside(place: str) -> TokenSource | None:
    """The codec that lies beside a model, as the published one does."""
    path = codec_beside(place)
    if path is None:
        return None
    from soundcodec_llmcodec.llmcodec import LLMCodec

    return TokenSource.of(LLMCodec.from_pretrained(path))


@contextlib.contextmanager
def _named_errors(place: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        why = " ".join(str(error).split())
        raise TokenLMError(f"{place} is no language model over tokens: it has no {FILE}, and {why}") from error
