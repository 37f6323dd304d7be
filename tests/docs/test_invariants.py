"""The invariants of docs/architecture.md that a program can check: imports, who reads the environment or the clock."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GATEWAY = ROOT / "llm_gateway"
INFERENCE_LIBRARIES = {"openvino", "openvino_genai", "torch", "transformers", "vllm", "optimum", "nncf", "bitsandbytes"}
ROOMS_BELOW = {
    "engines": {"api", "prompt", "admission", "models", "stream", "telemetry"},
    "stream": {"api", "admission", "models", "workers", "engines"},
    "prompt": {"api", "admission", "models", "workers", "engines"},
    "grammar": {"api", "admission", "models", "workers", "engines", "stream", "prompt", "telemetry", "tool_calls"},
    "tool_calls": {"api", "admission", "models", "workers", "engines", "stream", "prompt", "telemetry"},
    "access": {"api", "admission", "prompt", "models", "workers", "engines", "stream", "telemetry"},
    "admission": {"api", "prompt", "models", "workers", "engines", "stream"},
    "telemetry": {"api", "admission", "models", "workers", "engines", "stream", "prompt"},
    "workers": {"api", "models", "prompt", "stream"},
    "models": {"api"},
}
"""Room: the rooms that it must not know."""
WALL_CLOCK = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
READERS_OF_THE_WALL_CLOCK = {
    "llm_gateway/api/ollama/answers.py": "created_at, which Ollama's clients parse",
    "llm_gateway/api/ollama/chunks.py": "the same in streams",
    "llm_gateway/api/openai/envelope.py": "created, which OpenAI's clients parse",
    "llm_gateway/weights.py": "the age of the fetcher's note; wrong, it is another sentence in /health",
    "llm_gateway/prompt/chat_template.py": "the date that a chat template asks for",
    "model_fetcher/progress.py": "the time in the note",
    "model_fetcher/publish.py": "published_at, for people",
    "model_fetcher/sources/hub_errors.py": "a Retry-After that is a date, from a hub that does not say its own",
}
"""Everything that waits, expires or is measured goes by monotonic time: clocks on walls are set back."""


def _modules(package: Path) -> Iterator[Path]:
    return (path for path in package.rglob("*.py") if "__pycache__" not in path.parts)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def _importers(package: Path, names: set[str]) -> set[str]:
    return {
        path.relative_to(ROOT).as_posix()
        for path in _modules(package)
        for imported in _imports(path)
        if imported.split(".")[0] in names
    }


def test_only_engines_import_an_inference_library() -> None:
    importers = _importers(GATEWAY, INFERENCE_LIBRARIES)
    assert importers
    assert all(path.startswith("llm_gateway/engines/") for path in importers), importers


def test_an_engine_is_imported_only_inside_a_worker() -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in _modules(GATEWAY)
        if path.parent.name != "engines"
        for imported in _imports(path)
        if imported.startswith("llm_gateway.engines")
    }
    assert importers == {"llm_gateway/workers/main.py"}


@pytest.mark.parametrize("room", sorted(ROOMS_BELOW))
def test_imports_point_one_way(room: str) -> None:
    for path in _modules(GATEWAY / room):
        known = {imported.split(".")[1] for imported in _imports(path) if imported.startswith("llm_gateway.")}
        assert not known & ROOMS_BELOW[room], f"{path.relative_to(ROOT)} knows {known & ROOMS_BELOW[room]}"


def test_only_api_knows_the_web_framework() -> None:
    importers = _importers(GATEWAY, {"fastapi", "starlette", "pydantic"})
    outside = {path for path in importers if not path.startswith("llm_gateway/api/")}
    assert outside == {"llm_gateway/app.py", "llm_gateway/settings.py"}


@pytest.mark.parametrize("service", ["llm_gateway", "model_fetcher"])
def test_only_settings_read_the_environment(service: str) -> None:
    readers = {
        path.relative_to(ROOT).as_posix()
        for path in _modules(ROOT / service)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    }
    assert readers <= {f"{service}/settings.py"}


def test_the_services_share_nothing_but_the_volume_the_machine_and_the_profiles() -> None:
    assert not _importers(GATEWAY, {"model_fetcher"})
    assert not _importers(ROOT / "model_fetcher", {"llm_gateway"})
    for shared in ("model_store", "machine", "profiles"):
        assert not _importers(ROOT / shared, {"model_fetcher", "llm_gateway"})


def test_only_the_wiring_imports_every_dialect() -> None:
    importers = {
        path.relative_to(ROOT).as_posix()
        for path in _modules(GATEWAY)
        if "api" not in path.relative_to(GATEWAY).parts
        for imported in _imports(path)
        if imported.startswith("llm_gateway.api")
    }
    assert importers == {"llm_gateway/app.py"}


def _calls_of_the_wall_clock(path: Path) -> set[str]:
    chains = {
        ".".join(ast.unparse(node.func).split(".")[-2:])
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
    }
    return chains & WALL_CLOCK


def test_who_reads_the_clock_on_the_wall_has_a_reason_and_none_is_a_wait() -> None:
    rooms = ("llm_gateway", "model_fetcher", "model_store", "machine", "front_door", "healthcheck", "profiles")
    readers = {
        path.relative_to(ROOT).as_posix()
        for room in rooms
        for path in _modules(ROOT / room)
        if _calls_of_the_wall_clock(path)
    }
    assert readers == set(READERS_OF_THE_WALL_CLOCK)


def test_nobody_imports_a_clock_by_another_name() -> None:
    renamed = {"time.time", "time.time_ns"}
    for room in ("llm_gateway", "model_fetcher", "model_store", "machine", "front_door", "healthcheck", "profiles"):
        for path in _modules(ROOT / room):
            assert not set(_imports(path)) & renamed, (
                f"{path} imports a clock itself, where the test above cannot see it"
            )
