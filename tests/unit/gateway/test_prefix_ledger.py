"""The account of the prefix cache; tests/engines holds it against what the engine really computes."""

from llm_gateway.engines.prefix_ledger import PrefixLedger

PREFIX = list(range(8))


def test_only_whole_blocks_from_the_beginning_are_known() -> None:
    ledger = PrefixLedger(num_blocks=10, block_tokens=4)
    ledger.add([*PREFIX, 8, 9])
    assert ledger.known_tokens([*PREFIX, 8, 9, 10]) == 8
    assert ledger.known_tokens([*PREFIX[:7], 99]) == 4
    assert ledger.known_tokens([99, *PREFIX]) == 0


def test_the_last_token_of_a_prompt_is_always_computed() -> None:
    ledger = PrefixLedger(num_blocks=10, block_tokens=4)
    ledger.add(PREFIX)
    assert ledger.known_tokens(PREFIX) == 4


def test_the_least_recently_used_blocks_leave_first_and_the_end_of_a_sequence_before_its_beginning() -> None:
    ledger = PrefixLedger(num_blocks=3, block_tokens=4)
    ledger.add(PREFIX)
    ledger.add([50, 51, 52, 53, 54, 55, 56, 57])
    assert ledger.known_tokens([*PREFIX, 8]) == 4
    ledger.add([90, 91, 92, 93])
    assert ledger.known_tokens([*PREFIX, 8]) == 4, "asking for it was a use"
    assert ledger.known_tokens([50, 51, 52, 53, 54, 55, 56, 57, 58]) == 4


def test_without_a_cache_nothing_is_known() -> None:
    ledger = PrefixLedger(num_blocks=0, block_tokens=4)
    ledger.add(PREFIX)
    assert ledger.known_tokens([*PREFIX, 8]) == 0
