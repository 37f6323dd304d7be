"""keep_alive: seconds, or a duration as Go writes them."""

import pytest

from llm_gateway.api.ollama.go_duration import parse_keep_alive


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        (0, 0),
        (300, 300),
        (-1, -1),
        (0.5, 0.5),
        ("0", 0),
        ("5m", 300),
        ("1h30m", 5400),
        ("-1m", -60),
        ("+2s", 2),
        ("1.5h", 5400),
        (".5s", 0.5),
        ("1.s", 1),
        ("250ms", 0.25),
        ("2us", 2e-6),
        ("0s", 0),
    ],
)
def test_durations_are_read(given: object, seconds: float) -> None:
    assert parse_keep_alive(given) == pytest.approx(seconds)


@pytest.mark.parametrize("given", ["", "soon", "5 m", "m", "1h-30m", "\N{ARABIC-INDIC DIGIT ONE}s", "s" * 10_000, "5d"])
def test_what_is_no_duration_is_refused_in_gos_words(given: str) -> None:
    with pytest.raises(ValueError, match="time: invalid duration "):
        parse_keep_alive(given)


def test_a_number_in_a_text_needs_its_unit() -> None:
    with pytest.raises(ValueError, match='time: missing unit in duration "5"'):
        parse_keep_alive("5")


@pytest.mark.parametrize("given", [True, [], {}])
def test_other_kinds_of_values_are_refused(given: object) -> None:
    with pytest.raises(ValueError, match=r'expected seconds or a duration such as "5m"'):
        parse_keep_alive(given)
