"""Pairs of one sentence whose second half is spoken by the same or another speaker, or with another emotion.

Both members are spliced, and of equal parts: the second half of the positive is taken from another recording of the
same speaker and emotion where there is one that ends in the same words, that of the negative from a recording of the
same sentence as the positive's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from eval.reconstruction.metrics.words import words_of
from eval.salmon.build.built_pairs import RATE, BuiltPair, db, finished
from eval.salmon.build.material import Utterance
from eval.salmon.build.splicing import joined, rise, spoken
from eval.salmon.build.stretching import stretched
from eval.salmon.build.word_cuts import middle
from soundcodec_llmcodec.measures.loudness import gain_to, loudness

FADE = round(0.010 * RATE)
END_FADE = round(0.020 * RATE)
# Second halves of a pair are brought to one length, between theirs; at this ratio each changes by 11.8 %.
MOST_RATIO = 1.25
# What a partner of like length is worth against an arbitrary one: random costs up to this log ratio are added.
_JITTER = 0.05
_FORBIDDEN = 1e3


@dataclass(frozen=True, eq=False)
class Cut:
    """An utterance cut at sample `at`, of which `start` to `end` is spoken."""

    utterance: Utterance
    at: int
    start: int
    end: int

    @classmethod
    def of(cls, utterance: Utterance, at: int) -> Cut:
        """The utterance with its spoken range found."""
        start, end = spoken(utterance.samples, RATE)
        return cls(utterance, at, min(start, at - 2 * FADE), max(end, at + 2 * FADE))

    @property
    def tail(self) -> np.ndarray:
        """The second half with half a cross-fade before it."""
        return self.utterance.samples[self.at - FADE // 2 : self.end]

    @property
    def head(self) -> np.ndarray:
        """The first half with half a cross-fade after it."""
        return self.utterance.samples[self.start : self.at + FADE // 2]


@dataclass(frozen=True)
class Choice:
    """A head and the recordings that the two second halves are from."""

    head: Cut
    positive: Cut
    negative: Cut


def _another_speaker(first: Utterance, other: Utterance) -> bool:
    return first.speaker != other.speaker and first.emotion == other.emotion


def _another_gender(first: Utterance, other: Utterance) -> bool:
    return first.gender != other.gender and first.speaker != other.speaker and first.emotion == other.emotion


def _another_emotion(first: Utterance, other: Utterance) -> bool:
    return first.speaker == other.speaker and first.emotion != other.emotion


# What must be known of the utterances of a part, and what makes a recording the negative to another.
NEGATIVES: Mapping[str, tuple[tuple[str, ...], Callable[[Utterance, Utterance], bool]]] = {
    "speaker_consistency": (("text", "speaker"), _another_speaker),
    "gender_consistency": (("text", "speaker", "gender"), _another_gender),
    "sentiment_consistency": (("text", "speaker", "emotion"), _another_emotion),
}


def ending(utterance: Utterance) -> tuple[str, ...]:
    """The words of the second half: utterances that share them can lend each other theirs."""
    words = words_of(utterance.text or "")
    return words[middle(words) :]


def groups(part: str, utterances: Sequence[Utterance]) -> list[list[Utterance]]:
    """The utterances that a part can use, by ending: those of which all that the part needs is known, where the group
    has a negative for one of them at least."""
    needed, negative = NEGATIVES[part]
    by_ending: dict[tuple[str, ...], list[Utterance]] = {}
    for utterance in utterances:
        if all(getattr(utterance, key) for key in needed) and ending(utterance):
            by_ending.setdefault(ending(utterance), []).append(utterance)
    return [
        group
        for _, group in sorted(by_ending.items())
        if any(negative(group[0], other) for other in group) or any(negative(a, b) for a in group for b in group)
    ]


def choices(part: str, group: Sequence[Cut], draw: np.random.Generator) -> list[Choice]:
    """Who goes with whom in a group: every recording is the head of one pair at most, and lends its second half to one
    positive and to one negative at most.

    Negatives are assigned so that second halves of a pair are alike in length (an assignment of least cost); pairs
    whose lengths differ by more than MOST_RATIO are left out.
    """
    negative = NEGATIVES[part][1]
    positives = _positives(group, draw)
    lengths = np.log([len(cut.tail) for cut in group])
    cost = np.full((len(group), len(group)), _FORBIDDEN)
    for row, index in enumerate(positives):
        for column, other in enumerate(group):
            ratio = abs(lengths[index] - lengths[column])
            model = group[index].utterance
            # The same sentence as the positive's, so that what leads up to the second half is the same too.
            fits = negative(model, other.utterance) and words_of(model.text or "") == words_of(
                other.utterance.text or ""
            )
            if fits and ratio <= np.log(MOST_RATIO):
                cost[row, column] = ratio + draw.uniform(0, _JITTER)
    rows, columns = linear_sum_assignment(cost)
    return [
        Choice(group[row], group[positives[row]], group[column])
        for row, column in zip(rows, columns, strict=True)
        if cost[row, column] < _FORBIDDEN
    ]


def _positives(group: Sequence[Cut], draw: np.random.Generator) -> list[int]:
    """For each recording the one whose second half the positive has: another of the same speaker and emotion, each
    used once where that works out; itself where there is no other."""
    places = list(range(len(group)))
    by_voice: dict[tuple[str | None, str | None], list[int]] = {}
    for index, cut in enumerate(group):
        by_voice.setdefault((cut.utterance.speaker, cut.utterance.emotion), []).append(index)
    for members in by_voice.values():
        order = [members[k] for k in draw.permutation(len(members))]
        # Each takes the next one's: a circle, in which nobody has its own unless it is alone.
        for index, following in zip(order, order[1:] + order[:1], strict=True):
            places[index] = following
    return places


def voice_pair(part: str, choice: Choice) -> BuiltPair:
    """The pair of a choice: one head, two second halves of equal length and loudness."""
    length = round(float(np.sqrt(len(choice.positive.tail) * len(choice.negative.tail))))
    own = choice.head.utterance.samples[choice.head.at + FADE // 2 : choice.head.end]
    level = loudness(own, RATE)
    members, gains = [], []
    for cut in (choice.positive, choice.negative):
        tail = stretched(cut.tail, length, RATE)
        tail[-END_FADE:] *= rise(END_FADE)[::-1]
        gains.append(gain_to(tail[FADE:], RATE, level))
        member = joined(np.asarray(choice.head.head, dtype=np.float64), gains[-1] * tail, FADE)
        member[:END_FADE] *= rise(END_FADE)
        members.append(member)
    tails = {"positive": choice.positive, "negative": choice.negative}
    about = {
        "text": " ".join(words_of(choice.head.utterance.text or "")),
        "first_half": {**choice.head.utterance.about(), "cut_sample": choice.head.at},
        "second_half": {key: {**cut.utterance.about(), "cut_sample": cut.at} for key, cut in tails.items()},
        "positive_from": "own recording" if choice.positive is choice.head else "another recording",
        "second_half_stretch": {key: round(length / len(cut.tail), 4) for key, cut in tails.items()},
        "second_half_gain_db": dict(zip(tails, map(db, gains), strict=True)),
    }
    return finished(part, members[0], members[1], len(choice.head.head) - FADE // 2, FADE, about)
