"""A tokenizer of codes alone, for models that know no text: "<CODEC_5><CODEC_7>" is two tokens, and words are an error;
and of characters and codes for models that speak text: "hello<s><CODEC_5>" is seven.

It is written as the tokenizers library writes it (a table of words, not tokens added to one, which would take four
times the room), so that AutoTokenizer, and with it lm-evaluation-harness and vLLM, read it from a model's folder.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from soundcodec_llmcodec.files import read_json, written_whole
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.characters import Characters
from soundcodec_llmcodec.lm.lm_folder import TokenLMError, read_neural
from soundcodec_llmcodec.vocabulary import TokenSpec

BOS_TOKEN, EOS_TOKEN = "<s>", "</s>"
# Not in the table: text that is no code has no id, and tokenizing it is an error instead of a wrong token.
_UNKNOWN = "<unk>"
_CODE = r"<CODEC_\d+>"
_CODE_OR_CHARACTER = rf"{_CODE}|[\s\S]"


def write_tokenizer(
    folder: Path,
    spec: TokenSpec,
    bos_id: int | None,
    eos_id: int | None,
    max_positions: int | None = None,
    text: Characters | None = None,
) -> None:
    """Write `tokenizer.json` and `tokenizer_config.json` into a folder.

    Code c is the token "<CODEC_c>" with the id `spec.first_id` + c; codes of several levels are counted through, as
    the model reads them. "<s>" is the token that begins a clip, put before every text unless `add_special_tokens` is
    False, and "</s>" the one that ends it; either may be None. White space between tokens counts for nothing.

    With the characters of a model that speaks `text`, a text in lower case, "<s>" and codes are written one after
    another as the model reads them: nothing is put before, and white space counts.
    """
    special = {BOS_TOKEN: bos_id} if bos_id is not None else {}
    if eos_id is not None and eos_id != bos_id:
        special[EOS_TOKEN] = eos_id
    end = None if eos_id is None else BOS_TOKEN if eos_id == bos_id else EOS_TOKEN
    config: dict[str, Any] = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": None if bos_id is None else BOS_TOKEN,
        "eos_token": end,
        "clean_up_tokenization_spaces": False,
    }
    if max_positions is not None:
        config["model_max_length"] = max_positions
    with written_whole(folder / "tokenizer.json") as path:
        described = json.dumps(_described(spec, special, text), ensure_ascii=False, separators=(",", ":"))
        path.write_text(described + "\n", encoding="utf-8")
    with written_whole(folder / "tokenizer_config.json") as path:
        path.write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")


def add_tokenizer(folder: str | Path) -> TokenSpec:
    """Give a folder of a model over codes alone the tokenizer that a save writes now; returns where its codes stand.

    Raises TokenLMError where the folder holds no neural model, has a tokenizer, or a model that knows text.
    """
    folder = Path(folder)
    model = read_neural(folder)
    if files := folders.tokenizer_files(folder):
        raise TokenLMError(f"{folder} has a tokenizer: {', '.join(path.name for path in files)}")
    special = {token for token in (model.bos_id, model.eos_id) if token is not None}
    sizes = read_json(folder / "config.json")
    if sizes.get("vocab_size") != model.spec.codebook_size + len(special):
        raise TokenLMError(
            f"the model in {folder} has {sizes.get('vocab_size')} tokens, of which {model.spec.codebook_size} are "
            f"codes and {len(special)} begin or end a clip: its tokenizer is that of the text model it was made of"
        )
    write_tokenizer(folder, model.spec, model.bos_id, model.eos_id, sizes.get("max_position_embeddings"))
    return model.spec


def _described(spec: TokenSpec, special: dict[str, int], text: Characters | None = None) -> dict[str, Any]:
    """A tokenizer as the tokenizers library describes it."""
    table = {token: spec.first_id + code for code, token in enumerate(spec.names())} | special
    if text is not None:
        table |= {character: text.first_id + index for index, character in enumerate(text.characters)}
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    pattern = {"Regex": _CODE if text is None else _CODE_OR_CHARACTER}
    split = {"type": "Split", "pattern": pattern, "behavior": "Isolated", "invert": False}
    splits = [{"type": "WhitespaceSplit"}, split] if text is None else [split]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": number, "content": token, **plain} for token, number in special.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": splits},
        "post_processor": _beginning(special[BOS_TOKEN]) if BOS_TOKEN in special and text is None else None,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": table, "unk_token": _UNKNOWN},
    }


def _beginning(bos_id: int) -> dict[str, Any]:
    begin = {"SpecialToken": {"id": BOS_TOKEN, "type_id": 0}}
    texts = [{"Sequence": {"id": name, "type_id": 0}} for name in "AB"]
    return {
        "type": "TemplateProcessing",
        "single": [begin, texts[0]],
        "pair": [begin, *texts],
        "special_tokens": {BOS_TOKEN: {"id": BOS_TOKEN, "ids": [bos_id], "tokens": [BOS_TOKEN]}},
    }
