"""Conversion of the demo model, a real trained one: variants, agreement with the source, repair, refusals."""

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from model_store.manifest import check_fully
from tests.behaviour.model_fetcher.conftest import DEMO_FOLDER, ROOT, Fetcher, corrupt, inodes, run_with_converter
from tests.hub import Hub, Repository

IR = "openvino_model.bin"
PATIENCE_MS = 60_000
SMALLEST_MATRIX_BYTES = 10_000
"""Above scales, norms and tables of positions, below the smallest of the demo model's matrices even at four bits."""
NEEDED_BY_THE_GATEWAY = {
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "openvino_detokenizer.xml",
    "openvino_model.bin",
    "openvino_model.xml",
    "openvino_tokenizer.xml",
    "tokenizer.json",
    "tokenizer_config.json",
}


@pytest.fixture
def copy(converted: Fetcher, tmp_path: Path) -> Fetcher:
    """The converted volume, for a test to damage, on a machine that reaches no hub."""
    shutil.copytree(converted.store, tmp_path / "store")
    settings = {**converted.settings, "HF_ENDPOINT": "http://127.0.0.1:1"}
    return Fetcher(tmp_path / "store", tmp_path, settings)


def weight_types(folder: Path) -> set[str]:
    """Element types of the constants in the IR that hold weights."""
    xml = (folder / "openvino_model.xml").read_text(encoding="utf-8")
    constants = re.findall(r'<data element_type="(\w+)" shape="[\d, ]+" offset="\d+" size="(\d+)"', xml)
    return {kind for kind, size_bytes in constants if int(size_bytes) >= SMALLEST_MATRIX_BYTES}


def test_a_hub_model_is_published_as_it_came_and_converted(converted: Fetcher) -> None:
    original, variant = converted.manifest("safetensors"), converted.manifest("openvino-int8")
    assert {file.path for file in variant.files} >= NEEDED_BY_THE_GATEWAY
    assert (variant.precision, variant.commit, variant.licence) == ("int8", original.commit, "apache-2.0")
    assert variant.shape == original.shape
    assert variant.agreement is not None
    assert variant.agreement.num_prompts == 6
    assert variant.agreement.same_next_token > 0.9
    assert set(variant.made_by) >= {"optimum-intel", "openvino", "nncf", "torch", "transformers"}
    assert "u8" in weight_types(converted.content("openvino-int8"))


def test_the_log_tells_the_licence_and_the_agreement_and_nothing_of_the_libraries(converted: Fetcher) -> None:
    log = (converted.home / "log").read_text(encoding="utf-8")
    assert "licence apache-2.0" in log
    assert re.search(r"same next token as the source at \d+\.\d % of \d+ positions", log)
    steps = ("plan: ", "fetch ", "verify ", "convert: ", "publish: ")
    assert [line for line in log.splitlines() if not line.startswith(steps)] == []


def test_a_damaged_converted_file_is_repaired_alone_and_without_the_network(copy: Fetcher) -> None:
    content = copy.content("openvino-int8")
    before, manifest = inodes(content), copy.manifest("openvino-int8")
    corrupt(content / IR)
    outcome = copy.run()
    assert outcome.exit_code == 0, outcome.output
    assert f"repair: {IR} is whole again; nothing else was touched" in outcome.output
    after = inodes(content)
    assert {name for name in before if before[name] != after[name]} == {IR}
    assert copy.manifest("openvino-int8").content == manifest.content
    assert check_fully(content, manifest.files).whole


def test_another_precision_needs_no_second_download(copy: Fetcher) -> None:
    outcome = copy.run(QUANTIZATION="none", KEEP_SOURCE="false")
    assert outcome.exit_code == 0, outcome.output
    assert weight_types(copy.content("openvino-bf16")) == {"bf16"}
    agreement = copy.manifest("openvino-bf16").agreement
    assert agreement is not None
    assert agreement.same_next_token > 0.95
    assert not copy.layout.variant("team/demo", "safetensors").exists()
    assert "were removed, as KEEP_SOURCE=false asks" in outcome.output


def test_originals_that_were_kept_are_removed_once_nobody_wants_them_kept(copy: Fetcher) -> None:
    outcome = copy.run(KEEP_SOURCE="false")
    assert outcome.exit_code == 0, outcome.output
    assert outcome.output.startswith("ready: team/demo as openvino-int8")
    assert "were removed, as KEEP_SOURCE=false asks" in outcome.output
    assert [path.name for path in (copy.layout.models / "team--demo").iterdir()] == ["openvino-int8"]
    assert copy.run(KEEP_SOURCE="false").output.count("\n") == 1


def test_originals_that_are_what_an_engine_loads_are_kept_whatever_keep_source_says(copy: Fetcher) -> None:
    outcome = copy.run(KEEP_SOURCE="false", PERFORMANCE_PROFILE="gpu_accelerated")
    assert outcome.output.startswith("ready: team/demo as safetensors")
    assert copy.layout.manifest("team/demo", "safetensors").is_file()


