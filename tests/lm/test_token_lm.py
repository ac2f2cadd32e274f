"""Neural language models over tokens: likelihoods as the model itself gives them, whatever the batch, and folders."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
import transformers
from tiny_lms import make_model, make_tokenizer
from token_lms import BOS, EOS, FIRST, ROWS, SIZE, make_clips, make_lm, make_source

from soundcodec_llmcodec.lm import token_head
from soundcodec_llmcodec.lm.extend import ExtendedLM, extend_lm
from soundcodec_llmcodec.lm.lm_folder import TokenLMError
from soundcodec_llmcodec.lm.token_lm import NeuralTokenLM
from soundcodec_llmcodec.vocabulary import TokenSpec

KINDS = ["qwen3_tied", "qwen3_untied", "gpt2"]


def by_hand(lm, clip):
    """(audio, full) by a plain log-softmax of the model's own logits, in float64."""
    ids = [] if lm.bos_id is None else [lm.bos_id]
    ids = torch.tensor(ids + [FIRST + int(token) for token in clip])
    with torch.no_grad():
        logits = lm.model(input_ids=ids[None]).logits[0, :-1].double()
    targets = ids[1:, None]
    codes = logits[:, FIRST : FIRST + SIZE].log_softmax(-1).gather(1, targets - FIRST)[:, 0]
    return -codes.numpy(), -logits.log_softmax(-1).gather(1, targets)[:, 0].numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bos", [BOS, None])
def test_scores_are_the_models_own(kind, bos):
    lm = make_lm(kind, bos)
    clips = make_clips(7, 20, 1, 12)
    assert lm.prefix == ("none" if bos is None else "bos")
    for clip, scores in zip(clips, lm.score(clips), strict=True):
        audio, full = by_hand(lm, clip)
        assert len(audio) == len(clip) - (bos is None)
        assert scores.audio_nll == pytest.approx(audio, abs=1e-5)
        assert scores.full_nll == pytest.approx(full, abs=1e-5)
        assert (scores.full_nll > scores.audio_nll).all()
        assert scores.audio_nll.dtype == scores.full_nll.dtype == np.float64


@pytest.mark.parametrize("bos", [BOS, None])
def test_scores_do_not_depend_on_the_batch(bos):
    lm = make_lm(bos=bos)
    clips = make_clips(3, 40, 1, 17, 17, 40, 29, 2)
    alone = [lm.score([clip])[0] for clip in clips]
    for batch_tokens in (1, 60, 10_000):
        for one, other in zip(alone, lm.score(clips, batch_tokens=batch_tokens), strict=True):
            assert abs(one.audio_nll.sum() - other.audio_nll.sum()) <= 1e-4
            assert other.audio_nll == pytest.approx(one.audio_nll, abs=1e-5)
            assert other.full_nll == pytest.approx(one.full_nll, abs=1e-5)
    assert lm.score([]) == []


def test_batches_hold_no_more_than_they_may(monkeypatch):
    lm = make_lm()
    seen = []
    states = token_head.TokenHead.states
    monkeypatch.setattr(token_head.TokenHead, "states", lambda self, ids: seen.append(ids.shape) or states(self, ids))
    lm.score(make_clips(30, 10, 10, 10, 10, 10, 40), batch_tokens=35)
    shapes = [tuple(shape) for shape in seen[1:]]  # the first looks whether the head is plain
    assert shapes == [(1, 40), (1, 30), (3, 10), (2, 10)]


def test_blocks_of_the_vocabulary_change_nothing(monkeypatch):
    clips = make_clips(9, 14)
    whole = make_lm().score(clips)
    monkeypatch.setattr(token_head, "_NARROWEST", 1)
    monkeypatch.setattr(token_head, "_BLOCK", 23 * 7)  # seven rows at a time: none of the borders is a multiple
    asked = []
    logits = token_head.TokenHead._logits
    monkeypatch.setattr(
        token_head.TokenHead, "_logits", lambda self, s, rows: asked.append((len(s), rows)) or logits(self, s, rows)
    )
    for one, other in zip(whole, make_lm().score(clips), strict=True):
        assert other.audio_nll == pytest.approx(one.audio_nll, abs=1e-5)
        assert other.full_nll == pytest.approx(one.full_nll, abs=1e-5)
    assert max(rows.stop - rows.start for n, rows in asked if n == 23) == 7


