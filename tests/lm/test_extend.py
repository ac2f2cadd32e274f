"""Vocabularies grow by the codes, and by nothing else."""

from __future__ import annotations

import pytest
import torch
from tiny_lms import SPARE, make_model, make_tokenizer
from transformers import AutoModelForCausalLM, AutoTokenizer

from soundcodec_llmcodec.lm.backbone import load_causal_lm
from soundcodec_llmcodec.lm.extend import (
    ExtendedLM,
    audio_embeddings,
    extend_lm,
    initial_audio_embeddings,
    initial_audio_head,
    with_audio_embeddings,
)
from soundcodec_llmcodec.lm.weights import input_embedding, is_tied, output_head, weights_hash

V = 100


def test_ids_follow_the_tokenizers_and_nothing_else_changes(pair):
    model, tokenizer = pair
    known, rows, before = len(tokenizer), input_embedding(model).num_embeddings, weights_hash(model)
    extended = extend_lm(model, tokenizer, V)
    spec = extended.spec
    assert spec.first_id == known == extended.tokenizer.convert_tokens_to_ids("<CODEC_0>")
    assert extended.tokenizer.convert_tokens_to_ids(spec.names()) == list(range(known, known + V))
    assert input_embedding(extended.model).num_embeddings == max(rows, known + V) == extended.model.config.vocab_size
    assert extended.is_tied == is_tied(model)
    assert weights_hash(extended.model, known) == weights_hash(model, known)
    assert weights_hash(extended.model) != before
    # What was given is as it was.
    assert (len(tokenizer), input_embedding(model).num_embeddings, weights_hash(model)) == (known, rows, before)


