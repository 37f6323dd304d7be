"""Everyone who takes part, started as their own documentation recommends for a machine like this one.

What each is given and why is said in its notes, which the report repeats. A peer that is not installed is left out, and
the report says so.
"""

import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.servers import peers
from benchmarks.servers.contender import PORT, REPOSITORY, Server, as_typed
from benchmarks.servers.preparing import Forms
from benchmarks.servers.records import Contender, PrecisionClass

_PROFILES: tuple[tuple[str, str, PrecisionClass, str], ...] = (
    ("cpu_optimized", "bf16", "16 bits", "openvino-bf16"),
    ("vm_optimized", "int8", "8 bits", "openvino-int8"),
)
"""Profile, precision, class and what the fetcher calls the weights."""


def preheat(forms: Forms) -> Iterator[Server]:
    """Preheat in the two profiles for processors, every setting as the profile has it."""
    for profile, precision, precision_class, variant in _PROFILES:
        forms.prepare_volume(profile)
        program = (sys.executable, "-m", "llm_gateway")
        settings = {"PERFORMANCE_PROFILE": profile, "GATEWAY_PORT": PORT}
        environment = settings | {"MODEL_STORE": str(forms.volume), "MODEL_NAME": str(forms.published)}
        yield Server(
            described=Contender(
                key=f"preheat-{precision}",
                name="Preheat",
                precision=precision,
                precision_class=precision_class,
                version=f"{_own_version()}, OpenVINO GenAI {version('openvino-genai').split('-')[0]}",
                command=as_typed(("python", "-m", "llm_gateway"), settings),
                notes=f"The profile `{profile}` as it is committed, without a container, as the others.",
                weight_bytes=forms.volume_bytes(variant),
            ),
            program=program,
            environment=environment,
            model=str(forms.published),
        )


def everyone(forms: Forms) -> tuple[list[Server], list[str]]:
    """All servers that can be started here, and for each that cannot, its key."""
    servers, missing = list(preheat(forms)), []
    for key, installed, make in (
        ("llama-server", peers.LLAMA_SERVER, peers.llama_server),
        ("vllm", peers.VLLM, peers.vllm),
        ("transformers-serve", peers.TRANSFORMERS, peers.transformers_serve),
        ("naive", peers.TRANSFORMERS, peers.naive),
    ):
        if installed.exists():
            servers += make(forms)
        else:
            missing.append(f"{key} is not installed: {_shown(installed)} is missing, see benchmarks/README.md")
    return servers, missing


def _own_version() -> str:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def _shown(path: Path) -> str:
    return str(path.relative_to(REPOSITORY))
