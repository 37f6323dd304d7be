"""The tokenizer of a made-up model reads and writes the same tokens."""

import pytest
from tokenizers import Tokenizer, pre_tokenizers, trainers

from benchmarks.make_model import build_tokenizer, keep_what_round_trips

TEXT = [
    "aaaa aaaaa the house in the house, theatre and  three   spaces\n\n\nand lines",
    "def f(x):\n        return x[0][0]",
]


def train(num_tokens: int) -> Tokenizer:
    tokenizer = build_tokenizer({}, [])
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=num_tokens, min_frequency=1, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    return tokenizer


def test_every_token_that_is_kept_encodes_back_to_itself() -> None:
    tokenizer = keep_what_round_trips(train(330), 300)

    texts = {number: tokenizer.decode([number]) for number in range(tokenizer.get_vocab_size())}
    astray = [number for number, text in texts.items() if tokenizer.encode(text).ids != [number]]
    assert tokenizer.get_vocab_size() == 300
    assert {texts[number] for number in astray} == {"\N{REPLACEMENT CHARACTER}"}
    assert len(astray) == 128


def test_too_few_trained_tokens_are_refused_with_both_numbers() -> None:
    with pytest.raises(ValueError, match=r"\d+ tokens round-trip, 5000 are needed"):
        keep_what_round_trips(train(330), 5000)
