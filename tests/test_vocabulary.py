"""Code <-> id arithmetic in every form that codes come in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from soundcodec_llmcodec.token_ids import parse_codes
from soundcodec_llmcodec.vocabulary import TokenSpec

SPEC = TokenSpec(first_id=49_152, codebook_size=20_480)


@pytest.mark.parametrize(
    ("codes", "ids"),
    [
        (7, 49_159),
        ([0, 20_479], [49_152, 69_631]),
        ((3,), (49_155,)),
        ([[1, 2], [3, 4]], [[49_153, 49_154], [49_155, 49_156]]),
        ([], []),
    ],
)
def test_plain_numbers_go_there_and_back(codes, ids):
    assert SPEC.ids(codes) == ids
    assert type(SPEC.ids(codes)) is type(codes)
    assert SPEC.codes(ids) == codes


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.uint64])
def test_small_array_types_hold_large_ids(dtype):
    ids = SPEC.ids(np.array([[0, 100], [127, 1]], dtype=dtype))
    assert ids.dtype == np.int64
    assert ids.tolist() == [[49_152, 49_252], [49_279, 49_153]]
    assert SPEC.codes(ids).tolist() == [[0, 100], [127, 1]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_small_tensor_types_hold_large_ids(dtype):
    codes = torch.tensor([[0, 100, 127]], dtype=dtype)
    ids = SPEC.ids(codes)
    assert torch.equal(ids, torch.tensor([[49_152, 49_252, 49_279]]))
    assert torch.equal(SPEC.codes(ids), codes.long())
    assert codes.tolist() == [[0, 100, 127]]


def test_codes_outside_the_codebook_are_named():
    with pytest.raises(ValueError, match=r"2 of 3 are codes outside \[0, 20480\): -1, 20480"):
        SPEC.ids([-1, 0, 20_480])
    with pytest.raises(ValueError, match="20480"):
        SPEC.ids(torch.tensor([20_480]))


def test_ids_that_are_no_codes_are_named():
    with pytest.raises(ValueError, match=r"2 of 4 .* \[49152, 69632\): 49151, 69632"):
        SPEC.codes([49_151, 49_152, 69_631, 69_632])
    with pytest.raises(ValueError, match="0, 1, 2, 3, 4 and 5 more"):
        SPEC.codes(np.arange(10))


def test_mask_of_codes_keeps_the_kind():
    ids = [49_151, 49_152, 69_631, 69_632]
    assert SPEC.is_code(ids) == [False, True, True, False]
    assert SPEC.is_code(69_631) is True
    assert torch.equal(SPEC.is_code(torch.tensor(ids)), torch.tensor([False, True, True, False]))
    assert SPEC.is_code(np.array(ids)).dtype == bool


@pytest.mark.parametrize("bad", [1.0, [0.5], True, torch.ones(2), torch.tensor([True]), "12", [[1], [2, 3]]])
def test_what_is_no_whole_number_is_refused(bad):
    with pytest.raises(ValueError, match=r"whole numbers|ragged"):
        SPEC.ids(bad)


def test_numbers_above_63_bits_do_not_wrap():
    with pytest.raises(ValueError, match="18446744073709551615"):
        SPEC.ids(np.array([2**64 - 1], dtype=np.uint64))


def test_names_are_the_text_form_of_codes():
    names = TokenSpec(10, 3).names()
    assert names == ["<CODEC_0>", "<CODEC_1>", "<CODEC_2>"]
    assert parse_codes("".join(names), 3).tolist() == [[0, 1, 2]]


def test_plain_fields_and_back():
    assert TokenSpec.from_dict(SPEC.to_dict()) == SPEC
    for fields in ({"first_id": 1}, {**SPEC.to_dict(), "offset": 1}, {"first_id": 1.0, "codebook_size": 2}):
        with pytest.raises(ValueError, match="first_id and codebook_size"):
            TokenSpec.from_dict(fields)
    with pytest.raises(ValueError, match="codebook_size >= 1"):
        TokenSpec(0, 0)