def test_without_other_tokens_both_likelihoods_agree():
    model = make_model("qwen3_tied", SIZE)
    lm = NeuralTokenLM(model, TokenSpec(0, SIZE), make_source(), bos_id=None, eos_id=None, name="codes alone")
    scores = lm.score(make_clips(12))[0]
    assert np.array_equal(scores.audio_nll, scores.full_nll)
    assert lm.full_size == lm.vocabulary_size == SIZE


def test_the_next_token_is_scored_and_not_its_own_position():
    """A model that is sure that t is followed by t + 1 gives such clips no cost, and others a large one."""
    lm = make_lm("qwen3_untied")
    with torch.no_grad():
        for layer in lm.model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        rows = torch.eye(ROWS, 32)[torch.arange(ROWS) % 32]
        lm.model.model.embed_tokens.weight.copy_(rows)
        lm.model.lm_head.weight.copy_(20 * rows.roll(1, dims=0))
    rising, still = np.arange(10, 20), np.full(10, 10)
    first, second = lm.score([rising, still])
    assert first.audio_nll[1:].max() < 1  # codes 32 apart share their row
    assert second.audio_nll[1:].min() > 20


def test_scoring_leaves_the_model_as_it_was():
    lm = make_lm()
    lm.model.train()
    before = {name: tensor.clone() for name, tensor in lm.model.state_dict().items()}
    clips = make_clips(8)
    given = clips[0].copy()
    lm.score(clips)
    assert lm.model.training
    assert all(torch.equal(before[name], tensor) for name, tensor in lm.model.state_dict().items())
    assert np.array_equal(clips[0], given)
    # Dropout would show: the scores of a training model are those in eval mode.
    lm = make_lm("gpt2")
    eval_scores = lm.score(clips)[0].audio_nll
    lm.model.train()
    assert np.array_equal(lm.score(clips)[0].audio_nll, eval_scores)


@pytest.mark.parametrize(
    ("clip", "message"),
    [
        (np.array([0, SIZE]), "holds the token 50"),
        (np.array([], dtype=int), "N >= 1"),
        (np.array([0.5]), "float"),
        (np.zeros(65, dtype=int), r"at most 64 positions \(1.3 s of toy's tokens\), but clip 1 needs 65"),
    ],
)
def test_what_cannot_be_scored_is_refused(clip, message):
    with pytest.raises(ValueError, match=message):
        make_lm().score([np.array([1, 2]), clip])


def test_the_longest_clip_fits():
    assert len(make_lm().score(make_clips(64))[0].audio_nll) == 64
    assert len(make_lm(bos=None).score(make_clips(65))[0].audio_nll) == 64


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"spec": TokenSpec(FIRST, SIZE - 1)}, "49 codes, but toy has 50"),
        ({"spec": TokenSpec(ROWS - SIZE + 1, SIZE)}, "rows"),
        ({"bos_id": FIRST}, "bos_id 5 is a code"),
        ({"eos_id": ROWS}, "eos_id 62"),
    ],
)
def test_tokens_that_do_not_fit_the_model_are_refused(fields, message):
    given = {"spec": TokenSpec(FIRST, SIZE), "bos_id": BOS, "eos_id": EOS} | fields
    with pytest.raises(ValueError, match=message):
        NeuralTokenLM(make_model("qwen3_tied", ROWS), source=make_source(), name="x", **given)


def test_a_model_that_changes_its_logits_behind_the_head_is_refused():
    config = transformers.GraniteConfig(
        vocab_size=ROWS,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        logits_scaling=8.0,
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = transformers.GraniteForCausalLM(config).eval()
    lm = NeuralTokenLM(model, TokenSpec(FIRST, SIZE), make_source(), bos_id=BOS, eos_id=EOS, name="scaled")
    with pytest.raises(ValueError, match="GraniteForCausalLM changes its logits"):
        lm.score(make_clips(3))


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_model_comes_back(kind, tmp_path):
    lm = make_lm(kind)
    lm.save(tmp_path / "lm")
    back = NeuralTokenLM.load(tmp_path / "lm")
    clips = make_clips(5, 9)
    assert np.array_equal(back.score(clips)[1].full_nll, lm.score(clips)[1].full_nll)
    assert (back.source, back.spec, back.bos_id, back.eos_id, back.name) == (make_source(), lm.spec, BOS, EOS, "tiny")
    assert back.identity == lm.identity
    assert back.codec_hash == "a" * 64
    # It is an ordinary folder of transformers, without any pickle.
    assert transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "lm").config.vocab_size == ROWS
    assert not [path for path in (tmp_path / "lm").iterdir() if path.suffix in (".bin", ".pt", ".pkl")]


