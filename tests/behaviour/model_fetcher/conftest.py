"""What the fetcher's behaviour tests share: the real process in a clean environment, a hub, and a converted volume."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from model_store.layout import StoreLayout
from model_store.manifest import Manifest, read_manifest
from tests.hub import Hub, Repository

ROOT = Path(__file__).parents[3]
DEMO_FOLDER = ROOT / "demo_model" / "weights"
TIMEOUT_S = 240
LARGE_BYTES = 8 << 20


@dataclass
class Fetcher:
    """Runs `python -m model_fetcher` against one volume, with only the settings that a test names."""

    store: Path
    home: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def layout(self) -> StoreLayout:
        return StoreLayout(self.store)

    def environment(self, **settings: str) -> dict[str, str]:
        kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
        own = {"HOME": str(self.home), "HF_HOME": str(self.home / "hf"), "MODEL_STORE": str(self.store)}
        return {**kept, **own, "PYTHONPATH": str(ROOT), **self.settings, **settings}

    def start(self, *arguments: str, **settings: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "model_fetcher", *arguments],
            cwd=ROOT,
            env=self.environment(**settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *arguments: str, **settings: str) -> "Outcome":
        with self.start(*arguments, **settings) as process:
            output, _ = process.communicate(timeout=TIMEOUT_S)
        return Outcome(process.returncode, output)

    def manifest(self, variant: str, model: str | None = None) -> Manifest:
        manifest = read_manifest(self.layout.manifest(model or self.settings["MODEL_NAME"], variant))
        assert manifest is not None, f"{variant} is not published"
        return manifest

    def content(self, variant: str, model: str | None = None) -> Path:
        name = model or self.settings["MODEL_NAME"]
        return self.layout.variant(name, variant) / self.manifest(variant, name).content


@dataclass(frozen=True)
class Outcome:
    """What a run ended with."""

    exit_code: int
    output: str

    @property
    def error(self) -> str:
        """The one line that says what went wrong."""
        lines = [line for line in self.output.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.output
        assert "Traceback" not in self.output
        return lines[0]


COPYING_CONVERTER = """
import shutil, sys
import msgspec
from model_fetcher.converters.messages import Failure, FailureKind, Request, Result
from model_store.manifest import read_manifest
from pathlib import Path

request = msgspec.json.decode(sys.stdin.buffer.readline(), type=Request)
path = Path({manifest!r})
manifest = read_manifest(path)
outcome = Result(agreement=manifest.agreement, num_parameters=manifest.shape.num_parameters)
try:
    for file in manifest.files:
        shutil.copyfile(path.parent / manifest.content / file.path, Path(request.output, file.path))
except OSError as error:
    outcome = Failure(kind=FailureKind.DISK, message=f"the disk filled up during the conversion ({{error}})")
sys.stdout.buffer.write(msgspec.json.encode(outcome) + b"\\n")
"""
"""Makes what the real converter made before, in no time; `manifest` is the path of that."""


def start_with_converter(fetcher: Fetcher, folder: Path, code: str, **settings: str) -> subprocess.Popen[str]:
    """Start the fetcher with another program in the place of its converter."""
    (folder / "another_converter.py").write_text(code, encoding="utf-8")
    front = (
        "import sys; from model_fetcher import convert; convert.CONVERTER_MODULE = 'another_converter'; "
        "from model_fetcher.__main__ import main; sys.exit(main([]))"
    )
    environment = fetcher.environment(**settings)
    environment["PYTHONPATH"] += f":{folder}"
    return subprocess.Popen(
        [sys.executable, "-c", front],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_with_converter(fetcher: Fetcher, folder: Path, code: str, **settings: str) -> Outcome:
    """Run the fetcher with another program in the place of its converter."""
    with start_with_converter(fetcher, folder, code, **settings) as process:
        output, _ = process.communicate(timeout=TIMEOUT_S)
    return Outcome(process.returncode, output)


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub().serving() as hub:
        yield hub


@pytest.fixture
def fetcher(tmp_path: Path, hub: Hub) -> Fetcher:
    """A fetcher with an empty volume, pointed at the test hub."""
    settings = {"HF_ENDPOINT": hub.endpoint, "MODEL_NAME": "team/ready", "STALL_TIMEOUT_S": "1"}
    return Fetcher(tmp_path / "store", tmp_path, settings)


def ready_made(name: str = "team/ready", **options: object) -> Repository:
    """A repository that already holds OpenVINO IR, so nothing is converted: what the tests of fetching need.

    Its weights are noise, and no test loads them.
    """
    noise = b"".join(number.to_bytes(4, "little") for number in range(LARGE_BYTES // 4))
    config = (
        b'{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "max_position_embeddings": 512, '
        b'"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "vocab_size": 300}'
    )
    files = {
        "config.json": config,
        "tokenizer.json": b'{"version": "1.0"}',
        "openvino_model.xml": b"<net/>",
        "openvino_model.bin": noise,
        "README.md": b"# Not needed",
        "convert.py": b"raise SystemExit('code from a repository ran')",
    }
    return Repository(name=name, files=files, **options)  # type: ignore[arg-type]


def corrupt(path: Path, at: int = 100) -> None:
    """Flip one byte, as a failing disk would; size stays, and so does the rest."""
    content = bytearray(path.read_bytes())
    content[at] ^= 0xFF
    path.write_bytes(content)


def inodes(folder: Path) -> Mapping[str, int]:
    """Which file is which, so that a test can tell a replaced file from one that was left alone."""
    return {path.name: path.stat().st_ino for path in folder.iterdir()}


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Fetcher:
    """A volume with the demo model, fetched from a hub and converted to INT8; shared, because converting takes seconds.

    Tests that change it must work on a copy.
    """
    folder = tmp_path_factory.mktemp("converted")
    with Hub().serving() as hub:
        hub.add(Repository.of_folder("team/demo", DEMO_FOLDER))
        settings = {"HF_ENDPOINT": hub.endpoint, "MODEL_NAME": "team/demo", "QUANTIZATION": "int8"}
        fetcher = Fetcher(folder / "store", folder, settings)
        outcome = fetcher.run()
    assert outcome.exit_code == 0, outcome.output
    (folder / "log").write_text(outcome.output, encoding="utf-8")
    return fetcher
