"""Weights that are served as published: for engines on GPUs, and where a CPU profile finds no way to convert them."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from model_store.manifest import check_fully
from model_store.variants import find_published
from tests.behaviour.model_fetcher.conftest import (
    DEMO_FOLDER,
    ROOT,
    Fetcher,
    corrupt,
    inodes,
    ready_made,
    run_with_converter,
)
from tests.hub import Hub, Repository

GPU = {"PERFORMANCE_PROFILE": "gpu_accelerated"}
UNREACHABLE = {"HF_ENDPOINT": "http://127.0.0.1:1"}
WEIGHTS = "model.safetensors"
NAME = "team/demo"
NO_CONVERSION = "the converter knows no text generation for the architecture 'helium'"
THE_COST = "about two fifths of the tokens per second that OpenVINO makes"


def demo_as(model_type: str, architecture: str, name: str = NAME) -> Repository:
    """The demo model under the name of another architecture; Helium has the very layers of Llama."""
    repository = Repository.of_folder(name, DEMO_FOLDER)
    config = json.loads(repository.files["config.json"])
    config |= {"model_type": model_type, "architectures": [architecture]}
    repository.files["config.json"] = json.dumps(config).encode()
    return repository


def helium(name: str = NAME) -> Repository:
    """A model that transformers knows and the converter does not."""
    return demo_as("helium", "HeliumForCausalLM", name)


@pytest.fixture
def on_gpu(fetcher: Fetcher, hub: Hub) -> Fetcher:
    """A volume with the demo model for a GPU, and a hub that has not been asked anything since."""
    hub.add(Repository.of_folder(NAME, DEMO_FOLDER))
    fetcher.settings |= {"MODEL_NAME": NAME, **GPU}
    outcome = fetcher.run(QUANTIZATION="int4")
    assert outcome.exit_code == 0, outcome.output
    hub.requests.clear()
    return fetcher


@pytest.fixture(scope="module")
def unconvertible(tmp_path_factory: pytest.TempPathFactory) -> Fetcher:
    """A volume with a model that only transformers knows, prepared for a CPU, on a machine that reaches no hub since.

    It is shared, because asking the libraries takes seconds: no test changes it.
    """
    folder = tmp_path_factory.mktemp("unconvertible")
    settings = {"MODEL_NAME": NAME, "QUANTIZATION": "int8", **UNREACHABLE}
    fetcher = Fetcher(folder / "store", folder, settings)
    with Hub().serving() as hub:
        hub.add(helium())
        outcome = fetcher.run(HF_ENDPOINT=hub.endpoint)
    assert outcome.exit_code == 0, outcome.output
    (folder / "log").write_text(outcome.output, encoding="utf-8")
    return fetcher


def heavy_modules(fetcher: Fetcher, **settings: str) -> str:
    """Start again, and tell which of the libraries that take seconds were imported."""
    watch = (
        "import sys; from model_fetcher.__main__ import main; code = main([]); "
        "heavy = {'torch', 'transformers', 'huggingface_hub', 'openvino', 'httpx', 'numpy'}; "
        "print('LOADED', sorted(heavy & set(sys.modules))); "
        "sys.exit(code)"
    )
    command = [sys.executable, "-c", watch]
    return subprocess.run(
        command, cwd=ROOT, env=fetcher.environment(**settings), capture_output=True, text=True, check=True
    ).stdout


def published(fetcher: Fetcher) -> list[str]:
    return sorted(path.parent.name for path in fetcher.store.rglob("manifest.json"))


def test_for_a_gpu_the_weights_are_published_as_they_came(on_gpu: Fetcher, hub: Hub) -> None:
    manifest = on_gpu.manifest("safetensors")
    assert (manifest.precision, manifest.unconvertible, manifest.agreement) == ("as-published", None, None)
    content = on_gpu.content("safetensors")
    assert {path.name: path.read_bytes() for path in content.iterdir()} == hub.repositories[NAME].files
    assert published(on_gpu) == ["safetensors"]


def test_for_a_gpu_no_converter_is_started(fetcher: Fetcher, hub: Hub, tmp_path: Path) -> None:
    hub.add(Repository.of_folder(NAME, DEMO_FOLDER))
    outcome = run_with_converter(fetcher, tmp_path, "raise SystemExit('started')", MODEL_NAME=NAME, **GPU)
    assert outcome.exit_code == 0, outcome.output
    assert "plan: nothing is converted; this engine loads the weights as published" in outcome.output


@pytest.mark.parametrize("quantization", ["none", "int8", "int4"])
def test_a_second_start_for_a_gpu_asks_nobody_whatever_the_precision(
    on_gpu: Fetcher, hub: Hub, quantization: str
) -> None:
    said = heavy_modules(on_gpu, QUANTIZATION=quantization)
    assert said.startswith(f"ready: {NAME} as safetensors")
    assert "LOADED []" in said
    assert hub.requests == []


def test_the_demo_model_is_published_for_a_gpu(fetcher: Fetcher, hub: Hub) -> None:
    settings = {"MODEL_NAME": "demo", **GPU}
    assert fetcher.run(**settings).exit_code == 0
    content = fetcher.content("safetensors", "demo")
    assert (content / WEIGHTS).read_bytes() == (DEMO_FOLDER / WEIGHTS).read_bytes()
    assert fetcher.manifest("safetensors", "demo").licence == "apache-2.0"
    assert fetcher.run(**settings).output.startswith("ready: demo as safetensors")
    assert hub.requests == []


def test_originals_of_a_conversion_serve_a_gpu_without_the_network(converted: Fetcher, tmp_path: Path) -> None:
    shutil.copytree(converted.store, tmp_path / "store")
    fetcher = Fetcher(tmp_path / "store", tmp_path, {**converted.settings, **UNREACHABLE})
    assert fetcher.run(**GPU).output.startswith(f"ready: {NAME} as safetensors")
    assert fetcher.run().output.startswith(f"ready: {NAME} as openvino-int8")


def test_what_was_published_for_a_gpu_is_converted_for_a_cpu_without_the_network(on_gpu: Fetcher) -> None:
    outcome = on_gpu.run(PERFORMANCE_PROFILE="cpu_optimized", **UNREACHABLE)
    assert outcome.exit_code == 0, outcome.output
    assert published(on_gpu) == ["openvino-bf16", "safetensors"]
    assert on_gpu.run(**UNREACHABLE).output.startswith(f"ready: {NAME} as safetensors")


def test_a_damaged_file_is_fetched_alone_for_a_gpu_too(on_gpu: Fetcher, hub: Hub) -> None:
    content = on_gpu.content("safetensors")
    before = inodes(content)
    corrupt(content / WEIGHTS, at=5000)
    assert on_gpu.run("verify").exit_code == 18
    outcome = on_gpu.run()
    assert outcome.exit_code == 0, outcome.output
    assert {request.file for request in hub.requests} == {WEIGHTS}
    after = inodes(content)
    assert {name for name in before if before[name] != after[name]} == {WEIGHTS}
    assert check_fully(content, on_gpu.manifest("safetensors").files).whole


def test_originals_are_mended_at_their_own_commit_before_they_are_converted(on_gpu: Fetcher, hub: Hub) -> None:
    repository, first = hub.repositories[NAME], on_gpu.manifest("safetensors")
    repository.older[first.commit] = dict(repository.files)
    repository.files["config.json"] += b"\n"
    corrupt(on_gpu.content("safetensors") / "config.json", at=3)
    outcome = on_gpu.run(PERFORMANCE_PROFILE="cpu_optimized")
    assert outcome.exit_code == 0, outcome.output
    assert [request.path for request in hub.requests] == [f"/{NAME}/resolve/{first.commit}/config.json"]
    assert on_gpu.manifest("openvino-bf16").commit == first.commit


def test_a_model_for_a_gpu_travels_in_a_bundle(on_gpu: Fetcher, tmp_path: Path) -> None:
    bundle = tmp_path / "model.bundle"
    assert on_gpu.run("export", str(bundle)).exit_code == 0
    elsewhere = Fetcher(tmp_path / "elsewhere", tmp_path, {**on_gpu.settings, **UNREACHABLE})
    assert elsewhere.run("import", str(bundle)).exit_code == 0
    assert f"{NAME}  safetensors  7.1 MB" in elsewhere.run("list").output
    assert elsewhere.run().output.startswith(f"ready: {NAME} as safetensors")


def test_a_bundle_for_a_cpu_is_not_made_of_originals_that_await_conversion(on_gpu: Fetcher, tmp_path: Path) -> None:
    outcome = on_gpu.run("export", str(tmp_path / "bundle"), PERFORMANCE_PROFILE="cpu_optimized")
    assert outcome.exit_code == 23
    assert "with QUANTIZATION=none" in outcome.error


@pytest.mark.parametrize(
    ("drop", "add", "exit_code", "sentence"),
    [
        ({WEIGHTS}, {"openvino_model.xml": b"", "openvino_model.bin": b""}, 21, "only as OpenVINO IR"),
        ({WEIGHTS}, {"pytorch_model.bin": b"pickle"}, 21, "whatever ALLOW_PICKLE says"),
        ({"tokenizer.json"}, {}, 21, "no tokenizer.json, without which the gateway cannot read text"),
        ({"config.json"}, {"config.json": b'{"model_type": "resnet"}'}, 19, "so this is no text-generation model"),
    ],
    ids=["only IR", "only pickles", "no tokenizer", "no text"],
)
def test_what_no_engine_for_gpus_could_load_is_refused_before_it_is_fetched(
    fetcher: Fetcher, hub: Hub, drop: set[str], add: dict[str, bytes], exit_code: int, sentence: str
) -> None:
    repository = hub.add(Repository.of_folder(NAME, DEMO_FOLDER))
    repository.files = {name: content for name, content in repository.files.items() if name not in drop} | add
    outcome = fetcher.run(MODEL_NAME=NAME, ALLOW_PICKLE="true", **GPU)
    assert outcome.exit_code == exit_code, outcome.output
    assert sentence in outcome.error
    assert hub.requests_for(WEIGHTS) + hub.requests_for("pytorch_model.bin") == []
    assert published(fetcher) == []


def test_beside_ir_the_weights_are_taken_for_a_gpu_and_no_code(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(ready_made())
    repository.files |= {name: path.read_bytes() for path in DEMO_FOLDER.iterdir() if (name := path.name)}
    assert fetcher.run(**GPU).exit_code == 0
    assert {path.name for path in fetcher.content("safetensors").iterdir()} == {p.name for p in DEMO_FOLDER.iterdir()}


def test_originals_without_a_tokenizer_do_not_become_ready_for_a_gpu(fetcher: Fetcher, hub: Hub) -> None:
    """A CPU profile publishes them on its way to a conversion that makes the tokenizer."""
    repository = hub.add(demo_as("unheard-of", "UnheardOfForCausalLM"))
    del repository.files["tokenizer.json"]
    assert fetcher.run(MODEL_NAME=NAME).exit_code == 19
    assert published(fetcher) == ["safetensors"]
    assert fetcher.run(MODEL_NAME=NAME, **GPU).exit_code == 21


def test_an_architecture_that_only_transformers_knows_is_published_as_it_is(unconvertible: Fetcher) -> None:
    log = (unconvertible.home / "log").read_text(encoding="utf-8")
    assert f"convert: {NO_CONVERSION}; {NAME} is published as it is and served by the transformers engine" in log
    assert THE_COST in log
    assert "it compresses to int8 on loading" in log
    assert unconvertible.manifest("safetensors").unconvertible == NO_CONVERSION
    assert (unconvertible.content("safetensors") / WEIGHTS).read_bytes() == helium().files[WEIGHTS]
    assert [path.name for path in (unconvertible.layout.models / "team--demo").iterdir()] == ["safetensors"]
    found = find_published(unconvertible.layout, NAME, "int8", ("openvino", "safetensors"))
    assert found is not None


@pytest.mark.parametrize("settings", [{}, {"QUANTIZATION": "none", "KEEP_SOURCE": "false"}, GPU])
def test_a_later_start_of_it_is_quick_and_asks_nobody(unconvertible: Fetcher, settings: dict[str, str]) -> None:
    said = heavy_modules(unconvertible, **settings)
    assert said.startswith(f"ready: {NAME} as safetensors")
    assert (f"ready: it is served by the transformers engine, because {NO_CONVERSION}" in said) is (settings != GPU)
    assert "LOADED []" in said


def test_it_can_be_served_on_another_machine(unconvertible: Fetcher, tmp_path: Path) -> None:
    bundle = tmp_path / "model.bundle"
    assert unconvertible.run("export", str(bundle)).exit_code == 0
    elsewhere = Fetcher(tmp_path / "elsewhere", tmp_path, unconvertible.settings)
    assert elsewhere.run("import", str(bundle)).exit_code == 0
    assert elsewhere.run().output.startswith(f"ready: {NAME} as safetensors")


def test_what_was_published_for_a_gpu_and_cannot_be_converted_serves_a_cpu(fetcher: Fetcher, hub: Hub) -> None:
    hub.add(helium())
    assert fetcher.run(MODEL_NAME=NAME, **GPU).exit_code == 0
    assert fetcher.manifest("safetensors", NAME).unconvertible is None
    outcome = fetcher.run(MODEL_NAME=NAME, **UNREACHABLE)
    assert outcome.exit_code == 0, outcome.output
    assert NO_CONVERSION in outcome.output
    assert fetcher.manifest("safetensors", NAME).unconvertible == NO_CONVERSION


def test_a_folder_that_cannot_be_converted_is_copied_and_renewed_when_it_changes(
    fetcher: Fetcher, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, content in helium().files.items():
        (folder / name).write_bytes(content)
    fetcher.settings = {"MODEL_NAME": str(folder)}
    assert fetcher.run().exit_code == 0
    first = fetcher.manifest("safetensors")
    assert first.unconvertible == NO_CONVERSION
    assert fetcher.run().output.startswith("ready: ")
    corrupt(fetcher.content("safetensors") / WEIGHTS, at=5000)
    assert f"repair: {WEIGHTS} is whole again" in fetcher.run().output
    (folder / "generation_config.json").write_text("{}", encoding="utf-8")
    outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    second = fetcher.manifest("safetensors")
    assert (second.commit != first.commit, second.unconvertible) == (True, NO_CONVERSION)
    assert (fetcher.content("safetensors") / "generation_config.json").read_text(encoding="utf-8") == "{}"


def test_before_a_large_download_it_is_known_that_nothing_will_be_converted(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(helium())
    repository.sizes[WEIGHTS] = 10**15
    outcome = fetcher.run(MODEL_NAME=NAME)
    assert outcome.exit_code == 15
    assert NO_CONVERSION in outcome.output
    assert "needs 1000.0 TB more on" in outcome.error
    assert hub.requests_for(WEIGHTS) == []


FAILING_CONVERTER = """
from model_fetcher.converters import openvino

