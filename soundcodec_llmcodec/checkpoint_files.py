"""Where a codec's config and weights lie: in the package, in a folder, in a file, or in a hub repository.

Published weights lie beside a language model, whose `config.json` and `.safetensors` are not the codec's: the codec is
a `.pt` there. What describes a repository is read before any weights are downloaded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.config_parts import ConfigError
from soundcodec_llmcodec.files import read_json
from soundcodec_llmcodec.weights_files import CheckpointError

FORMAT = "llmcodec-checkpoint"
FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
WEIGHTS_ENDINGS = (".safetensors", ".pt")
# What publishers call their codec's weights.
PUBLISHED_FILES = ("llm-codec.pt", "auv.pt")
# Hub repositories whose weights are a published `.pt` and hold no config.json of ours: name -> (repository, file).
PUBLISHED = {
    "llmcodec_published": ("voidful/llm-codec", "llm-codec.pt"),
    "llmcodec_abl_ftp": ("voidful/llm-codec-abl-ftp", "llm-codec.pt"),
    "llmcodec_abl_sa": ("voidful/llm-codec-abl-sa", "llm-codec.pt"),
    "llmcodec_abl_k1": ("voidful/llmcodec-abl-k1", "llm-codec.pt"),
    "llmcodec_abl_k3": ("voidful/llmcodec-abl-k3", "llm-codec.pt"),
    "llmcodec_abl_k10": ("voidful/llmcodec-abl-k10", "llm-codec.pt"),
    "auv": ("SWivid/AUV", "auv.pt"),
}
_HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")


@dataclass(frozen=True)
class CheckpointFiles:
    """Where weights lie, and what the `config.json` at `config_path` says of them.

    Without a config of ours both are None: the weights are then taken for the published codec's.
    """

    weights_path: Path
    config_path: Path | None = None
    described: Any = None


def is_hub_id(text: str) -> bool:
    """Whether a text is written as a hub repository is, `owner/name`, and not as a file of weights."""
    return bool(_HUB_ID.fullmatch(text)) and not text.endswith(WEIGHTS_ENDINGS)


def local_files(path: Path) -> CheckpointFiles:
    """The files of a folder, or those that belong to a file of weights. Raises CheckpointError where there are none."""
    if path.is_dir():
        return _of_folder(path)
    beside = path.parent / CONFIG_FILE
    described = read_described(beside) if beside.is_file() else None
    if is_ours(described):
        return CheckpointFiles(path, beside, described)
    if described is not None and path.suffix == ".safetensors":
        raise CheckpointError(
            f'{path} is no codec checkpoint: {_other_config(described)}, expected "format": "{FORMAT}". A published '
            f"codec is the .pt beside it"
        )
    return CheckpointFiles(path)


def hub_files(repo: str, revision: str | None, local_files_only: bool) -> CheckpointFiles:
    """The files of a hub repository, its config first, so that nothing large is downloaded in vain.

    Raises CheckpointError where the repository cannot be had, or holds no codec.
    """
    for known_repo, file in PUBLISHED.values():
        if repo == known_repo:
            return CheckpointFiles(download(repo, file, revision, local_files_only))
    config_path = download_if_there(repo, CONFIG_FILE, revision, local_files_only)
    described = None if config_path is None else read_described(config_path)
    if config_path is not None and is_ours(described):
        config_of(described, config_path)
        return CheckpointFiles(download(repo, WEIGHTS_FILE, revision, local_files_only), config_path, described)
    for name in PUBLISHED_FILES:
        weights = download_if_there(repo, name, revision, local_files_only)
        if weights is not None:
            return CheckpointFiles(weights)
    raise CheckpointError(
        f"no codec is in the hub repository {repo}, or, offline, in what is cached of it: {_other_config(described)}, "
        f"and there is no {' and no '.join(PUBLISHED_FILES)}. Where its codec has another name, download that file and "
        "pass it"
    )


def download(repo: str, file: str, revision: str | None, local_files_only: bool) -> Path:
    """A file of a hub repository. Raises CheckpointError where it cannot be had."""
    from huggingface_hub.errors import EntryNotFoundError

    try:
        return _downloaded(repo, file, revision, local_files_only)
    except EntryNotFoundError as error:
        raise _not_had(repo, file, error) from error


def download_if_there(repo: str, file: str, revision: str | None, local_files_only: bool) -> Path | None:
    """The same, but None where the repository can be had, or is cached, and has no such file."""
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        return _downloaded(repo, file, revision, local_files_only)
    except LocalEntryNotFoundError as error:
        if not _is_cached(repo):
            raise _not_had(repo, file, error) from error
    except EntryNotFoundError:
        pass
    return None


def is_ours(described: Any) -> bool:
    """Whether a config.json describes a codec in our format."""
    return isinstance(described, dict) and described.get("format") == FORMAT


def config_of(described: Any, where: Path) -> tuple[CodecConfig, dict[str, Any]]:
    """The config and information that a description holds; None is the published codec's.

    Raises CheckpointError, naming the place, for anything that describes no codec.
    """
    if described is None:
        return CodecConfig.preset("published"), {}
    if not is_ours(described):
        raise CheckpointError(f'{where} is no codec checkpoint: expected "format": "{FORMAT}"')
    if described.get("format_version") != FORMAT_VERSION:
        version = described.get("format_version")
        raise CheckpointError(f"{where} has format version {version!r}; this release reads version {FORMAT_VERSION}")
    try:
        return CodecConfig.from_dict(described["codec"]), dict(described.get("info", {}))
    except (ConfigError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise CheckpointError(f"{where} does not describe a codec: {error}") from error


def read_described(path: Path) -> Any:
    """What a `config.json` says. Raises CheckpointError where it is no JSON."""
    try:
        return read_json(path)
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as JSON: {error}") from error


def published_weights(folder: Path) -> Path | None:
    """The codec's `.pt` in a folder: by its published name, or the only one there is.

    Raises CheckpointError for several of other names.
    """
    published = [folder / name for name in PUBLISHED_FILES if (folder / name).is_file()]
    other_files = sorted(path for path in folder.glob("*.pt") if path.is_file() and not path.name.startswith("."))
    if not published and len(other_files) > 1:
        names = ", ".join(path.name for path in other_files[:4]) + (", ..." if len(other_files) > 4 else "")
        raise CheckpointError(f"{folder} holds {len(other_files)} .pt files ({names}); name one of them")
    return next(iter([*published, *other_files]), None)


def codec_beside(place: str | Path) -> Path | None:
    """The codec's `.pt` by its published name in a language model's folder or hub repository, None where there is none.

    Raises CheckpointError where the hub repository cannot be had.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return next((folder / name for name in PUBLISHED_FILES if (folder / name).is_file()), None)
    if not is_hub_id(str(place)):
        return None
    tried = (download_if_there(str(place), name, None, False) for name in PUBLISHED_FILES)
    return next((path for path in tried if path is not None), None)


