"""A tokenizer.json that is read to take less room still means what the library reads in it."""

import json
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, models

from llm_gateway.prompt.compact_tokenizer import read_tokenizer
from tests.unit.gateway import small_tokenizers

DEMO = Path(__file__).parents[3] / "demo_model/weights/tokenizer.json"
TEXT = "<|im_end|> how do I change the port?  Grüße 🎉 <think>\n"


def assert_both_read_the_same(path: Path) -> None:
    ours, theirs = read_tokenizer(path), Tokenizer.from_file(str(path))
    assert ours.to_str() == theirs.to_str()
    assert ours.get_added_tokens_decoder() == theirs.get_added_tokens_decoder()
    assert ours.encode(TEXT).ids == theirs.encode(TEXT).ids


@pytest.mark.parametrize("name", small_tokenizers.ALL)
def test_every_kind_of_vocabulary_is_read_as_the_library_reads_it(tmp_path: Path, name: str) -> None:
    small_tokenizers.ALL[name]().save(str(tmp_path / "tokenizer.json"))

    assert_both_read_the_same(tmp_path / "tokenizer.json")


def test_the_demo_model_s_tokenizer_is_read_as_the_library_reads_it() -> None:
    assert_both_read_the_same(DEMO)


def test_added_tokens_keep_their_ids_and_what_they_are(tmp_path: Path) -> None:
    tokenizer = small_tokenizers.byte_level()
    tokenizer.add_tokens([AddedToken("<think>", normalized=False, lstrip=True), "plain"])
    tokenizer.add_special_tokens([AddedToken("<|tool|>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("</think>", single_word=True, normalized=False)])
    tokenizer.save(str(tmp_path / "tokenizer.json"))

    assert_both_read_the_same(tmp_path / "tokenizer.json")


def test_merges_in_the_old_way_of_writing_are_read(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    written = json.loads(small_tokenizers.byte_level().to_str())
    written["model"]["merges"] = ["#version: 0.2", *(" ".join(merge) for merge in written["model"]["merges"])]
    path.write_text(json.dumps(written), encoding="utf-8")

    assert_both_read_the_same(path)


def test_a_vocabulary_of_another_kind_is_left_to_the_library(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    Tokenizer(models.WordLevel({"port": 0, "[UNK]": 1}, unk_token="[UNK]")).save(str(path))

    assert_both_read_the_same(path)


def test_added_tokens_with_ids_of_their_own_choosing_are_left_to_the_library(tmp_path: Path) -> None:
    tokenizer = small_tokenizers.byte_level()
    tokenizer.add_special_tokens(["<|im_end|>", "<think>"])
    written = json.loads(tokenizer.to_str())
    for added in written["added_tokens"]:
        added["id"] += 100
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(written), encoding="utf-8")

    assert_both_read_the_same(path)
