"""What a journal keeps, and what it refuses to go on with."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from eval.harness import journal
from eval.harness.journal import JournalError
from eval.reconstruction.clip_journal import ClipBatch, ClipJournal
from eval.reconstruction.clip_results import ClipResult, Usage
from eval.reconstruction.metrics import Score

IDENTITY = {"models": {"x": {"identity": "weights 1", "device": "cpu"}}, "metrics": {"mel": 1}}


def batch(clip_id: str = "a") -> ClipBatch:
    scores = {"mel": Score(0.1), "pesq": Score(reason="NoUtterances"), "wer": Score(0.5, weight=7.0)}
    result = ClipResult("x", "Speech", 3, clip_id, "src", 1.25, 44_100, "d" * 64, "k" * 64, 62, None, None, scores)
    usage = Usage(0.1, 0.2, 1.25, 12.5)
    usage.codes.update({17: 3, 20_479: 59})
    return ClipBatch("Speech", [result], {"x": usage})


def test_batches_come_back_as_they_were(tmp_path):
    with ClipJournal(tmp_path / "new", IDENTITY, resume=True) as log:
        log.add(batch("a"))
        log.add(batch("ü/b"))
    with ClipJournal(tmp_path / "new", IDENTITY, resume=True) as log:
        assert log.batches == [batch("a"), batch("ü/b")]


def test_a_torn_last_line_is_dropped_and_the_journal_goes_on(tmp_path):
    with ClipJournal(tmp_path, IDENTITY, resume=False) as log:
        log.add(batch("a"))
        log.add(batch("b"))
    path = tmp_path / journal.NAME
    whole = path.read_bytes()
    first_two = whole[: whole.rstrip(b"\n").rfind(b"\n") + 1]
    for cut in (1, 2, 40):
        path.write_bytes(whole[:-cut])
        with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
            assert log.batches == [batch("a")]
            assert path.read_bytes() == first_two
            log.add(batch("c"))
        with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
            assert log.batches == [batch("a"), batch("c")]


@pytest.mark.parametrize("odd", ["c0ü", "line\u2028sep", "next\x85line", "tab\tnew\nline"])
def test_any_text_may_be_an_id_wherever_a_kill_cuts_it(tmp_path, odd):
    with ClipJournal(tmp_path, IDENTITY, resume=False) as log:
        log.add(batch("a"))
        log.add(batch(odd))
    path = tmp_path / journal.NAME
    with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
        assert log.batches == [batch("a"), batch(odd)]
    whole = path.read_bytes()
    first = whole.find(b"\n", whole.find(b"\n") + 1) + 1
    for cut in range(first + 1, len(whole), 97):
        path.write_bytes(whole[:cut])
        with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
            assert log.batches == [batch("a")]


def test_a_head_that_was_torn_begins_anew(tmp_path):
    (tmp_path / journal.NAME).write_text('{"journal": 1, "ident')
    with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
        log.add(batch())
    with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
        assert log.batches == [batch()]


def test_a_damaged_line_in_the_middle_is_an_error_and_nothing_is_lost(tmp_path):
    with ClipJournal(tmp_path, IDENTITY, resume=False) as log:
        log.add(batch("a"))
        log.add(batch("b"))
    path = tmp_path / journal.NAME
    head, first, second = path.read_text().splitlines()
    damaged = "\n".join([head, first[:-30], second]) + "\n"
    path.write_text(damaged)
    with pytest.raises(JournalError, match="line 2, is damaged"):
        ClipJournal(tmp_path, IDENTITY, resume=True)
    assert path.read_text() == damaged


def test_without_resume_a_run_is_not_touched(tmp_path):
    with ClipJournal(tmp_path, IDENTITY, resume=False) as log:
        log.add(batch())
    before = (tmp_path / journal.NAME).read_bytes()
    with pytest.raises(JournalError, match="--resume goes on with it"):
        ClipJournal(tmp_path, IDENTITY, resume=False)
    assert (tmp_path / journal.NAME).read_bytes() == before


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({**IDENTITY, "metrics": {"mel": 2}}, "metrics.mel was 1, is 2"),
        ({**IDENTITY, "limit": 5}, "limit was null, is 5"),
        ({"models": {"y": {}}, "metrics": {"mel": 1}}, "models.x was"),
        ({"models": {"x": {"identity": "weights 2", "device": "cpu"}}, "metrics": {"mel": 1}}, "models.x.identity was"),
    ],
)
def test_another_run_is_refused_and_the_difference_named(tmp_path, changed, message):
    with ClipJournal(tmp_path, IDENTITY, resume=False) as log:
        log.add(batch())
    with pytest.raises(JournalError, match=message):
        ClipJournal(tmp_path, changed, resume=True)
    with ClipJournal(tmp_path, IDENTITY, resume=True) as log:
        assert log.batches == [batch()]


def test_another_version_is_refused(tmp_path):
    (tmp_path / journal.NAME).write_text(json.dumps({"journal": 99, "identity": IDENTITY}) + "\n")
    with pytest.raises(JournalError, match="has version 99, this program writes and reads 1"):
        ClipJournal(tmp_path, IDENTITY, resume=True)


def test_a_file_of_something_else_is_refused_and_kept(tmp_path):
    (tmp_path / journal.NAME).write_text("my diary\n")
    with pytest.raises(JournalError, match="no journal of a run"):
        ClipJournal(tmp_path, IDENTITY, resume=True)
    assert (tmp_path / journal.NAME).read_text() == "my diary\n"


@pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")
def test_one_process_at_a_time(tmp_path):
    with ClipJournal(tmp_path, IDENTITY, resume=False):
        code = (
            "import sys; from pathlib import Path\n"
            "from eval.harness.journal import discard; from eval.reconstruction.clip_journal import ClipJournal\n"
            "for how in (lambda p: ClipJournal(p, {}, resume=True), discard):\n"
            "    try: how(Path(sys.argv[1]))\n"
            "    except ValueError as error: print(error)\n"
        )
        root = str(Path(journal.__file__).resolve().parents[2])
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)],
            cwd=root,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    assert done.stdout.count("another process is writing") == 2, done.stderr
    assert (tmp_path / journal.NAME).is_file()


def test_discarding_begins_anew(tmp_path):
    journal.discard(tmp_path)
    with ClipJournal(tmp_path, IDENTITY, resume=False) as log:
        log.add(batch())
    journal.discard(tmp_path)
    with ClipJournal(tmp_path, {"another": 1}, resume=False) as log:
        assert log.batches == []
