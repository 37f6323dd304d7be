"""Every variable that the gateway knows: name, default, and what changes with it. Read once, at the start, then frozen.

The environment wins over the profile's file, which wins over the default here. An empty value counts as unset, so a
line `KEY=` in `.env` never blanks what a profile says. Nothing else in the gateway reads the environment.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

import machine
import profiles
from machine.sizes import parse_size

_MAX_SHOWN = 200
_INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV")


class SettingsError(Exception):
    """A variable cannot be used; the message names it, its value, and what was expected."""


def parse_bytes(value: object) -> object:
    """Read `2GiB` or `512m`; what is no size is left for the validation to refuse."""
    try:
        return parse_size(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _parse_auto(value: object) -> object:
    return None if isinstance(value, str) and value.strip().lower() == "auto" else value


ByteSize: TypeAlias = Annotated[int, BeforeValidator(parse_bytes)]


class Settings(BaseSettings):
    """The gateway's settings; the environment variable is the field's name in capitals."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", protected_namespaces=())

    model_name: str = "demo"
    """The model to serve: demo, org/name, org/name@revision, or a folder's path."""
    model_store: Path = Path("/models")
    """Where the volume with the prepared models is."""
    performance_profile: Literal["cpu_optimized", "vm_optimized", "gpu_accelerated", "auto"] = "cpu_optimized"
    """The named set of numbers to start from; auto picks one and logs why."""
    quantization: Literal["none", "int8", "int4"] = "none"
    """Precision of the weights: smaller is faster on few cores, and less exact."""
    engine: Literal["auto", "openvino", "transformers", "vllm", "fake"] = "auto"
    """The inference library; fake repeats the prompt, and is for tests alone."""
    gpu_image: bool = False
    """The gateway's image has an engine for GPUs; compose.gpu.yaml says so, and only then does auto take the GPU."""
    fake_engine: str = ""
    """Knobs of the fake engine, such as tokens_per_s=200,load_s=2."""

    bind_address: str = "127.0.0.1"
    """The address to listen on, or to publish on with Docker; 0.0.0.0 opens the port to the network."""
    gateway_port: Annotated[int, Field(ge=1, le=65535)] = 8085
    """The port, inside the container and outside."""
    published_address: str = ""
    """Where Docker publishes the port, as compose.yaml passes it on; unset is BIND_ADDRESS."""
    api_key: SecretStr | None = None
    """The key that clients must send, or several as name=key,name=key; 16 characters at least, and no $ among them."""
    api_key_file: Path | None = None
    """A file with one key, or name=key, to a line. Docker makes it a secret, which user 10001 must be able to read."""
    allow_unauthenticated: bool = False
    """true: open the port to the network without a key. Everybody who reaches it may then use it."""
    allowed_hosts: str = ""
    """Names, with commas, under which the gateway may be asked besides localhost and addresses; * is any."""
    cors_origins: str = ""
    """Web pages that may ask from a browser, as https://chat.example.com, with commas; * is any, unset is none."""
    rate_limit_requests: Annotated[int | None, Field(ge=1)] = None
    """Requests that each key may send in a minute; unset is no limit."""
    rate_limit_tokens: Annotated[int | None, Field(ge=1)] = None
    """Tokens of prompts and answers that each key may use in a minute; unset is no limit."""
    max_connections: Annotated[int, Field(ge=16)] = 2048
    """Connections at once; past them the one that has been idle longest is closed for a new one."""
    request_read_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """Seconds that a client may take to send a request's headers, and again its body."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """How much is logged; debug adds health checks and the libraries' own lines."""
    log_format: Literal["auto", "json", "console"] = "auto"
    """json for machines, console for people; auto is console on a terminal."""

    model_preload: bool = True
    """false loads at the first request, which then waits; the port counts as ready before."""
    verify: Literal["quick", "full"] = "quick"
    """quick compares sizes and times in milliseconds; full reads and hashes every byte at every start."""
    warmup_file: Path | None = None
    """JSON lines with prompt or messages, and max_tokens; run before READY, and kept in the prefix cache."""
    omp_num_threads: Annotated[int | None, Field(ge=1), BeforeValidator(_parse_auto)] = None
    """Threads that compute; auto follows affinity and CPU quota, rounded down."""
    torch_num_threads: Annotated[int | None, Field(ge=1), BeforeValidator(_parse_auto)] = None
    """Another name for OMP_NUM_THREADS, which wins over it."""
    inference_precision: Literal["auto", "bf16", "f16", "f32"] = "auto"
    """Arithmetic of the activations; auto leaves it to the engine and the processor."""
    kv_cache_size: Annotated[int | None, Field(ge=1), BeforeValidator(parse_bytes), BeforeValidator(_parse_auto)] = None
    """Memory for the KV cache, such as 2GiB; auto sizes it to fit."""
    kv_cache_precision: Literal["f16", "bf16", "f32", "u8"] = "bf16"
    """Precision of the KV cache; u8 halves it, at a small cost in exactness. Other engines than OpenVINO keep it as
    precise as they compute."""
    max_context_tokens: Annotated[int | None, Field(ge=16)] = None
    """Longest prompt and answer together, in tokens; unset is the model's own limit, shortened only to fit."""
    max_model_len: Annotated[int | None, Field(ge=16)] = None
    """Another name for MAX_CONTEXT_TOKENS, which wins over it."""
    max_num_seqs: Annotated[int, Field(ge=1)] = 64
    """Sequences that are decoded together; more wait inside the engine."""
    max_batched_tokens: Annotated[int, Field(ge=32)] = 512
    """Tokens per step; fewer let a long prompt stall the other answers less, and make it slower itself."""
    chunked_prefill: bool = True
    """Compute long prompts in pieces of MAX_BATCHED_TOKENS, between the tokens of other answers; other engines than
    OpenVINO always do."""
    prefix_caching: bool = True
    """Keep the KV cache of prompts, so that a beginning that was seen before costs nothing."""

    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the GPU's memory that may be taken: weights, KV cache and all."""
    tensor_parallel_size: Annotated[int, Field(ge=1)] = 1
    """GPUs over which one model is spread; more than one needs vLLM."""

    max_concurrent_requests: Annotated[int, Field(ge=1)] = 128
    """Requests inside at once; the next one is a 429."""
    max_concurrent_tokens: Annotated[int | None, Field(ge=1), BeforeValidator(_parse_auto)] = None
    """Tokens of all requests inside, prompts and longest answers; the next one is a 429. auto is four KV caches."""
    request_timeout_s: Annotated[float, Field(ge=0)] = 1800.0
    """Seconds that one request may take, the time in the queue included; then it ends with an error. 0 is no limit."""
    slow_reader_timeout_s: Annotated[float, Field(gt=0)] = 30.0
    """Seconds that a client may leave its answer unread while more of it waits to be sent; then it is cut off."""
    engine_stall_s: Annotated[float, Field(ge=0)] = 120.0
    """Seconds without a finished step while requests wait, after which the engine's process is replaced; 0 is never."""
    max_request_bytes: Annotated[ByteSize, Field(ge=1024)] = 1 << 20
    """Longest body; a longer one is a 413."""
    default_max_tokens: Annotated[int, Field(ge=1)] = 256
    """Length of an answer where the request names none."""
    max_num_sequences: Annotated[int, Field(ge=1)] = 8
    """Most answers that one request may ask for."""
    raw_control_tokens: bool = True
    """Raw prompts may spell out control tokens; false reads those as text, which in messages they always are."""
    drain_timeout_s: Annotated[float, Field(ge=0)] = 20.0
    """Seconds that running answers may go on after SIGTERM."""

    @property
    def num_threads(self) -> int | None:
        """The number of threads that was asked for, or None for the machine's own."""
        return self.omp_num_threads or self.torch_num_threads

    @property
    def asked_context_tokens(self) -> int | None:
        """The context that was asked for, or None for what the model was made for."""
        return self.max_context_tokens or self.max_model_len