def refuse(request):
    raise ValueError("this exporter needs an older version of transformers")

openvino._export = refuse
openvino.main()
"""
"""The real converter, with an exporter that lists an architecture and fails on it."""


def test_an_exporter_that_fails_on_what_it_lists_is_no_conversion_either(fetcher: Fetcher, tmp_path: Path) -> None:
    outcome = run_with_converter(fetcher, tmp_path, FAILING_CONVERTER, MODEL_NAME="demo")
    assert outcome.exit_code == 0, outcome.output
    reason = fetcher.manifest("safetensors", "demo").unconvertible
    expected = "ValueError: this exporter needs an older version of transformers"
    assert reason == f"the converter fails on the architecture 'llama' ({expected})"
    assert THE_COST in outcome.output
    assert published(fetcher) == ["safetensors"]


def test_what_transformers_serves_is_a_generator_that_it_contains_and_can_batch(fetcher: Fetcher) -> None:
    """Asked in another process, because the libraries take seconds to import and warn of their own affairs."""
    architectures = {
        "helium": "HeliumForCausalLM",
        "gpt2": "GPT2LMHeadModel",
        "bert": "BertModel",
        "olmo3": "Olmo3ForSequenceClassification",
        "recurrent_gemma": "RecurrentGemmaForCausalLM",
        "mamba2": "Mamba2ForCausalLM",
        "whisper": "WhisperForConditionalGeneration",
    }
    probe = (
        f"from transformers import AutoConfig; from model_fetcher.converters.architectures import *; "
        f"print([name for name, written in {architectures}.items() "
        "if is_served_by_transformers(AutoConfig.for_model(name, architectures=[written]))])"
    )
    command = [sys.executable, "-W", "ignore", "-c", probe]
    said = subprocess.run(command, env=fetcher.environment(), cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "['helium', 'gpt2']"


def test_pickles_that_cannot_be_converted_are_not_served(fetcher: Fetcher, hub: Hub) -> None:
    repository = hub.add(helium())
    repository.files["pytorch_model.bin"] = repository.files.pop(WEIGHTS)
    outcome = fetcher.run(MODEL_NAME=NAME, ALLOW_PICKLE="true")
    assert outcome.exit_code == 19, outcome.output
    assert NO_CONVERSION in outcome.error
    assert published(fetcher) == ["pickle"]
