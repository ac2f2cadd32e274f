"""The commands that README and documentation show, as they are written there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from pages import PAGES, ROOT

_BLOCK = re.compile(r"^ *```bash\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`((?:python|llmcodec|torchrun) [^`]+)`")
# Inline code that names a command without calling it: "`llmcodec encode`", "`llmcodec superb-run SCRIPT ARGS...`".
_MENTION = re.compile(r"\.\.\.|^llmcodec( [a-z]+){0,2}$|^python -m soundcodec_llmcodec$")


@dataclass(frozen=True)
class Written:
    """A command of a page: its words, variables filled in."""

    page: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.page}: {' '.join(self.words)}"


def blocks(page: str) -> list[list[Written]]:
    """The commands of each bash block of a page, variables filled in over the whole page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    variables: dict[str, str] = {}
    return [list(_commands(page, block, variables)) for block in _BLOCK.findall(text)]


def inline(page: str) -> list[Written]:
    """The commands within the text of a page."""
    text = _BLOCK.sub("", (ROOT / page).read_text(encoding="utf-8"))
    found = (match.strip() for match in _INLINE.findall(text))
    return [Written(page, tuple(shlex.split(command))) for command in found if not _MENTION.search(command)]


def everything() -> list[Written]:
    """All commands of all pages, each once."""
    found = [command for page in PAGES for block in blocks(page) for command in block]
    found += [command for page in PAGES for command in inline(page)]
    return list({command.words: command for command in found}.values())


def _commands(page: str, block: str, variables: dict[str, str]) -> Iterator[Written]:
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(_filled(line, variables), comments=True)
        if len(words) == 1 and re.fullmatch(r"[A-Z]+=.*", words[0]):
            name, _, value = words[0].partition("=")
            variables[name] = value
            continue
        for command in " ".join(map(shlex.quote, words)).replace("'&&'", "&&").split("&&"):
            parts = tuple(shlex.split(command))
            if parts:
                yield Written(page, parts)


def _filled(line: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        line = line.replace(f"${name}", value)
    return line