def load_settings() -> tuple[Settings, str]:
    """Read the environment and the profile; returns the settings and why the profile is the one it is.

    Raises:
        SettingsError: a variable has a value that cannot be used.
    """
    requested = os.environ.get("PERFORMANCE_PROFILE") or Settings.model_fields["performance_profile"].default
    try:
        gpu_image = profiles.says_yes(os.environ.get("GPU_IMAGE"))
        choice = profiles.resolve(requested, machine.look(), gpu_image=gpu_image)
        preset = profiles.read_profile(choice.name)
    except ValueError as error:
        raise SettingsError(str(error)) from error
    values = {key.lower(): value for key, value in preset.items() if not os.environ.get(key)}
    values["performance_profile"] = choice.name
    try:
        return Settings(**values), choice.reason  # type: ignore[arg-type]  # pydantic turns the texts into their types
    except ValidationError as error:
        raise SettingsError(_sentence(error)) from error


def inherited_environment() -> dict[str, str]:
    """The part of the environment that a worker needs; settings and secrets are not among it."""
    return {key: os.environ[key] for key in _INHERITED if key in os.environ}


def _sentence(error: ValidationError) -> str:
    first = error.errors()[0]
    key = "_".join(str(part) for part in first["loc"]).upper()
    shown = repr(first["input"])
    shown = shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}..."
    return f"{key} is {shown}: {first['msg'].lower()}; correct it in .env or in the profile"


def wants_json_logs(settings: Settings) -> bool:
    """Whether lines are for machines: as told, or wherever nobody sits at a terminal."""
    return settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