def test_a_repair_fetches_originals_that_were_not_kept(converted: Fetcher, tmp_path: Path, hub: Hub) -> None:
    shutil.copytree(converted.store, tmp_path / "store")
    repository = hub.add(Repository.of_folder("team/demo", DEMO_FOLDER))
    copy = Fetcher(tmp_path / "store", tmp_path, {**converted.settings, "HF_ENDPOINT": hub.endpoint})
    shutil.rmtree(copy.layout.variant("team/demo", "safetensors"))
    corrupt(copy.content("openvino-int8") / "tokenizer.json")
    outcome = copy.run(KEEP_SOURCE="false")
    assert outcome.exit_code == 0, outcome.output
    assert "repair: tokenizer.json is whole again" in outcome.output
    assert hub.requests[0].path.startswith(f"/api/models/team/demo/revision/{repository.commit}")
    assert not copy.layout.variant("team/demo", "safetensors").exists()


def test_the_demo_model_is_converted_where_it_lies(fetcher: Fetcher, hub: Hub) -> None:
    outcome = fetcher.run(MODEL_NAME="demo", QUANTIZATION="int4")
    assert outcome.exit_code == 0, outcome.output
    assert weight_types(fetcher.content("openvino-int4", "demo")) >= {"i4"}
    assert [path.name for path in (fetcher.layout.models / "demo").iterdir()] == ["openvino-int4"]
    assert hub.requests == []
    assert fetcher.run(MODEL_NAME="demo", QUANTIZATION="int4").output.startswith("ready: demo as openvino-int4")


def test_an_architecture_that_nothing_knows_says_what_can_be_done(fetcher: Fetcher, tmp_path: Path) -> None:
    folder = tmp_path / "strange"
    shutil.copytree(DEMO_FOLDER, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config |= {"model_type": "bert", "architectures": ["BertModel"]}
    (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")
    outcome = fetcher.run(MODEL_NAME=str(folder))
    assert outcome.exit_code == 19
    assert "no text generation for the architecture 'bert'" in outcome.error
    assert "choose a model of a supported family" in outcome.error
    assert not list(fetcher.store.rglob("manifest.json"))


DAMAGING_CONVERTER = """
import numpy as np
from pathlib import Path
from model_fetcher.converters import openvino

export = openvino._export

def export_and_damage(request):
    export(request)
    path = Path(request.output, "openvino_model.bin")
    weights = np.fromfile(path, dtype=np.uint8)
    start, length = len(weights) // 2, len(weights) // 10
    weights[start : start + length] = np.roll(weights[start : start + length], 64)
    weights.tofile(path)

openvino._export = export_and_damage
openvino.main()
"""
"""The real converter, except that a tenth of the weights end up 64 bytes from where they belong: it still loads."""

SUICIDAL_CONVERTER = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
"""What the kernel does to a converter when memory runs out."""

CRASHING_CONVERTER = "import os; os.write(2, b'glibc: something terrible'); os.abort()"


def test_a_conversion_that_disagrees_with_its_source_is_not_published(fetcher: Fetcher, tmp_path: Path) -> None:
    outcome = run_with_converter(fetcher, tmp_path, DAMAGING_CONVERTER, MODEL_NAME="demo")
    assert outcome.exit_code == 20
    assert "the converted model is not published: its logits are" in outcome.error
    assert [path for path in fetcher.layout.models.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("code", "exit_code", "sentence"),
    [
        (SUICIDAL_CONVERTER, 17, "the converter was killed, which the kernel does when memory runs out"),
        (CRASHING_CONVERTER, 19, "the converter ended with status -6 (glibc: something terrible)"),
    ],
    ids=["killed", "crashed"],
)
def test_a_converter_that_dies_is_a_sentence(
    fetcher: Fetcher, tmp_path: Path, code: str, exit_code: int, sentence: str
) -> None:
    outcome = run_with_converter(fetcher, tmp_path, code, MODEL_NAME="demo")
    assert outcome.exit_code == exit_code
    assert sentence in outcome.error
    assert [path for path in fetcher.layout.models.rglob("*") if path.is_file()] == []


def wait_for_conversion(process: subprocess.Popen[str]) -> int:
    """Read the log until the conversion shows signs of life; returns the converter's process id."""
    assert process.stdout is not None
    assert any(line.startswith("convert: ") for line in process.stdout)
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="utf-8").split()[0])


def has_ended(descriptor: int) -> bool:
    """Wait until the process behind a descriptor is gone."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(PATIENCE_MS))


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGKILL])
def test_a_fetcher_that_is_stopped_leaves_no_converter_behind(fetcher: Fetcher, signal_number: signal.Signals) -> None:
    with fetcher.start(MODEL_NAME="demo") as process:
        converter = os.pidfd_open(wait_for_conversion(process))
        process.send_signal(signal_number)
        process.communicate(timeout=PATIENCE_MS / 1000)
    assert has_ended(converter)
    os.close(converter)
    assert process.returncode == {signal.SIGTERM: 130, signal.SIGKILL: -9}[signal_number]
    assert not list(fetcher.store.rglob("manifest.json"))
    if signal_number is signal.SIGTERM:
        assert [path for path in fetcher.layout.models.rglob("*") if path.is_file()] == []


def test_the_libraries_cannot_report_to_their_makers(fetcher: Fetcher) -> None:
    probe = (
        "from model_fetcher.converters import openvino as converter; converter.without_telemetry(); "
        "from openvino.tools.ovc import telemetry_utils; from nncf.telemetry import wrapper; "
        "print(telemetry_utils.tm.__name__, type(wrapper.telemetry).__name__)"
    )
    command = [sys.executable, "-c", probe]
    said = subprocess.run(command, env=fetcher.environment(), cwd=ROOT, capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["openvino.tools.ovc.telemetry_stub", "MagicMock"]