def _of_folder(folder: Path) -> CheckpointFiles:
    config_path, weights_path = folder / CONFIG_FILE, folder / WEIGHTS_FILE
    described = read_described(config_path) if config_path.is_file() else None
    ours = is_ours(described)
    if ours and weights_path.is_file():
        return CheckpointFiles(weights_path, config_path, described)
    published = published_weights(folder)
    if published is not None:
        return CheckpointFiles(published, config_path, described) if ours else CheckpointFiles(published)
    if described is not None and not ours:
        raise CheckpointError(
            f"the folder {folder} is no codec checkpoint: {_other_config(described)}, and no {PUBLISHED_FILES[0]} or "
            'other .pt lies beside it. Expected "format": "' + FORMAT + f'" with {WEIGHTS_FILE}, or a published .pt'
        )
    missing = [path.name for path in (config_path, weights_path) if not path.is_file()]
    raise CheckpointError(f"the folder {folder} is no checkpoint: it has no {' and no '.join(missing)}, and no .pt")


def _other_config(described: Any) -> str:
    """What a config.json that is not ours says it is."""
    if described is None:
        return f"it has no {CONFIG_FILE}"
    kind = described.get("model_type") if isinstance(described, dict) else None
    return f"its {CONFIG_FILE} describes " + (
        f"a model of type {kind!r}" if isinstance(kind, str) else "something else"
    )


def _downloaded(repo: str, file: str, revision: str | None, local_files_only: bool) -> Path:
    """A file of a hub repository. Raises huggingface_hub's EntryNotFoundError where it is not there, else as above."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(repo, file, revision=revision, local_files_only=local_files_only))
    except EntryNotFoundError:
        raise
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise _not_had(repo, file, error) from error


def _is_cached(repo: str) -> bool:
    """Whether anything of a repository is in the hub's cache here."""
    from huggingface_hub.constants import HF_HUB_CACHE

    return (Path(HF_HUB_CACHE) / f"models--{repo.replace('/', '--')}" / "snapshots").is_dir()


def _not_had(repo: str, file: str, error: Exception) -> CheckpointError:
    why = str(error).rstrip(".")
    return CheckpointError(
        f"there is no folder or file {repo!r} here, and {file} of a hub repository of that name could not be had: "
        f"{why}. Check the name and the network, or download it and pass the folder or file"
    )
