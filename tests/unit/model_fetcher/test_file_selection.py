"""Which files of a repository are fetched, decided by their names."""

import re

import pytest

from model_fetcher.errors import NothingUsableError
from model_fetcher.file_selection import Selection, WeightFormat, select_files

TEXT = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
WHOLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]


IR = ["openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml"]


def choose(*paths: str, index: list[str] | None = None, allow_pickle: bool = False, code: bool = False) -> Selection:
    return select_files(paths, lambda _: index or [], allow_pickle=allow_pickle, trust_remote_code=code)


def choose_safetensors(*paths: str, code: bool = False) -> Selection:
    """With pickles allowed, which changes nothing here."""
    return select_files(paths, lambda _: SHARDS, allow_pickle=True, trust_remote_code=code, only_safetensors=True)


def test_small_files_come_first_and_the_configuration_before_all() -> None:
    selection = choose(WHOLE, *TEXT)
    assert selection.paths[0] == "config.json"
    assert selection.paths[-1] == WHOLE
    assert set(selection.paths) == {WHOLE, *TEXT}


def test_prose_images_code_and_other_formats_stay_behind() -> None:
    others = [
        "README.md",
        ".gitattributes",
        "image.png",
        "modeling.py",
        "model.gguf",
        "tf_model.h5",
        "pytorch_model.bin",
    ]
    assert set(choose(WHOLE, *TEXT, *others).paths) == {WHOLE, *TEXT}


def test_the_licence_travels_with_the_weights() -> None:
    assert {"LICENSE", "NOTICE.txt", "USE_POLICY.md"} <= set(
        choose(WHOLE, *TEXT, "LICENSE", "NOTICE.txt", "USE_POLICY.md").paths
    )


def test_an_index_decides_which_shards_are_the_model() -> None:
    selection = choose(INDEX, *SHARDS, "consolidated.safetensors", "model.fp16.safetensors", *TEXT, index=SHARDS)
    assert selection.weights == tuple(SHARDS)
    assert INDEX in selection.small


def test_a_whole_file_wins_over_shards_as_it_does_in_transformers() -> None:
    selection = choose(WHOLE, INDEX, *SHARDS, *TEXT, index=SHARDS)
    assert selection.weights == (WHOLE,)


def test_an_index_that_names_a_missing_shard_is_an_incomplete_upload() -> None:
    with pytest.raises(NothingUsableError, match=SHARDS[1]):
        choose(INDEX, SHARDS[0], *TEXT, index=SHARDS)


def test_openvino_ir_is_taken_before_anything_else() -> None:
    selection = choose("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml", WHOLE, *TEXT)
    assert selection.weight_format is WeightFormat.OPENVINO
    assert WHOLE not in selection.paths
    assert "openvino_tokenizer.xml" in selection.paths


def test_openvino_ir_without_a_tokenizer_cannot_be_served() -> None:
    with pytest.raises(NothingUsableError, match=r"tokenizer\.json"):
        choose("openvino_model.xml", "openvino_model.bin", "config.json")


def test_pickles_need_permission() -> None:
    with pytest.raises(NothingUsableError, match="ALLOW_PICKLE"):
        choose("pytorch_model.bin", *TEXT)
    assert choose("pytorch_model.bin", *TEXT, allow_pickle=True).weight_format is WeightFormat.PICKLE


def test_a_safe_format_wins_even_where_pickles_are_allowed() -> None:
    assert choose("pytorch_model.bin", WHOLE, *TEXT, allow_pickle=True).weights == (WHOLE,)


def test_code_needs_permission() -> None:
    assert "modeling.py" not in choose(WHOLE, "modeling.py", *TEXT).paths
    assert "modeling.py" in choose(WHOLE, "modeling.py", *TEXT, code=True).paths


def test_where_only_safetensors_are_loaded_they_win_over_everything() -> None:
    selection = choose_safetensors(WHOLE, "pytorch_model.bin", *IR, *TEXT)
    assert selection.weight_format is WeightFormat.SAFETENSORS
    assert set(selection.paths) == {WHOLE, *TEXT}
    assert choose_safetensors(INDEX, *SHARDS, *TEXT).weights == tuple(SHARDS)


@pytest.mark.parametrize(
    ("paths", "sentence"),
    [
        (IR, "only as OpenVINO IR, and engines that load published weights read only .*; set MODEL_NAME to"),
        (["pytorch_model.bin"], "only as pickles .*engines that load published weights read no others, whatever ALLOW"),
        (["weights.Q4_K_M.gguf"], "GGUF"),
    ],
)
def test_where_only_safetensors_are_loaded_nothing_else_will_do(paths: list[str], sentence: str) -> None:
    with pytest.raises(NothingUsableError) as caught:
        choose_safetensors(*paths, *TEXT)
    assert re.search(sentence, str(caught.value))


def test_weights_that_are_served_as_published_bring_their_tokenizer() -> None:
    with pytest.raises(NothingUsableError, match=r"no tokenizer\.json"):
        choose_safetensors(WHOLE, "config.json", "vocab.json", "merges.txt")
    assert choose(WHOLE, "config.json", "vocab.json", "merges.txt").weights == (WHOLE,)


def test_code_needs_permission_where_safetensors_are_served_too() -> None:
    assert "modeling.py" not in choose_safetensors(WHOLE, "modeling.py", *TEXT).paths
    assert "modeling.py" in choose_safetensors(WHOLE, "modeling.py", *TEXT, code=True).paths


def test_names_that_lead_outside_the_folder_do_not_exist() -> None:
    with pytest.raises(NothingUsableError, match="names"):
        choose(INDEX, "../../etc/passwd", *TEXT, index=["../../etc/passwd"])


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        (["weights.Q4_K_M.gguf"], "GGUF"),
        (["adapter_model.safetensors", "adapter_config.json"], "LoRA"),
        (["README.md"], "no model.safetensors"),
    ],
)
def test_a_repository_without_usable_weights_says_what_it_holds(paths: list[str], found: str) -> None:
    with pytest.raises(NothingUsableError, match=found):
        choose(*paths, *TEXT)
