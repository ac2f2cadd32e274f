"""Labels, near names, and models that cannot be loaded."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from eval.harness import model_specs
from eval.harness.model_specs import LoadError, Unloaded


@dataclass(frozen=True)
class Spec:
    label: str


@pytest.mark.parametrize(
    ("text", "signs", "expected"),
    [
        ("llmcodec", ":/?", (None, "llmcodec")),
        ("mine = a=b", ":/?", ("mine", " a=b")),
        ("=x", ":/?", ("", "x")),
        ("hf:a/b?bandwidth=6", ":/?", (None, "hf:a/b?bandwidth=6")),
        ("runs/rate=0.1", ":/?", (None, "runs/rate=0.1")),
        ("llmcodec@rate=0.1", ":/?@", (None, "llmcodec@rate=0.1")),
        ("llmcodec@rate=0.1", ":/?", ("llmcodec@rate", "0.1")),
    ],
)
def test_a_label_stands_before_the_first_equals_sign_unless_that_is_the_specs(text, signs, expected):
    assert model_specs.labelled(text, signs) == expected


def test_what_is_loaded_goes_on_without_what_is_not(capsys):
    def load(spec):
        if spec.label == "b":
            raise LoadError("no\n weights")
        return spec.label.upper()

    assert model_specs.load_each([Spec("a"), Spec("b")], load, "measure", "codec") == (
        ["A"],
        (Unloaded("b", "no weights"),),
    )
    assert capsys.readouterr().err == "measure: left out: b: no weights\n"
    with pytest.raises(ValueError, match="no codec could be loaded; b: no weights"):
        model_specs.load_each([Spec("b")], load, "measure", "codec")


def test_a_mistake_of_loading_is_not_taken_for_a_missing_model():
    def load(spec):
        raise KeyError(spec.label)

    with pytest.raises(KeyError):
        model_specs.load_each([Spec("a")], load, "measure", "codec")


def test_a_baseline_is_one_of_the_models():
    model_specs.check_baseline(None, ["a"], "codec")
    model_specs.check_baseline("a", ["a"], "codec")
    with pytest.raises(ValueError, match="--baseline 'c' is none of the codecs of this run: a, b"):
        model_specs.check_baseline("c", ["a", "b"], "codec")
