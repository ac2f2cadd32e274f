"""What was probably meant by an unknown name."""

from __future__ import annotations

from soundcodec_llmcodec.nearest import did_you_mean, nearest


def test_the_nearest_name_or_none():
    assert nearest("comapct", ["published", "compact"]) == "compact"
    assert nearest("xyz", ["published", "compact"]) is None
    assert nearest("a", []) is None


def test_the_phrase_ends_a_sentence_either_way():
    assert did_you_mean("comapct", {"compact": 1}, ".") == "; did you mean 'compact'?"
    assert (did_you_mean("xyz", ["compact"]), did_you_mean("xyz", ["compact"], ".")) == ("", ".")