def test_half_the_bytes_where_asked(tmp_path):
    lm = make_lm()
    lm.save(tmp_path / "whole")
    lm.save(tmp_path / "half", dtype=torch.bfloat16)
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.6 * sizes[0]
    assert lm.model.dtype == torch.float32
    back = NeuralTokenLM.load(tmp_path / "half")
    assert back.model.dtype == torch.float32
    assert back.score(make_clips(9))[0].audio_nll == pytest.approx(lm.score(make_clips(9))[0].audio_nll, abs=0.05)


def test_bfloat16_weights_are_scored_by_a_float32_head(tmp_path):
    lm = make_lm()
    lm.save(tmp_path / "lm")
    half = NeuralTokenLM.load(tmp_path / "lm", dtype=torch.bfloat16)
    clip = make_clips(30)[0]
    ids = torch.tensor([half.prompt(clip)])
    with torch.no_grad():
        states = half.model.base_model(input_ids=ids[:, :-1]).last_hidden_state[0]
        logits = states.float() @ half.model.lm_head.weight.float().T
        rounded = half.model(input_ids=ids[:, :-1]).logits[0].float()
    expected, coarse = (-x.log_softmax(-1).gather(1, ids[0, 1:, None])[:, 0].numpy() for x in (logits, rounded))
    found = half.score([clip])[0].full_nll
    assert found == pytest.approx(expected, abs=1e-5)
    assert found != pytest.approx(coarse, abs=1e-4)


def test_identity_follows_weights_and_places():
    one, other = make_lm(), make_lm()
    assert one.identity == other.identity
    with torch.no_grad():
        other.model.model.layers[0].mlp.up_proj.weight[0, 0] += 1
    assert make_lm(bos=None).identity != one.identity != make_changed(other).identity


def make_changed(lm):
    """The same model wrapped anew: the identity of a wrapped one is taken once."""
    return NeuralTokenLM(lm.model, lm.spec, lm.source, bos_id=lm.bos_id, eos_id=lm.eos_id, name=lm.name)


def test_an_extended_text_model_keeps_its_tokenizer(tmp_path):
    tokenizer = make_tokenizer("<|begin|>")
    extended = extend_lm(make_model("qwen3_tied", len(tokenizer)), tokenizer, SIZE)
    bos, eos = tokenizer.bos_token_id, tokenizer.eos_token_id
    lm = NeuralTokenLM(
        extended.model, extended.spec, make_source(), bos_id=bos, eos_id=eos, name="text", tokenizer=extended.tokenizer
    )
    lm.save(tmp_path / "lm")
    assert ExtendedLM.load(tmp_path / "lm").spec == NeuralTokenLM.load(tmp_path / "lm").spec == extended.spec
    assert lm.prompt(np.array([0, 3])) == [bos, extended.spec.first_id, extended.spec.first_id + 3]


def test_a_folder_that_is_not_whole_is_refused(tmp_path):
    folder = tmp_path / "lm"
    lm = make_lm()
    with pytest.raises(TokenLMError, match=r"no token_lm\.json"):
        NeuralTokenLM.load(folder)
    lm.save(folder)
    told = json.loads((folder / "token_lm.json").read_text())
    for field, value, message in [
        ("version", 2, "version|format"),
        ("kind", "other", "kind"),
        ("kind", "ngram", "neural"),
        ("codec", {}, "codec"),
        ("model", {"spec": {"first_id": 5, "codebook_size": 50}}, "bos_id"),
    ]:
        (folder / "token_lm.json").write_text(json.dumps(told | {field: value}))
        with pytest.raises(TokenLMError, match=message):
            NeuralTokenLM.load(folder)
    (folder / "token_lm.json").write_text(json.dumps(told))
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(TokenLMError, match="cannot read the language model"):
        NeuralTokenLM.load(folder)


def test_a_save_that_fails_leaves_the_model_that_was_there(tmp_path, monkeypatch):
    lm = make_lm()
    lm.save(tmp_path / "lm")
    files = {path.name: path.read_bytes() for path in (tmp_path / "lm").iterdir()}
    monkeypatch.setattr(type(lm.model), "save_pretrained", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        lm.save(tmp_path / "lm")
    assert {path.name: path.read_bytes() for path in (tmp_path / "lm").iterdir()} == files
    assert NeuralTokenLM.load(tmp_path / "lm").identity == lm.identity
