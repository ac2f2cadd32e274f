"""Which model's mean is the best by more than noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.harness.score import Score
from eval.harness.statistics import MetricColumn, column, shared

ALPHA = 0.05


def leader(
    scores: Mapping[str, Mapping[str, Score]], of_metric: MetricColumn, models: Sequence[str], direction: str
) -> str | None:
    """The one of the models that is better than each of the others on the same clips; None where none is.

    `scores` is model -> clip id -> Score, `of_metric` their summaries, `direction` "lower" or "higher". Compared are
    the paired differences, p < ALPHA by the sign-flip test with Holm's adjustment.
    """
    means = {
        model: mean for model in models if (mean := of_metric.summaries[model].mean) is not None and model in scores
    }
    if len(means) < 2:
        return None
    best = (min if direction == "lower" else max)(means, key=lambda model: means[model])
    # The clips are those of the means, so that what is tested is what the table shows.
    ids = shared({name: {key: score.value for key, score in of.items()} for name, of in scores.items()}).ids
    compared = column({model: {key: scores[model][key] for key in ids} for model in means}, best).comparisons
    beyond = all(
        pair.p_adjusted < ALPHA and (pair.difference > 0) == (direction == "lower") for pair in compared.values()
    )
    return best if compared and beyond else None
