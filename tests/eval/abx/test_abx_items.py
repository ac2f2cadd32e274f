"""Phones and items: spans from CTC spikes, files that come back as they were, groups that are capped."""

from __future__ import annotations

import numpy as np
import pytest

from eval.abx import ctc_phones
from eval.abx.abx_items import AbxItem, capped, item_text, items_of, read_items
from eval.abx.abx_run import item_frames
from eval.abx.phone_alignments import AbxError, AlignedPhone, alignments_csv, read_alignments

BLANK, WORD = "<blank>", "<wb>"


def test_spans_reach_half_way_to_the_next_spike_or_so_far():
    # Frames are 20 ms apart, spikes at 3, 6 to 7 (one phone), 8 (another), and far away 30.
    tokens = [BLANK] * 40
    tokens[3], tokens[6], tokens[7], tokens[8], tokens[30] = "a", "b", "b", "t", "a"
    tokens[20] = WORD
    phones = ctc_phones.aligned("clip", tokens, 0.8, "x")
    assert [phone.phone for phone in phones] == ["a", "b", "t", "a"]
    spans = [(phone.start, phone.end) for phone in phones]
    # a: spike 0.05 to 0.07, reaching 0.06 back; b: 0.11 to 0.15; t: 0.15 to 0.17; a: 0.59 to 0.61.
    expected = [(0.0, 0.09), (0.09, 0.15), (0.15, 0.23), (0.53, 0.67)]
    assert spans == [pytest.approx(span) for span in expected]


def test_a_phone_twice_is_two_where_a_blank_is_between_and_diacritics_belong_to_the_phone_before():
    tokens = [BLANK, "n", BLANK, "n", "\u032a", BLANK, "a", "ː"]
    phones = ctc_phones.aligned("clip", tokens, 0.4)
    assert [phone.phone for phone in phones] == ["n", "n", "a"]
    assert phones[-1].end == pytest.approx(0.15 + 0.06)  # of the length mark's frame


def test_items_have_neighbours_where_spans_touch_and_triphones_span_them():
    phones = [
        AlignedPhone("c", 0.0, 0.1, "a"),
        AlignedPhone("c", 0.1, 0.2, "b"),
        AlignedPhone("c", 0.2, 0.3, "t"),
        AlignedPhone("c", 0.5, 0.6, "d"),
        AlignedPhone("other", 0.0, 0.1, "a"),
    ]
    alone = items_of(phones, {"c": "x"}, "within")
    assert [(item.before, item.phone, item.after) for item in alone] == [
        ("SIL", "a", "b"),
        ("a", "b", "t"),
        ("b", "t", "SIL"),
        ("SIL", "d", "SIL"),
    ]
    assert (alone[1].onset, alone[1].offset) == (0.1, 0.2)
    assert items_of(phones, {"c": "x"}, "triphone") == [AbxItem("c", 0.0, 0.3, "b", "a", "t", "x")]
    assert {item.speaker for item in items_of(phones, {"c": "x", "other": "y"}, "any")} == {"x", "y"}


def test_files_come_back_as_they_were(tmp_path):
    items = [
        AbxItem("a clip%", 0.1234, 0.5, "t͡ʃ", "SIL", "ə", "speaker 1"),
        AbxItem("b", 0.0, 0.02, "b", "a", "a", "x"),
    ]
    (tmp_path / "x.item").write_text(item_text(items), encoding="utf-8")
    assert read_items(tmp_path / "x.item") == items
    lines = item_text(items).splitlines()
    assert lines[0] == "#file onset offset #phone prev-phone next-phone speaker"
    assert lines[2].split() == ["b", "0.0000", "0.0200", "b", "a", "a", "x"]
    assert all(len(line.split()) == 7 for line in lines)
    phones = [AlignedPhone("a,b", 0.1, 0.25, "ʃ", "x"), AlignedPhone("c", 0.0, 0.1, "a")]
    (tmp_path / "x.csv").write_text(alignments_csv(phones), encoding="utf-8")
    assert read_alignments(tmp_path / "x.csv") == phones


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.csv", "clip_id,start,end\nc,0,1\n", "lacks the columns"),
        ("x.csv", "clip_id,start,end,phone\nc,0.5,0.5,a\n", "line 2: a phone from 0.5 to 0.5"),
        ("x.csv", "clip_id,start,end,phone\nc,0,one,a\n", "expected start and end in seconds"),
        ("x.item", "#head\nc 0 1 a b\n", "line 2: expected"),
        ("x.item", "#head\nc 1 0.5 a b c s\n", "an item from 1.0 to 0.5"),
    ],
)
def test_what_is_no_phone_or_item_is_said_with_its_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(AbxError, match=message):
        (read_items if name.endswith(".item") else read_alignments)(tmp_path / name)


def test_pauses_of_alignments_are_no_phones(tmp_path):
    (tmp_path / "x.csv").write_text("clip_id,start,end,phone\nc,0,1,SIL\nc,1,2,a\nc,2,3,\n", encoding="utf-8")
    assert [phone.phone for phone in read_alignments(tmp_path / "x.csv")] == ["a"]


def test_groups_are_capped_by_their_own_seed():
    items = [AbxItem(str(n), 0.0, 0.1, "ab"[n % 2], "", "", "xy"[n // 2 % 2]) for n in range(40)]
    kept = capped(items, "any", 4, 0)
    assert len(kept) == 16
    assert kept == [item for item in items if item in kept]
    assert capped(items, "any", 4, 1) != kept
    assert capped(items, "any", 10, 0) == items
    # What another group has changes nothing.
    own = [item for item in items if item.speaker == "x"]
    assert capped(own, "any", 4, 0) == [item for item in kept if item.speaker == "x"]


def test_an_item_has_the_frames_whose_middle_it_holds():
    frames = np.arange(10)[:, None]

    def places(onset, offset):
        return item_frames(AbxItem("c", onset, offset, "a", "", "", "x"), frames, 50.0)[:, 0].tolist()

    assert places(0.0, 0.06) == [0, 1, 2]
    assert places(0.07, 0.09) == [3, 4]  # the middles are 0.07 and 0.09
    assert places(0.0701, 0.0889) == [3]  # none inside: the one around the middle
    assert places(0.16, 9.0) == [8, 9]
    assert places(0.3, 0.4) == [9]
