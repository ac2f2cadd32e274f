"""Tasks: what a command line means, which clips are taken, and what cannot be classified."""

from __future__ import annotations

from collections import Counter

import probe_sets as sets
import pytest

from eval.probes.probe_clips import choose
from eval.probes.probe_task import ProbeError, ProbeTask, TaskColumn, check_names, parse


def test_a_task_is_read_whole():
    task = parse("a b=data/x,y:train,label=id~-(\\d{1,3})$,group=voice,where=kind:x,where=kind:y:z,folds=3,min_clips=4")
    assert task == ProbeTask(
        name="a b",
        dataset="data/x,y:train",
        label=TaskColumn("id", "-(\\d{1,3})$"),
        group=TaskColumn("voice"),
        where=(("kind", "x"), ("kind", "y:z")),
        folds=3,
        min_clips=4,
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("data", "expected NAME=DATASET,label=COLUMN"),
        ("a=data", "has no label=COLUMN"),
        ("a=data,lable=text", "unknown key 'lable'.*label"),
        ("a=data,label=x,label=y", "label= more than once"),
        ("a=data,label=x~(", "no regular expression"),
        ("a=data,label=x,where=kind", "expected where=COLUMN:VALUE, got 'kind'"),
        ("a=data,label=x,folds=1", "folds takes a whole number of 2 or more, got '1'"),
        ("a=data,label=", "label= names nothing"),
    ],
)
def test_a_task_that_cannot_be_meant_is_refused(text, said):
    with pytest.raises(ProbeError, match=said):
        parse(text)


def test_two_tasks_of_one_name_are_refused():
    with pytest.raises(ProbeError, match="two tasks are called a"):
        check_names([parse("a=x,label=y"), parse("a=z,label=y")])


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> str:
    return sets.stored(tmp_path_factory.mktemp("data"), sets.tones())


def chosen(place: str, settings: str, limit: int | None = None, seed: int = 0):
    return choose(parse(f"t={place},{settings}"), sets.corpus(place), limit, seed)


def test_labels_groups_and_conditions_come_from_any_column(place):
    clips = chosen(place, "label=pitch,group=id~-(.),where=text:la,where=text:do,folds=2").clips
    assert [clip.clip_id for clip in clips] == [f"clip-{place:02d}" for place in range(18)]
    assert [clip.label for clip in clips[:4]] == ["low", "middle", "high", "low"]
    assert [clip.group for clip in clips] == ["0"] * 10 + ["1"] * 8
    narrowed = chosen(place, "label=pitch,where=text:la,folds=2,where=speaker_id:singer-1,where=speaker_id:singer-2")
    assert [clip.clip_id for clip in narrowed.clips] == [
        "clip-07",
        "clip-09",
        "clip-11",
        "clip-13",
        "clip-15",
        "clip-17",
    ]


def test_a_pattern_that_does_not_match_leaves_the_clip_out_and_says_so(place):
    result = chosen(place, "label=pitch~^(low|high)$,folds=3")
    assert result.sizes == {"high": 6, "low": 6}
    assert result.unlabelled == 6


def test_a_limit_keeps_the_shares_of_the_classes_and_follows_the_seed(tmp_path):
    rows = [row for row in sets.tones(36) if row["pitch"] != "high" or int(row["id"][-2:]) < 18]
    place = sets.stored(tmp_path, rows)
    assert chosen(place, "label=pitch").sizes == {"high": 6, "low": 12, "middle": 12}
    drawn = chosen(place, "label=pitch,folds=2", limit=15)
    assert drawn.sizes == {"high": 3, "low": 6, "middle": 6}
    ids = [clip.clip_id for clip in drawn.clips]
    assert ids == sorted(ids)
    assert ids == [clip.clip_id for clip in chosen(place, "label=pitch,folds=2", limit=15).clips]
    assert ids != [clip.clip_id for clip in chosen(place, "label=pitch,folds=2", limit=15, seed=1).clips]


def test_small_classes_are_left_out_when_asked(tmp_path):
    rows = [row for row in sets.tones() if row["pitch"] != "high" or row["id"] == "clip-02"]
    place = sets.stored(tmp_path, rows)
    with pytest.raises(ProbeError, match=r"1 of 3 classes have fewer clips than the 5 folds, high \(1\).*min_clips=5"):
        chosen(place, "label=pitch")
    kept = chosen(place, "label=pitch,min_clips=5")
    assert (kept.sizes, kept.small_classes) == ({"low": 6, "middle": 6}, 1)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("label=pich", "has no column 'pich'.*it has id, split, .*pitch.*speaker_id"),
        ("label=pitch,group=actor", "has no column 'actor'"),
        ("label=pitch,where=corpus:x", "has no column 'corpus'"),
        ("label=pitch,where=text:re", r"no clip fits its where=; text is do \(9\), la \(9\)"),
        ("label=pitch,where=pitch:low", "has one class only, 'low'"),
        ("label=pitch,group=speaker_id", "speaker_id has 3 values, too few for 5 folds of whole groups; take folds=3"),
        ("label=pitch~^x", "none of 18 clips has a value in pitch~"),
    ],
)
def test_what_cannot_be_classified_is_refused_before_audio_is_read(place, settings, said):
    with pytest.raises(ProbeError, match=said):
        chosen(place, settings)


def test_a_split_can_be_a_class(mini):
    assert Counter(clip.label for clip in choose(parse("d=mini,label=split,folds=3"), mini, None, 0).clips) == {
        "Speech": 12,
        "Music": 6,
        "Audio": 6,
    }