def test_logits_of_text_stay_and_codes_get_logits(pair):
    model, tokenizer = pair
    extended = extend_lm(model, tokenizer, V)
    ids = tokenizer("the cat sat", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        before, after = model(ids).logits, extended.model(ids).logits
        heard = extended.model(extended.spec.ids(torch.tensor([[0, V - 1]]))).logits
    torch.testing.assert_close(after[..., : len(tokenizer)], before[..., : len(tokenizer)])
    assert after.shape[-1] >= extended.spec.end_id
    assert heard.isfinite().all()


def test_more_spare_rows_than_codes_keep_the_rest():
    tokenizer = make_tokenizer()
    model = make_model("qwen3_untied", len(tokenizer) + SPARE)
    extended = extend_lm(model, tokenizer, SPARE - 7)
    end = extended.spec.end_id
    assert input_embedding(extended.model).num_embeddings == input_embedding(model).num_embeddings
    for part in (input_embedding, output_head):
        assert torch.equal(part(extended.model).weight[end:], part(model).weight[end:])
        assert torch.equal(part(extended.model).weight[: len(tokenizer)], part(model).weight[: len(tokenizer)])
        assert not (part(extended.model).weight[len(tokenizer) : end] == part(model).weight[len(tokenizer) : end]).any()


def test_extending_follows_from_the_seed_and_leaves_random_state_alone(pair):
    state = torch.get_rng_state()
    first, second, other = (extend_lm(*pair, V, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert weights_hash(first.model) == weights_hash(second.model) != weights_hash(other.model)


def test_extending_twice_keeps_trained_rows(pair):
    extended = with_audio_embeddings(extend_lm(*pair, V), torch.randn(V, 32))
    again = extend_lm(extended.model, extended.tokenizer, V)
    assert again.spec == extended.spec
    assert weights_hash(again.model) == weights_hash(extended.model)
    with pytest.raises(ValueError, match="100 <CODEC_i> tokens, expected 50"):
        extend_lm(extended.model, extended.tokenizer, 50)


def test_in_place_is_the_same_without_a_copy(pair):
    model, tokenizer = pair
    copied = extend_lm(model, tokenizer, V)
    assert extend_lm(model, tokenizer, V, in_place=True).model is model
    assert weights_hash(copied.model) == weights_hash(model)


def test_initial_rows_look_like_text(pair):
    model, _ = pair
    for part, make in ((input_embedding, initial_audio_embeddings), (output_head, initial_audio_head)):
        with torch.no_grad():
            part(model).weight[:, 0] += 5
            part(model).weight[:, 1] *= 20
        text, rows = part(model).weight.detach(), make(model, 4_000, seed=0)
        torch.testing.assert_close(rows.mean(0), text.mean(0), rtol=0, atol=0.1 * float(text.std(0).max()))
        torch.testing.assert_close(rows.std(0), text.std(0), rtol=0.1, atol=0)


def test_trained_rows_are_used_at_both_ends(pair):
    extended = extend_lm(*pair, V)
    rows, head = torch.randn(V, 32), torch.randn(V, 32)
    placed = with_audio_embeddings(extended, rows, rows if extended.is_tied else head)
    wanted = (rows, rows if extended.is_tied else head)
    for got, want in zip(audio_embeddings(placed), wanted, strict=True):
        assert torch.equal(got, want)
    known = extended.spec.first_id
    assert weights_hash(placed.model, known) == weights_hash(extended.model, known)
    assert weights_hash(placed.model) != weights_hash(extended.model)
    # The logits of a code are the product of the last state with its row.
    ids = extended.spec.ids(torch.tensor([[3, 1, 4]]))
    with torch.no_grad():
        logits = placed.model(ids).logits
        state = placed.model.base_model(inputs_embeds=rows[[3, 1, 4]][None]).last_hidden_state
    torch.testing.assert_close(logits[..., known : known + V], state @ wanted[1].T)


def test_untied_without_a_head_keeps_its_rows_and_tied_takes_only_one_set(pair):
    extended = extend_lm(*pair, V)
    before = audio_embeddings(extended)[1]
    rows = torch.randn(V, 32)
    after = audio_embeddings(with_audio_embeddings(extended, rows))[1]
    assert torch.equal(after, rows if extended.is_tied else before)
    if extended.is_tied:
        with pytest.raises(ValueError, match="share their rows"):
            with_audio_embeddings(extended, rows, rows + 1)


def test_wrong_shapes_are_refused(pair):
    extended = extend_lm(*pair, V)
    with pytest.raises(ValueError, match=r"embeddings \(100, 32\), got \(99, 32\)"):
        with_audio_embeddings(extended, torch.zeros(99, 32))
    with pytest.raises(ValueError, match=r"head \(100, 32\), got \(100, 31\)"):
        with_audio_embeddings(extended, torch.zeros(V, 32), torch.zeros(V, 31))


def test_a_model_with_fewer_rows_than_ids_is_refused():
    tokenizer = make_tokenizer()
    with pytest.raises(ValueError, match=r"300 ids, but the model only 290 rows"):
        extend_lm(make_model("qwen3_tied", 290), tokenizer, V)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_saved_and_loaded_it_is_equal(folder, tmp_path, dtype):
    extended = extend_lm(*load_causal_lm(str(folder), dtype), V)
    head = None if extended.is_tied else torch.randn(V, 32)
    extended = with_audio_embeddings(extended, torch.randn(V, 32), head)
    extended.save(tmp_path / "out")
    again = ExtendedLM.load(tmp_path / "out", dtype)
    assert again.spec == extended.spec
    assert again.is_tied == extended.is_tied
    assert weights_hash(again.model) == weights_hash(extended.model)
    assert {parameter.dtype for parameter in again.model.parameters()} == {dtype}
    # As anyone would load it.
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=dtype)
    text = "the cat <CODEC_0><CODEC_99> sat<CODEC_7>"
    ids = AutoTokenizer.from_pretrained(tmp_path / "out")(text, return_tensors="pt")["input_ids"]
    assert ids.tolist() == [extended.tokenizer(text)["input_ids"]]
    assert int(extended.spec.is_code(ids).sum()) == 3
    with torch.no_grad():
        assert torch.equal(plain(ids).logits, extended.model(ids).logits)


def test_loading_notices_what_does_not_fit(pair, tmp_path):
    model, tokenizer = pair
    extended = extend_lm(model, tokenizer, V)
    extended.save(tmp_path / "lm")
    spec_file = tmp_path / "lm" / "codec_tokens.json"
    spec_file.write_text('{"first_id": 5, "codebook_size": 100}')
    with pytest.raises(ValueError, match="codec_tokens"):
        ExtendedLM.load(tmp_path / "lm")
    spec_file.unlink()
    model.save_pretrained(tmp_path / "lm")
    with pytest.raises(ValueError, match=f"the codes end at {extended.spec.end_id}"):
        ExtendedLM.load(tmp_path / "lm")
    tokenizer.save_pretrained(tmp_path / "lm")
    with pytest.raises(ValueError, match="no <CODEC_0>"):
        ExtendedLM.load(tmp_path / "lm")


def test_training_the_audio_rows_changes_nothing_else(pair):
    """One optimizer step on the rows alone, through the frozen model and back into it."""
    model, tokenizer = pair
    extended = extend_lm(model, tokenizer, V)
    known, before = extended.spec.first_id, weights_hash(extended.model)
    frozen = extended.model.requires_grad_(False)
    rows = torch.nn.Parameter(audio_embeddings(extended)[0])
    optimizer = torch.optim.AdamW([rows], lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        frozen.base_model(inputs_embeds=rows[:10][None]).last_hidden_state.square().mean().backward()
        optimizer.step()
    assert weights_hash(frozen) == before
    placed = with_audio_embeddings(extended, rows.detach())
    assert weights_hash(placed.model, known) == weights_hash(frozen, known)
    assert not torch.equal(audio_embeddings(placed)[0][:10], audio_embeddings(extended)[0][:10])
