"""Files that are well-formed outside and hostile inside: safetensors headers, zip members, pickles."""

from __future__ import annotations

import builtins
import io
import os
import pickle
import random
import subprocess
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

from fuzzing.mutate import damaged, damaged_json

MARK = "executed"
_COMMAND = f"touch {MARK}"
_PYTHON = f"open({MARK!r}, 'w').close()"


def safetensors(data: bytes, random_: random.Random) -> bytes:
    """A safetensors file whose header is damaged as JSON, its length right again."""
    length = int.from_bytes(data[:8], "little")
    header = damaged_json(data[8 : 8 + length], random_)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def torch_zip(data: bytes, random_: random.Random, keep_pickle: bool = False) -> bytes:
    """A `.pt` archive with one member damaged, dropped or doubled, its checksums right again."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = [(name, archive.read(name)) for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError):
        return damaged(data, random_)
    changeable = [i for i, (name, _) in enumerate(members) if not (keep_pickle and name.endswith("data.pkl"))]
    index = random_.choice(changeable)
    if not keep_pickle and random_.random() < 0.6:
        index = next(i for i, (name, _) in enumerate(members) if name.endswith("data.pkl"))
    name, content = members[index]
    way = random_.random()
    if way < 0.1:
        del members[index]
    elif way < 0.2:
        members.insert(random_.randrange(len(members)), (damaged(name.encode(), random_).decode("latin-1"), content))
    else:
        members[index] = (name, damaged(content, random_))
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, content in dict(members).items():
            archive.writestr(name.partition("\0")[0] or "empty", content)
    return made.getvalue()


def pickles(tensors: Mapping[str, Any]) -> list[bytes]:
    """Files that make `MARK` when their pickle runs: alone or among sound tensors, zipped, old or bare."""
    import torch

    calls: list[tuple[Callable[..., Any], tuple[Any, ...]]] = [
        (os.system, (_COMMAND,)),
        (builtins.exec, (_PYTHON,)),
        (builtins.eval, (_PYTHON,)),
        (subprocess.call, (_COMMAND.split(),)),
        (builtins.open, (MARK, "w")),
        (torch.hub.download_url_to_file, (f"file://{os.getcwd()}", MARK)),
        (builtins.getattr, (os, "system")),
    ]
    made = []
    for function, arguments in calls:
        hostile = _Calls(function, arguments)
        try:
            pickle.dumps(hostile)
        except (TypeError, pickle.PicklingError):
            hostile = _Calls(os.mkdir, (MARK,))
        for held in (hostile, {**tensors, "tokenizer.extra": hostile}, {hostile: next(iter(tensors.values()))}):
            for zipped in (True, False):
                file = io.BytesIO()
                torch.save(held, file, _use_new_zipfile_serialization=zipped)
                made.append(file.getvalue())
        made.append(pickle.dumps(hostile))
    return made


class _Calls:
    """Calls a function when it is read from a pickle."""

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments
