"""Text as characters of a model: one spelling for all, unknown letters are errors, unknown signs are left out."""

from __future__ import annotations

import pytest

from soundcodec_llmcodec.lm.characters import Characters, TextError, characters_of_texts, normalised


def test_texts_have_one_spelling():
    assert normalised("  Don’t\n STOP — “now”  ﬁne ") == 'don\'t stop - "now" fine'
    assert characters_of_texts(["Ab a", "B’"]) == " 'ab"


def test_ids_are_places_in_the_list():
    known = Characters(" 'abc", 50)
    encoded = known.encoded("A  cab’")
    assert encoded.ids.tolist() == [52, 50, 54, 52, 53, 51]
    assert encoded.dropped == ""
    assert known.end_id == 55
    assert Characters.from_dict(known.to_dict()) == known


def test_unknown_signs_are_left_out_and_named():
    known = Characters(" abc", 0)
    encoded = known.encoded("a'b-c, (a)!")
    assert "".join(known.characters[i] for i in encoded.ids) == "ab c a"
    assert encoded.dropped == "!'(),-"
    assert Characters("abc", 0).encoded("a b").ids.tolist() == [0, 1]


@pytest.mark.parametrize(("text", "message"), [("bad", "'d', which is in 'bad'"), ("a 1", "'1'"), ("cé", "'é'")])
def test_unknown_letters_and_digits_are_errors(text, message):
    with pytest.raises(TextError, match=message):
        Characters(" abc", 0).encoded(text)


@pytest.mark.parametrize("text", ["", "  ", "?!"])
def test_nothing_to_speak_is_an_error(text):
    with pytest.raises(TextError, match="expected a text"):
        Characters(" abc", 0).encoded(text)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "words", "characters": "ab", "first_id": 0},
        {"kind": "characters", "characters": "aa", "first_id": 0},
        {"kind": "characters", "characters": "ab"},
        {"kind": "characters", "characters": "", "first_id": 0},
    ],
)
def test_what_describes_no_characters_is_refused(fields):
    with pytest.raises(ValueError, match="expected"):
        Characters.from_dict(fields)
