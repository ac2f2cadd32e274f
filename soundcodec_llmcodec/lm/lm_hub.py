"""Folders of language models over tokens that lie on the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from soundcodec_llmcodec.checkpoint_files import download_if_there
from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.scores import check_codec
from soundcodec_llmcodec.weights_files import CheckpointError

# Never a pickle, and nothing that a model over tokens does not need.
_WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")


def downloaded_lm(repo: str, source: TokenSource | None) -> Path | None:
    """The folder of a repository with a `token_lm.json`, None where it has none.

    Its codec is compared with `source` before the rest is downloaded: raises CodecMismatchError for another one, and
    TokenLMError where the repository cannot be had.
    """
    try:
        path = download_if_there(repo, folders.FILE, None, False)
    except CheckpointError as error:
        raise TokenLMError(str(error)) from error
    if path is None:
        return None
    described = folders.describe(path.parent)
    if source is not None:
        check_codec(described, source.codec_hash, source.codec_name)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        return Path(snapshot_download(repo, allow_patterns=list(_WANTED)))
    except (HfHubHTTPError, OSError) as error:
        raise TokenLMError(f"the language model {repo} cannot be downloaded: {str(error).rstrip('.')}") from error
