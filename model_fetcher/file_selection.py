"""Which files of a repository are needed, decided by name alone: weights in a safe format, configuration, tokenizer.

Pickles and code are left out unless someone turned them on by name.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from model_fetcher.errors import NothingUsableError
from model_store import variants

TOKENIZER = "tokenizer.json"


class WeightFormat(StrEnum):
    """What the weights are; also the name of the variant that holds them as published."""

    OPENVINO = variants.OPENVINO
    SAFETENSORS = variants.SAFETENSORS
    PICKLE = "pickle"


@dataclass(frozen=True, slots=True)
class Selection:
    """The names to fetch, small files first so that a wrong choice costs seconds and not gigabytes."""

    weight_format: WeightFormat
    small: tuple[str, ...]
    weights: tuple[str, ...]

    @property
    def paths(self) -> tuple[str, ...]:
        return self.small + self.weights


ReadIndex = Callable[[str], Iterable[str]]
"""Reads an index such as model.safetensors.index.json and names the weight files in it."""

_SMALL = re.compile(
    r"config\.json|generation_config\.json|.*\.index\.json"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json"
    r"|vocab\.(json|txt)|merges\.txt|tokenizer\.model|spiece\.model|sentencepiece\.bpe\.model|.*\.tiktoken"
    r"|chat_template\.(jinja|json)|additional_chat_templates/[^/]+\.jinja"
    r"|openvino_config\.json|openvino_(de)?tokenizer\.(xml|bin)"
    r"|(LICEN[CS]E|NOTICE|USE_POLICY)[^/]*",
    re.IGNORECASE,
)
_CODE = re.compile(r"[^/]+\.py")
_IR = ("openvino_model.xml", "openvino_model.bin")
_ANY_PICKLE = re.compile(r".*\.(bin|pt|pth|ckpt|pkl)")


def select_files(
    paths: Iterable[str],
    read_index: ReadIndex,
    *,
    allow_pickle: bool,
    trust_remote_code: bool,
    only_safetensors: bool = False,
) -> Selection:
    """Choose what to fetch from everything that is there.

    `only_safetensors` is for engines that load what is published: they read no other format.

    Raises:
        NothingUsableError: there are no weights, or only such as are not allowed; the message says what there is.
    """
    present = frozenset(path for path in paths if _stays_inside(path))
    if only_safetensors:
        weight_format, weights = WeightFormat.SAFETENSORS, _safetensors(present, read_index)
    else:
        weight_format, weights = _weights(present, read_index, allow_pickle=allow_pickle)
    small = [path for path in present if _SMALL.fullmatch(path) or (trust_remote_code and _CODE.fullmatch(path))]
    if weight_format is not WeightFormat.OPENVINO:
        small = [path for path in small if not path.startswith("openvino_")]
    chosen_index = {f"{_stem(weight_format)}.index.json"}
    small = [path for path in small if not path.endswith(".index.json") or path in chosen_index]
    if "config.json" not in present:
        raise NothingUsableError("there is no config.json beside the weights", "choose a repository in this format")
    if weight_format is WeightFormat.OPENVINO and TOKENIZER not in present:
        raise NothingUsableError(
            "this repository holds OpenVINO IR but no tokenizer.json, without which the gateway cannot read text",
            "choose the original repository of the model, which is converted here with its tokenizer",
        )
    if only_safetensors:
        refuse_without_tokenizer(present)
    return Selection(weight_format, tuple(sorted(small, key=_first_things_first)), tuple(sorted(weights)))


def refuse_without_tokenizer(paths: Iterable[str]) -> None:
    """See that weights which are served as published bring the tokenizer in the form that the gateway reads.

    Raises:
        NothingUsableError: they do not.
    """
    if TOKENIZER not in set(paths):
        raise NothingUsableError(
            "this model has no tokenizer.json, without which the gateway cannot read text",
            "choose a revision or repository that has one, or a CPU profile with ENGINE=auto, which makes one",
        )


def _stays_inside(path: str) -> bool:
    return ".." not in path.split("/") and not path.startswith("/") and "\0" not in path


def _weights(present: frozenset[str], read_index: ReadIndex, *, allow_pickle: bool) -> tuple[WeightFormat, set[str]]:
    if present.issuperset(_IR):
        return WeightFormat.OPENVINO, set(_IR)
    for weight_format in (WeightFormat.SAFETENSORS, WeightFormat.PICKLE):
        found = _whole_or_sharded(present, _stem(weight_format), read_index)
        if found and (weight_format is WeightFormat.SAFETENSORS or allow_pickle):
            return weight_format, found
    raise _nothing_usable(present)


def _safetensors(present: frozenset[str], read_index: ReadIndex) -> set[str]:
    found = _whole_or_sharded(present, _stem(WeightFormat.SAFETENSORS), read_index)
    if found:
        return found
    if present.issuperset(_IR):
        raise NothingUsableError(
            "this repository holds its weights only as OpenVINO IR, and engines that load published weights "
            "read only *.safetensors",
            "set MODEL_NAME to the original repository of the model, or use a CPU profile with ENGINE=auto",
        )
    raise _nothing_usable(present, ": engines that load published weights read no others, whatever ALLOW_PICKLE says")


def _whole_or_sharded(present: frozenset[str], name: str, read_index: ReadIndex) -> set[str]:
    if name in present:
        return {name}
    index = f"{name}.index.json"
    if index not in present:
        return set()
    named = set(read_index(index))
    absent = sorted(named - present)
    if absent or not named:
        raise NothingUsableError(
            f"{index} names {absent[0] if absent else 'no files'}, which the repository does not have",
            "the upload is incomplete: choose another revision, or tell its publisher",
        )
    return named


def _stem(weight_format: WeightFormat) -> str:
    return {WeightFormat.SAFETENSORS: "model.safetensors", WeightFormat.PICKLE: "pytorch_model.bin"}.get(
        weight_format, ""
    )


def _nothing_usable(
    present: frozenset[str], instead_of_pickles: str = ", or set ALLOW_PICKLE=true if you trust its publisher"
) -> NothingUsableError:
    if any(path.endswith(".gguf") for path in present):
        return NothingUsableError(
            "this repository holds only GGUF weights, which this version does not read",
            "set MODEL_NAME to the original repository that the GGUF files were made from",
        )
    if "adapter_model.safetensors" in present:
        return NothingUsableError(
            "this repository holds an adapter (LoRA), not a whole model", "set MODEL_NAME to a merged model"
        )
    if any(_ANY_PICKLE.fullmatch(path) for path in present):
        return NothingUsableError(
            "this repository holds its weights only as pickles (*.bin, *.pt), and loading a pickle can run code",
            f"choose a revision or repository with *.safetensors{instead_of_pickles}",
        )
    return NothingUsableError(
        "this repository holds no model.safetensors and no openvino_model.xml",
        "set MODEL_NAME to a text-generation model in the transformers or OpenVINO format",
    )


def _first_things_first(path: str) -> tuple[bool, str]:
    return path != "config.json", path
