"""The peers, as their own documentation recommends to start them on a processor."""

import os
from collections.abc import Iterator, Mapping

from benchmarks.servers.contender import PORT, REPOSITORY, Server, as_typed
from benchmarks.servers.package_version import package_version
from benchmarks.servers.preparing import LLAMA_SOURCE, Forms
from benchmarks.servers.records import Contender, PrecisionClass
from machine.cpu import usable_cpus

LLAMA_SERVER = LLAMA_SOURCE / "build/bin/llama-server"
VLLM = REPOSITORY / ".venv-vllm/bin/python"
TRANSFORMERS = REPOSITORY / ".venv-transformers/bin/python"

_MOST_STREAMS = 32
_GGUF: tuple[tuple[str, str, PrecisionClass], ...] = (("bf16", "bf16", "16 bits"), ("q8_0", "Q8_0", "8 bits"))
"""What the converter calls it, the precision and its class."""
_SLOT_TOKENS = 2_304
"""Room for the longest prompt and its answer in each of llama-server's slots."""
_CONTEXT_TOKENS = 4_096
_CACHE_GIB = 8
_CACHE_BLOCKS = 96
"""Of 256 tokens: room for 32 answers and the arriving prompts."""
_WHOLE_ANSWERS = "it sends whole answers, so there is no time between tokens"
_ONE_AT_A_TIME = "one request at a time: its speed does not rise with the streams, and the cell takes minutes"
_MINUTES = "the cell takes minutes, and its speed hardly rises from 8 streams to 16"
_FAR_BEHIND = "far behind in every cell and slow to measure, so it takes part in the first round alone"


def llama_server(forms: Forms) -> Iterator[Server]:
    """llama.cpp's server at 16 and at 8 bits."""
    for outtype, precision, precision_class in _GGUF:
        forms.prepare_gguf(outtype)
        model = forms.gguf(outtype)
        slots = ("-np", str(_MOST_STREAMS), "-c", str(_MOST_STREAMS * _SLOT_TOKENS), "--no-kv-unified")
        program = (str(LLAMA_SERVER), "-m", str(model), "-t", _threads(), *slots, "--port", PORT)
        yield Server(
            described=Contender(
                key=f"llama-server-{outtype}",
                name="llama-server",
                precision=precision,
                precision_class=precision_class,
                version=_llama_version(),
                command=as_typed(program, {}),
                notes="Built with `-march=native`, which is its default. A slot for each stream, since more streams"
                " than slots wait; a KV cache of its own for each slot, which was faster here than the unified one (16"
                " streams: 59 and 48 tokens/s) and is why its memory is large.",
                weight_bytes=model.stat().st_size,
            ),
            program=program,
        )


def vllm(forms: Forms) -> Iterator[Server]:
    """vLLM's build for processors."""
    environment = {
        "OMP_NUM_THREADS": _threads(),
        "OMP_WAIT_POLICY": "PASSIVE",
        "VLLM_CPU_OMP_THREADS_BIND": _cores(),
        "VLLM_CPU_KVCACHE_SPACE": str(_CACHE_GIB),
        "VLLM_NO_USAGE_STATS": "1",
    }
    arguments = ("--dtype", "bfloat16", "--max-model-len", str(_CONTEXT_TOKENS), "--served-model-name", "model")
    program = (str(VLLM), "-m", "vllm.entrypoints.openai.api_server", "--model", str(forms.published), *arguments)
    yield _published(
        forms,
        key="vllm",
        name="vLLM",
        number=package_version(VLLM, "vllm-cpu"),
        program=(*program, "--port", PORT),
        environment=environment,
        notes="The server behind `vllm serve`, whose command line does not start in the package `vllm-cpu`: it looks"
        " for a package named `vllm`. All cores for computing: left to itself it keeps one of two for the rest, and"
        " made 47 tokens/s with eight streams where this made 71. Waiting threads sleep, or they take the cores from"
        " those that compute. Its compiled kernels were in its cache from an earlier start.",
    )


def transformers_serve(forms: Forms) -> Iterator[Server]:
    """The server of the transformers library."""
    serve = (str(TRANSFORMERS), "-m", "transformers.cli.transformers", "serve", str(forms.published))
    batching = ("--continuous-batching", "--cb-num-blocks", str(_CACHE_BLOCKS))
    program = (*serve, *batching, "--device", "cpu", "--dtype", "bfloat16", "--host", "127.0.0.1", "--port", PORT)
    yield _published(
        forms,
        key="transformers-serve",
        name="transformers serve",
        number=package_version(TRANSFORMERS, "transformers"),
        program=program,
        environment={"OMP_NUM_THREADS": _threads(), "OMP_WAIT_POLICY": "PASSIVE"},
        model=str(forms.published),
        extra={},  # it knows no ignore_eos, and is greedy unless told otherwise
        left_out={"tokens_32": _MINUTES},
        only_first_round=_FAR_BEHIND,
        notes="Continuous batching, as it recommends for several users; as many blocks of KV cache as the streams need,"
        " because without a number it takes nearly all memory.",
    )


def naive(forms: Forms) -> Iterator[Server]:
    """FastAPI around `pipeline`."""
    script = REPOSITORY / "benchmarks/servers/naive_server.py"
    yield _published(
        forms,
        key="naive",
        name="FastAPI and pipeline",
        number=f"transformers {package_version(TRANSFORMERS, 'transformers')}",
        program=(str(TRANSFORMERS), str(script), str(forms.published), PORT),
        environment={"OMP_NUM_THREADS": _threads()},
        left_out={
            **dict.fromkeys(("tokens_16", "tokens_32"), _ONE_AT_A_TIME),
            **dict.fromkeys(("itl_p50", "itl_p99", "arriving_ttft"), _WHOLE_ANSWERS),
        },
        only_first_round=_FAR_BEHIND,
        notes="As tutorials have it: one request at a time and whole answers, so its first token comes with its last"
        " one; answers of the TTFT cells have 8 tokens. bfloat16, where many tutorials leave it at 32 bits.",
    )


def _published(
    forms: Forms,
    *,
    key: str,
    name: str,
    number: str,
    program: tuple[str, ...],
    environment: Mapping[str, str],
    notes: str,
    model: str = "model",
    extra: Mapping[str, object] | None = None,
    left_out: Mapping[str, str] | None = None,
    only_first_round: str = "",
) -> Server:
    """A server that reads the weights as they were published."""
    described = Contender(
        key=key,
        name=name,
        precision="bf16",
        precision_class="16 bits",
        version=number,
        command=as_typed(program, environment),
        notes=notes,
        weight_bytes=forms.published_bytes(),
    )
    asked = {"temperature": 0, "ignore_eos": True} if extra is None else extra
    return Server(described, program, environment, model, asked, left_out or {}, only_first_round)


def _threads() -> str:
    return str(usable_cpus().threads)


def _cores() -> str:
    """The cores that this process may use, as vLLM writes them."""
    return ",".join(str(core) for core in sorted(os.sched_getaffinity(0)))


def _llama_version() -> str:
    """The package that its source came in, whose version is what can be had again."""
    return (LLAMA_SOURCE / "PACKAGE").read_text(encoding="utf-8").strip()
