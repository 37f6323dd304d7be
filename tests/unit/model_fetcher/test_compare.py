"""When a converted model agrees with its source, and when it is broken."""

import numpy as np
import pytest

from model_fetcher.converters.compare import LIMITS, DisagreementError, Logits, judge


def logits(seed: int = 0, positions: int = 200, vocabulary: int = 500) -> list[Logits]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(positions, vocabulary)).astype(np.float32)]


def noisy(source: list[Logits], distance: float) -> list[Logits]:
    rng = np.random.default_rng(1)
    return [part + distance * rng.normal(size=part.shape).astype(np.float32) for part in source]


def test_the_same_logits_agree_entirely() -> None:
    agreement = judge(logits(), logits(), "bf16")
    assert (agreement.same_next_token, agreement.mean_logit_distance) == (1.0, 0.0)
    assert (agreement.num_prompts, agreement.num_positions) == (1, 200)


@pytest.mark.parametrize(("precision", "distance"), [("bf16", 0.03), ("int8", 0.08), ("int4", 0.45)])
def test_the_noise_of_a_precision_is_accepted_and_measured(precision: str, distance: float) -> None:
    agreement = judge(logits(), noisy(logits(), distance), precision)
    assert agreement.mean_logit_distance == pytest.approx(distance, rel=0.1)
    assert agreement.same_next_token < 1


@pytest.mark.parametrize("precision", LIMITS)
def test_unrelated_logits_disagree_at_every_precision(precision: str) -> None:
    with pytest.raises(DisagreementError, match="away from the source's"):
        judge(logits(seed=0), logits(seed=1), precision)


@pytest.mark.parametrize("precision", LIMITS)
def test_logits_that_are_no_numbers_disagree(precision: str) -> None:
    broken = [part * np.float32("nan") for part in logits()]
    with pytest.raises(DisagreementError):
        judge(logits(), broken, precision)


def test_another_vocabulary_disagrees() -> None:
    with pytest.raises(DisagreementError, match="shape"):
        judge(logits(), logits(vocabulary=400), "int8")


def test_swapping_what_the_source_is_sure_of_counts_though_the_distance_is_small() -> None:
    source = logits(vocabulary=20_000)
    swapped = [part.copy() for part in source]
    for part in source:
        part[:, 0], part[:, 1] = 9.0, -9.0
    for part in swapped:
        part[:, 0], part[:, 1] = -9.0, 9.0
    with pytest.raises(DisagreementError, match="same next token in 0%"):
        judge(source, swapped, "int8")
