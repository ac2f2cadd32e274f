"""A causal language model over a codec's tokens: scores, and the folder that keeps it.

Letters: B batch, N tokens of a clip, L LM positions, E LM width, V audio vocabulary.
"""

from __future__ import annotations

import contextlib
import copy
import hashlib
import shutil
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from soundcodec_llmcodec.data.token_corpus import TokenSource
from soundcodec_llmcodec.lm import lm_folder as folders
from soundcodec_llmcodec.lm.characters import Characters
from soundcodec_llmcodec.lm.codes_tokenizer import write_tokenizer
from soundcodec_llmcodec.lm.lm_folder import NEURAL, Description, TokenLMError
from soundcodec_llmcodec.lm.packages import lm_package, no_bars
from soundcodec_llmcodec.lm.scores import BOS, NONE, TokenScores, check_clips
from soundcodec_llmcodec.lm.token_head import TokenHead
from soundcodec_llmcodec.lm.weights import input_embedding, weights_hash
from soundcodec_llmcodec.nn.linear import FasterProducts
from soundcodec_llmcodec.vocabulary import TokenSpec


class NeuralTokenLM:
    """A causal LM of transformers with where the codes stand in its vocabulary and whose tokens they are.

    `bos_id` begins a clip, None where the model has no such token; `eos_id` ends one. The model is neither copied nor
    changed, and its weights must stay as they are. It is run in eval mode without gradients. `tokenizer` is what `save`
    writes beside the model; without one, it writes a tokenizer of the codes alone, and of the characters of a model
    that speaks text.

    `text` is what a model that speaks was trained to read before `bos_id` and a clip's tokens (see `speaking`).
    """

    def __init__(
        self,
        model: Any,
        spec: TokenSpec,
        source: TokenSource,
        *,
        bos_id: int | None,
        eos_id: int | None,
        name: str,
        tokenizer: Any = None,
        text: Characters | None = None,
    ) -> None:
        """Raises ValueError where the codes are not the codec's, or begin, end or characters are codes or have no
        row."""
        rows = input_embedding(model).num_embeddings
        if spec.codebook_size != source.vocabulary_size:
            raise ValueError(
                f"the model has {spec.codebook_size} codes, but {source.codec_name} has {source.vocabulary_size}"
            )
        if spec.end_id > rows:
            raise ValueError(f"the codes end at {spec.end_id}, but the model has {rows} rows")
        for what, token in (("bos_id", bos_id), ("eos_id", eos_id)):
            if token is not None and not isinstance(token, int):
                raise ValueError(f"expected {what} as a whole number or None, got {token!r}")
            if token is not None and (not 0 <= token < rows or spec.first_id <= token < spec.end_id):
                raise ValueError(f"{what} {token} is a code, or none of the model's {rows} rows")
        self.model = model
        self.spec = spec
        self.source = source
        self.bos_id = bos_id
        self.eos_id = eos_id
        self.name = name
        self.tokenizer = tokenizer
        if text is not None and (text.end_id > rows or text.first_id < spec.end_id or bos_id is None or eos_id is None):
            raise ValueError(
                f"a model that speaks text has characters after its codes, which end at {spec.end_id}, within its "
                f"{rows} rows, and tokens that begin and end a clip; got {text}, bos_id {bos_id}, eos_id {eos_id}"
            )
        self.text = text
        self._read_from: Path | None = None

    # -- what every language model over tokens has -----------------------------------------------------------------
    @property
    def vocabulary_size(self) -> int:
        """V."""
        return self.spec.codebook_size

    @property
    def full_size(self) -> int:
        """All rows that the model gives a probability."""
        return int(input_embedding(self.model).num_embeddings)

    @property
    def prefix(self) -> str:
        """ "bos" where the model has a token that begins, else "none"."""
        return NONE if self.bos_id is None else BOS

    @property
    def codec_hash(self) -> str:
        """That of the codec whose tokens it was trained on."""
        return self.source.codec_hash

    @cached_property
    def identity(self) -> str:
        """SHA-256 over the weights and where the tokens stand."""
        placed = f"{weights_hash(self.model)} {self.spec} {self.bos_id}" + (f" {self.text}" if self.text else "")
        return hashlib.sha256(placed.encode()).hexdigest()

    def score(self, clips: Sequence[np.ndarray], *, batch_tokens: int = 4096) -> list[TokenScores]:
        """As `TokenLM.score`. Clips of like length share a batch.

        Raises ValueError for a model that speaks text, which says nothing of tokens without theirs.
        """
        if self.text is not None:
            raise ValueError(
                f"{self.name} was trained to speak text, and tokens without their text are foreign to it: take a model "
                "trained without text.kind: characters (its bits per token given text are in its training.json)"
            )
        return self._scores(clips, [()] * len(clips), batch_tokens)

    def score_spoken(
        self, clips: Sequence[np.ndarray], texts: Sequence[Sequence[int]], *, batch_tokens: int = 4096
    ) -> list[TokenScores]:
        """As `score`, of a model that speaks text: each clip's tokens (N,) given its text's ids."""
        return self._scores(clips, texts, batch_tokens)

    def _scores(
        self, clips: Sequence[np.ndarray], texts: Sequence[Sequence[int]], batch_tokens: int
    ) -> list[TokenScores]:
        check_clips(clips, self.vocabulary_size)
        self._check_lengths(clips, texts)
        in_order: list[TokenScores | None] = [None] * len(clips)
        with self.inference():
            head = self._head
            for batch in self._batches(clips, batch_tokens):
                members = ([clips[index] for index in batch], [texts[index] for index in batch])
                for index, scores in zip(batch, self._scored(head, *members), strict=True):
                    in_order[index] = scores
        return [scores for scores in in_order if scores is not None]

    # -- the model -------------------------------------------------------------------------------------------------
    @property
    def parameters(self) -> int:
        """The number of weights; tied ones count once."""
        return sum(parameter.numel() for parameter in self.model.parameters())

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return input_embedding(self.model).weight.device

    @property
    def max_positions(self) -> int | None:
        """The longest L the model was made for, where its config says."""
        return getattr(self.model.config.get_text_config(), "max_position_embeddings", None)

    def prompt(self, clip: np.ndarray, text_ids: Sequence[int] = ()) -> list[int]:
        """Ids of a clip's tokens (N,) as the model reads them, the one that begins before them where there is one, and
        before that a text's."""
        return [*text_ids, *([] if self.bos_id is None else [self.bos_id]), *self.spec.ids(clip).tolist()]

    def save(self, folder: str | Path, dtype: torch.dtype | None = None) -> None:
        """Write an ordinary transformers folder, tokenizer included, and `token_lm.json`, whole or not at all.

        Floats are written as `dtype`, where it is given. Raises TokenLMError where the folder holds a model of another
        kind, or somebody else's.
        """
        placed = {"spec": self.spec.to_dict(), "bos_id": self.bos_id, "eos_id": self.eos_id}
        placed |= {} if self.text is None else {"text": self.text.to_dict()}
        with folders.written(folder, Description(NEURAL, self.name, self.source, placed)) as scratch:
            model = self.model
            if dtype is not None and dtype != model.dtype:
                model = copy.deepcopy(model).to(dtype)
            with no_bars():
                model.save_pretrained(scratch)
            self._save_tokenizer(scratch)

    def _save_tokenizer(self, folder: Path) -> None:
        """Its own tokenizer, else the one in the folder that it was read from, else one of the codes alone."""
        if self.tokenizer is not None:
            self.tokenizer.save_pretrained(folder)
            return
        files = [] if self._read_from is None else folders.tokenizer_files(self._read_from)
        for path in files:
            shutil.copyfile(path, folder / path.name)
        if not files:
            write_tokenizer(folder, self.spec, self.bos_id, self.eos_id, self.max_positions, self.text)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32
    ) -> NeuralTokenLM:
        """What `save` wrote, without its tokenizer (`ExtendedLM.load` reads both).

        Raises TokenLMError where the folder is another thing, or is not whole.
        """
        lm_package("transformers", "reading a language model")
        from soundcodec_llmcodec.lm.pretrained import read_model

        described = folders.read_neural(folder)
        try:
            with no_bars():
                model = read_model(Path(folder), dtype, use_safetensors=True, local_files_only=True)
            lm = cls(
                model.requires_grad_(False).eval().to(device),
                described.spec,
                described.source,
                bos_id=described.bos_id,
                eos_id=described.eos_id,
                name=described.name,
                text=described.text,
            )
            lm._read_from = Path(folder)
            return lm
        except (OSError, ValueError, SafetensorError) as error:
            raise TokenLMError(f"cannot read the language model {folder}: {' '.join(str(error).split())}") from error

    @cached_property
    def _head(self) -> TokenHead:
        return TokenHead(self.model, self.spec)

    # -- scoring ---------------------------------------------------------------------------------------------------
    @contextlib.contextmanager
    def inference(self) -> Iterator[None]:
        """Eval mode without gradients; a model that is being trained goes on as it was."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.inference_mode(), FasterProducts():
                yield
        finally:
            self.model.train(training)

    def _check_lengths(self, clips: Sequence[np.ndarray], texts: Sequence[Sequence[int]]) -> None:
        lengths = [len(clip) + len(text) for clip, text in zip(clips, texts, strict=True)]
        longest = max(lengths, default=0) - (self.bos_id is None)
        if self.max_positions is not None and longest > self.max_positions:
            seconds = (self.max_positions + (self.bos_id is None)) / self.source.token_rate
            raise ValueError(
                f"{self.name} reads at most {self.max_positions} positions ({seconds:.1f} s of {self.source.codec_name}"
                f"'s tokens), but clip {lengths.index(max(lengths))} needs {longest}; cut it"
            )

    @staticmethod
    def _batches(clips: Sequence[np.ndarray], batch_tokens: int) -> Iterator[list[int]]:
        """Indices of clips, the longest first, so that a batch's first clip gives its padded length."""
        batch: list[int] = []
        for index in sorted(range(len(clips)), key=lambda i: len(clips[i]), reverse=True):
            if batch and len(clips[batch[0]]) * (len(batch) + 1) > batch_tokens:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _scored(
        self, head: TokenHead, clips: Sequence[np.ndarray], texts: Sequence[Sequence[int]]
    ) -> list[TokenScores]:
        """Scores of one batch."""
        rows = [torch.tensor(self.prompt(clip, text)) for clip, text in zip(clips, texts, strict=True)]
        lengths = [len(row) - 1 for row in rows]
        starts = [len(text) for text in texts]  # what is read before the first token that is scored
        if not max(lengths):
            return [TokenScores(np.zeros(0), np.zeros(0)) for _ in clips]
        # What stands on the right of a position cannot change it in a causal model, so padding needs no mask, and
        # attention is free to take its fastest way.
        inputs = torch.zeros(len(rows), max(lengths), dtype=torch.long)
        for index, row in enumerate(rows):
            inputs[index, : lengths[index]] = row[:-1]
        states = head.states(inputs.to(self.device))
        unpadded = torch.cat([states[index, starts[index] : length] for index, length in enumerate(lengths)])
        targets = torch.cat([row[start + 1 :] for row, start in zip(rows, starts, strict=True)])
        audio, full = head.nll(unpadded, targets.to(self.device))
        scored = [length - start for length, start in zip(lengths, starts, strict=True)]
        return [TokenScores(a, f) for a, f in zip(_split(audio, scored), _split(full, scored), strict=True)]


def _split(values: Tensor, lengths: Sequence[int]) -> list[np.ndarray]:
    parts = values.double().cpu().numpy()
    return np.split(parts, np.cumsum(lengths)[:-1])
