"""Tokenizers read from folders as models ship them."""

import json
from pathlib import Path

import pytest
from tokenizers.processors import TemplateProcessing

from llm_gateway.prompt.tokenizer import PromptTokenizer, PromptTokenizerError
from tests.unit.gateway import small_tokenizers

DEMO_WEIGHTS = Path(__file__).parents[3] / "demo_model/weights"


def write_model(folder: Path, **configurations: object) -> Path:
    small_tokenizers.byte_level().save(str(folder / "tokenizer.json"))
    for name, content in configurations.items():
        (folder / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_text_is_encoded_without_special_tokens(tmp_path: Path) -> None:
    tokenizer = PromptTokenizer.load(write_model(tmp_path))

    ids = tokenizer.encode("how do I change the port?", add_special_tokens=False)

    assert tokenizer.underlying.decode(ids) == "how do I change the port?"
    assert max(ids) < tokenizer.vocabulary_size


def test_special_tokens_are_added_for_raw_text_only(tmp_path: Path) -> None:
    tokenizer = small_tokenizers.byte_fallback()
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = PromptTokenizer.load(tmp_path)

    assert loaded.encode("the", add_special_tokens=True) == [1, *loaded.encode("the", add_special_tokens=False)]


def test_truncation_and_padding_of_a_training_run_are_forgotten(tmp_path: Path) -> None:
    tokenizer = small_tokenizers.byte_level()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    loaded = PromptTokenizer.load(tmp_path)

    assert len(loaded.encode("a", add_special_tokens=False)) == 1
    assert len(loaded.encode("how do I change the port of the house", add_special_tokens=False)) > 8


@pytest.mark.parametrize(
    ("configurations", "expected"),
    [
        ({"generation_config": {"eos_token_id": [1, 0]}, "config": {"eos_token_id": 7}}, {0, 1}),
        ({"generation_config": {"eos_token_id": None}, "config": {"eos_token_id": 7}}, {7}),
        ({"config": {"eos_token_id": 0}, "tokenizer_config": {"eos_token": "<|im_end|>"}}, {0, 1}),
        ({"tokenizer_config": {"eos_token": {"content": "<|im_end|>"}}}, {1}),
        ({"tokenizer_config": {"eos_token": "no such token"}}, set()),
        ({}, set()),
    ],
)
def test_what_ends_an_answer_is_collected_from_wherever_it_is_written(
    tmp_path: Path, configurations: dict[str, object], expected: set[int]
) -> None:
    assert PromptTokenizer.load(write_model(tmp_path, **configurations)).eos_token_ids == expected


def test_a_folder_without_a_tokenizer_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PromptTokenizerError, match=r"has no tokenizer\.json"):
        PromptTokenizer.load(tmp_path)


def test_a_truncated_tokenizer_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text('{"version": "1.0"', encoding="utf-8")

    with pytest.raises(PromptTokenizerError, match=r"cannot be used .*fetch the model again"):
        PromptTokenizer.load(tmp_path)


def test_a_damaged_configuration_is_a_sentence(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    (folder / "generation_config.json").write_text("{", encoding="utf-8")

    with pytest.raises(PromptTokenizerError, match=r"generation_config\.json cannot be read"):
        PromptTokenizer.load(folder)


def test_half_a_surrogate_pair_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(PromptTokenizerError, match="half a surrogate pair"):
        PromptTokenizer.load(write_model(tmp_path)).encode("a\ud800b", add_special_tokens=False)


def test_the_demo_models_tokenizer_ends_answers_and_brings_back_what_it_reads() -> None:
    tokenizer = PromptTokenizer.load(DEMO_WEIGHTS)

    assert tokenizer.eos_token_ids
    assert tokenizer.underlying.decode(tokenizer.encode("Grüße 🎉", add_special_tokens=False)) == "Grüße 🎉"
