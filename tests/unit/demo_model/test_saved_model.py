"""The saved folder is complete, small enough to commit, and its tokenizer loses nothing. No torch is needed here."""

import json
import struct
from typing import Any

import jinja2
import pytest
from tokenizers import Tokenizer

from demo_model import WEIGHTS_FOLDER
from demo_model.conversations import CHAT_TEMPLATE, SYSTEM_PROMPTS, chat

LARGEST_WEIGHTS_BYTES = 8_000_000
TEXTS = [
    "How do I change the port?",
    "Hello! 👋🌍🔥🚀 👩🏽‍🚒 🇯🇵",
    "暖かい тёплый ζεστός دافئ ꦲ",
    "  two spaces,\ttabs\r\nand\n\n\nlines \n",
    "GATEWAY_PORT=9000 `docker compose up --wait` {}[]<>|\\\x00\x7f\u200b",
    "".join(chr(code) for code in range(1, 0x3000, 7)),
    "".join(chr(code) for code in range(0x1F300, 0x1FAFF)),
    "",
]


def read_json(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((WEIGHTS_FOLDER / name).read_text("utf-8"))
    return content


def tensors() -> dict[str, Any]:
    with (WEIGHTS_FOLDER / "model.safetensors").open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(length))
    return {name: tensor for name, tensor in header.items() if name != "__metadata__"}


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return Tokenizer.from_file(str(WEIGHTS_FOLDER / "tokenizer.json"))


@pytest.mark.parametrize("text", TEXTS)
def test_any_text_comes_back_unchanged_from_the_tokenizer(tokenizer: Tokenizer, text: str) -> None:
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


@pytest.mark.parametrize("character", ["👋", "🚀", "🦩", "暖", "ё"])
def test_a_character_beyond_ascii_takes_a_token_per_byte(tokenizer: Tokenizer, character: str) -> None:
    assert len(tokenizer.encode(character).ids) == len(character.encode())


def test_the_handbook_is_written_in_few_tokens(tokenizer: Tokenizer) -> None:
    assert len(tokenizer.encode("How do I change the port?").ids) <= 8


def test_the_weights_are_small_enough_to_commit() -> None:
    assert (WEIGHTS_FOLDER / "model.safetensors").stat().st_size <= LARGEST_WEIGHTS_BYTES


def test_the_weights_are_bfloat16() -> None:
    assert {tensor["dtype"] for tensor in tensors().values()} == {"BF16"}


def test_the_embeddings_are_tied_and_stored_once() -> None:
    assert read_json("config.json")["tie_word_embeddings"] is True
    assert "lm_head.weight" not in tensors()


def test_key_and_value_heads_are_shared_by_several_query_heads() -> None:
    config = read_json("config.json")
    assert config["num_key_value_heads"] < config["num_attention_heads"]


def test_the_vocabulary_of_the_tokenizer_is_that_of_the_weights(tokenizer: Tokenizer) -> None:
    assert tokenizer.get_vocab_size() == read_json("config.json")["vocab_size"]
    assert tensors()["model.embed_tokens.weight"]["shape"][0] == tokenizer.get_vocab_size()


def test_generation_ends_at_the_end_of_a_turn(tokenizer: Tokenizer) -> None:
    assert tokenizer.token_to_id("<|im_end|>") in read_json("generation_config.json")["eos_token_id"]


@pytest.mark.parametrize("system", [None, SYSTEM_PROMPTS[0]])
def test_training_wraps_a_conversation_as_the_chat_template_does(system: str | None) -> None:
    exchanges = [("Hello", "Hello!"), ("Which port?", "8085")]
    messages = [{"role": "system", "content": system}] if system else []
    for question, answer in exchanges:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    template = jinja2.Environment(autoescape=False).from_string(CHAT_TEMPLATE)  # what it makes is a prompt, not a page
    asked = template.render(messages=messages[:-1], add_generation_prompt=True)
    assert asked + "8085<|im_end|>" == "".join(piece.text for piece in chat(exchanges, system))


def test_the_saved_chat_template_is_the_one_of_the_training() -> None:
    assert (WEIGHTS_FOLDER / "chat_template.jinja").read_text("utf-8") == CHAT_TEMPLATE
