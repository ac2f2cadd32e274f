"""A model card from a run's records, and pushing a folder to a hub.

The card says what the records say and nothing else: a section whose facts are missing is left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from soundcodec_llmcodec.runs.monitor import duration_text, value_text
from soundcodec_llmcodec.runs.run_log import LOG, STEP, VALIDATION, read_log
from soundcodec_llmcodec.teachers import described

CARD = "README.md"
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Licences that the hub knows by these words, of those that codecs, speech corpora and language models come under.
LICENCES = (
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc0-1.0", "unlicense", "gpl-3.0", "lgpl-3.0", "agpl-3.0"),
    *("cc-by-3.0", "cc-by-4.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nd-4.0"),
    *("cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "openrail", "llama3", "gemma", "other"),
)
VALIDATION_NAMES = {
    "mel": "mel distance ↓",
    "tokens": "tokens",
    "codes": "codes in use",
    "codebook_size": "codes",
    "entropy_bits": "entropy of the codes, bits a token",
    "unigram_bits": "unigram, bits a token ↓",
    "bigram_bits": "bigram, bits a token ↓",
    "unigram_perplexity": "perplexity of a unigram over the codes ↓",
    "bigram_perplexity": "perplexity of a bigram over the codes ↓",
}


class PushError(ValueError):
    """A folder that cannot be pushed as asked, and why."""


def run_facts(folder: Path) -> dict[str, Any]:
    """The facts for `model_card` that the log of a run holds: steps, time, hardware, clips, validation, skipped steps.

    Raises RecordsError where there is no log.
    """
    rows = read_log(folder)
    facts: dict[str, Any] = {"steps": max((row[STEP] for row in rows), default=0)}
    seconds, before = 0.0, 0
    for row in rows:
        if row["event"] == STEP:
            seconds += row["seconds_per_step"] * max(0, row[STEP] - before)
            before = row[STEP]
    if seconds:
        facts["training_time"] = duration_text(seconds)
    starts = [row for row in rows if row["event"] == "start"]
    if starts:
        data = {key: starts[-1].get(key) for key in ("clips", "hours", "unreadable")}
        facts |= {key: value for key, value in data.items() if value is not None}
        if starts[-1].get("device"):
            facts["hardware"] = starts[-1]["device"]
    validations = [row for row in rows if row["event"] == VALIDATION]
    if validations:
        facts["validation"] = {key: value for key, value in validations[-1].items() if key != "event"}
    facts["skipped"] = sum(row["event"] == "skipped" for row in rows)
    return facts


def changes(base: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, Any]:
    """What `config` (nested, plain) has otherwise than `base`; a key that only `base` has is None."""
    differences: dict[str, Any] = {}
    for key in dict.fromkeys([*base, *config]):
        before, now = base.get(key), config.get(key)
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            now = changes(before, now)
            if now:
                differences[key] = now
        elif before != now:
            differences[key] = now
    return differences


def model_card(facts: Mapping[str, Any]) -> str:
    """A Markdown card with YAML front matter that the hub accepts.

    Facts, all optional but `name`: `description`; `license`, `language`, `tags`, `base_model`, `datasets` (for the
    front matter); `codec` (a CodecConfig as a dict), `hash`, `parameters`; `base` (a config's name) and `changes` (what
    differs from it); `data` (a list of {name, clips, hours, license}), `clips`, `hours`, `unreadable`; `steps`,
    `batch`, `training_time`, `hardware`, `skipped`; `losses` (name -> weight, or a mapping of weight, start, ramp,
    ...); `validation` (with n); `limits` (sentences); `files` (name -> what it is). Raises ValueError without a name.

    Folders are shortened to their last part: where data lay on a machine is nobody's business.
    """
    facts = {key: without_folders(value) for key, value in facts.items() if value not in (None, "", [], {}, ())}
    if "name" not in facts:
        raise ValueError("a model card needs the fact 'name'")
    parts = [
        f"# {' '.join(str(facts['name']).split())}",
        *([str(facts["description"])] if "description" in facts else []),
    ]
    parts.append(_table(("", ""), _overview(facts)))
    for title, section in (
        ("Files", _files(facts)),
        ("Config", _config(facts)),
        ("Losses", _losses(facts)),
        ("Training data", _data(facts)),
        ("What it measures", _validation(facts)),
        ("What it is not good for", "\n".join(f"- {_text(limit)}" for limit in _listed(facts.get("limits", ())))),
    ):
        if section:
            parts += [f"## {title}", section]
    return _front_matter(facts) + "\n\n".join(part for part in parts if part) + "\n"


def push(folder: Path, repo_id: str, *, private: bool = True) -> str:
    """Upload a folder with its card to the hub repository `owner/name`, which is made where it is new; its address.

    Raises PushError for another kind of id, a folder without a card, what is no finished export, or a repository that
    is public while `private` is asked for.
    """
    if not REPOSITORY.fullmatch(repo_id):
        raise PushError(f"expected a repository as owner/name, got {repo_id!r}")
    card = folder / CARD
    if not card.is_file() or not card.read_text(encoding="utf-8").startswith("---\n"):
        raise PushError(f"{folder} has no {CARD} with a model card: export it with one")
    odd = sorted(path.name for path in folder.iterdir() if path.name.startswith(".") or path.name == LOG)
    if odd:
        raise PushError(f"{folder} is no finished export: it holds {', '.join(odd[:4])}")
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(repo_id, private=private, exist_ok=True)
    if private and api.repo_info(repo_id).private is False:
        raise PushError(
            f"the repository {repo_id} is public, and everyone would see this: ask for a public push, or another"
        )
    name = f"Upload {folder.resolve().name}"
    commit = api.upload_folder(repo_id=repo_id, folder_path=str(folder), commit_message=name)
    return str(getattr(commit, "commit_url", commit))


def _front_matter(facts: Mapping[str, Any]) -> str:
    import yaml

    matter: dict[str, Any] = {}
    if "license" in facts:
        licence = str(facts["license"]).strip().lower().replace(" ", "-")
        matter["license"] = licence if licence in LICENCES else "other"
        if licence not in LICENCES:
            matter["license_name"] = licence
    for key in ("language", "base_model", "datasets"):
        if key in facts:
            matter[key] = _listed(facts[key])
    matter["library_name"] = "soundcodec-llmcodec"
    matter["tags"] = list(dict.fromkeys(["audio", "neural-audio-codec", *_listed(facts.get("tags", ()))]))
    return f"---\n{yaml.safe_dump(matter, sort_keys=False, allow_unicode=True)}---\n"


def _overview(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    rows = []
    if "codec" in facts:
        from soundcodec_llmcodec.config import CodecConfig

        codec = CodecConfig.from_dict(facts["codec"])
        levels = "one codebook" if codec.num_quantizers == 1 else f"{codec.num_quantizers} codebook levels"
        rate = f"{codec.sample_rate / 1000:g} kHz, {codec.token_rate:g} tokens/s"
        rows.append(("codec", f"{rate}, {levels} of {codec.codebook_size:,} codes, {codec.bitrate_bps:.0f} bit/s"))
        window = codec.attention_window
        reach = "the whole clip" if window is None else f"{window} frames to each side"
        depth = f"{codec.encoder_layers} + {codec.decoder_layers} conformer layers"
        rows.append(("architecture", f"width {codec.hidden_size}, {depth}, attention over {reach}"))
        if codec.semantic is not None:
            rows.append(("frozen speech encoder", described(codec.semantic.teacher)))
    if "parameters" in facts:
        rows.append(("parameters", f"{int(facts['parameters']):,}"))
    named = {"base_model": "started from", "training_time": "training time"}
    for key in ("hash", "base_model", "steps", "batch", "training_time", "hardware"):
        if key in facts:
            rows.append((named.get(key, key), ", ".join(map(value_text, _listed(facts[key])))))
    if facts.get("skipped"):
        rows.append(("steps passed over", f"{facts['skipped']} (a loss was not finite)"))
    return rows


def _files(facts: Mapping[str, Any]) -> str:
    return _table(("file", "what it is"), [(f"`{name}`", what) for name, what in facts.get("files", {}).items()])


def _config(facts: Mapping[str, Any]) -> str:
    different = dict(_flat(facts.get("changes", {})))
    base = f"The config `{facts['base']}`" if "base" in facts else "A config of its own"
    if not different:
        return f"{base}, unchanged." if "base" in facts else ""
    rows = [(f"`{key}`", json.dumps(value, ensure_ascii=False, default=str)) for key, value in different.items()]
    return f"{base} with these values:\n\n{_table(('key', 'value'), rows)}"


def _losses(facts: Mapping[str, Any]) -> str:
    losses = {name: loss if isinstance(loss, Mapping) else {"weight": loss} for name, loss in _pairs(facts, "losses")}
    keys = list(dict.fromkeys(["weight", *(key for loss in losses.values() for key in loss)]))
    keys = [key for key in keys if key == "weight" or any(loss.get(key) for loss in losses.values())]
    rows = [(_words(name), *(_cell(loss.get(key)) for key in keys)) for name, loss in losses.items()]
    return _table(("loss", *keys), rows)


def _data(facts: Mapping[str, Any]) -> str:
    sources = facts.get("data", ())
    keys = [key for key in ("name", "clips", "hours", "license") if any(key in source for source in sources)]
    titles = {"name": "source", "license": "licence"}
    rows = [tuple(_cell(source.get(key)) for key in keys) for source in sources]
    table = _table([titles.get(key, key) for key in keys], rows)
    sentences = []
    if "clips" in facts and "hours" in facts:
        sentences.append(f"{facts['hours']:.2f} h in {facts['clips']:,} clips.")
    if facts.get("unreadable"):
        sentences.append(f"Clips that could not be read: {facts['unreadable']:,}.")
    return "\n\n".join(part for part in (" ".join(sentences), table) if part)


def _validation(facts: Mapping[str, Any]) -> str:
    values = dict(facts.get("validation", {}))
    if not values:
        return ""
    n, step = values.pop("n", None), values.pop(STEP, None)
    where = "Held-out clips" + (f", n = {n:,}" if n is not None else "") + (f", at step {step:,}" if step else "") + "."
    rows = [(VALIDATION_NAMES.get(key, _words(key)), _cell(value)) for key, value in values.items()]
    return f"{where}\n\n{_table(('', 'value'), rows)}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; nothing without rows."""
    lines = [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *lines])


def _text(value: Any) -> str:
    """Text that stays in its line and its cell."""
    return " ".join(str(value).split()).replace("|", "\\|")


def _cell(value: Any) -> str:
    return "" if value is None else value_text(value)


def _words(name: str) -> str:
    return name.replace("_", " ")


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) or not isinstance(value, Iterable) else list(value)


def _pairs(facts: Mapping[str, Any], key: str) -> list[tuple[str, Any]]:
    return list(facts.get(key, {}).items())


def _flat(values: Mapping[str, Any], above: str = "") -> Iterable[tuple[str, Any]]:
    """Nested values as ("section.key", value)."""
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{above}{key}.")
        else:
            yield f"{above}{key}", value


def without_folders(value: Any) -> Any:
    """The same with every absolute path, or path in somebody's home, shortened to its last part."""
    if isinstance(value, Mapping):
        return {key: without_folders(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [without_folders(item) for item in value]
    if isinstance(value, Path):
        value = str(value)
    if isinstance(value, str) and "\n" not in value:
        if value.startswith(("/", "~", "./", "../")):
            return PurePosixPath(value).name
        if re.match(r"[A-Za-z]:[\\/]|\\\\", value):
            return PureWindowsPath(value).name
    return value
