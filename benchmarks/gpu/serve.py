"""`transformers serve` as a contender: started as a process, and asked over HTTP with one stream for each prompt."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import httpx

from benchmarks.gpu.in_process import PATIENCE_S
from benchmarks.gpu.workload import PAGE_TOKENS, Answered, ContenderFailedError, Setup
from benchmarks.prompts import Prompt

PACKAGES = ("transformers", "typer", "rich", "pydantic", "fastapi", "uvicorn", "openai")
_QUANTIZATIONS = {"bfloat16": [], "int8": ["--quantization", "bnb-8bit"], "nf4": ["--quantization", "bnb-4bit"]}
_POLL_S = 0.2


def missing_packages() -> list[str]:
    return [package for package in PACKAGES if find_spec(package) is None]


class Serve:
    """One server with continuous batching, with as large a KV cache as the engine has."""

    name = "serve"

    def __init__(self, setup: Setup) -> None:
        """Start it and wait until it has the model.

        Raises:
            ContenderFailedError: it ended, or took too long.
        """
        self._model = str(setup.folder)
        self._num_prompt_tokens = setup.prompt_tokens
        port = _free_port()
        self._url = f"http://127.0.0.1:{port}"
        self._log = tempfile.NamedTemporaryFile(prefix="transformers-serve-", suffix=".log", mode="wb")  # noqa: SIM115
        start = time.perf_counter()
        self._process = subprocess.Popen(
            _command(setup, port), stdout=self._log, stderr=subprocess.STDOUT, env=_environment(setup)
        )
        try:
            self._wait()
        except ContenderFailedError:
            self.close()
            raise
        self.load_s = time.perf_counter() - start

    def answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered:
        """Answer all prompts at once.

        Raises:
            ContenderFailedError: it did not, or with another number of tokens than it was asked for.
        """
        try:
            return asyncio.run(self._answer(prompts, output_tokens))
        except httpx.HTTPError as error:
            raise ContenderFailedError(
                f"serve: {type(error).__name__}: {error}; its log ends {self._last()!r}"
            ) from error

    def peak_bytes(self) -> None:
        """Only the process itself knows, and it does not say."""

    def close(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    async def _answer(self, prompts: Sequence[Prompt], output_tokens: int) -> Answered:
        limits = httpx.Limits(max_connections=len(prompts))
        async with httpx.AsyncClient(timeout=PATIENCE_S, limits=limits, trust_env=False) as client:
            start = time.perf_counter()
            streams = (self._stream(client, prompt, output_tokens) for prompt in prompts)
            first = min(await asyncio.gather(*streams))
            seconds = time.perf_counter() - start
        return Answered(seconds, len(prompts) * output_tokens, first - start)

    async def _stream(self, client: httpx.AsyncClient, prompt: Prompt, output_tokens: int) -> float:
        """Read one answer to its end and return when its first text came."""
        body = {"model": self._model, "prompt": prompt.text, "max_tokens": output_tokens, "stream": True}
        first, usage = None, None
        async with client.stream("POST", f"{self._url}/v1/completions", json=body) as response:
            if response.status_code != httpx.codes.OK:
                raise ContenderFailedError(f"serve said {response.status_code}: {(await response.aread())[:200]!r}")
            async for line in response.aiter_lines():
                if not line.startswith("data: {"):
                    continue
                event = json.loads(line.removeprefix("data: "))
                if "error" in event:
                    raise ContenderFailedError(f"serve: {event['error']}")
                usage = event.get("usage") or usage
                if first is None and event["choices"][0]["text"]:
                    first = time.perf_counter()
        counted = usage and (usage["prompt_tokens"], usage["completion_tokens"])
        if first is None or counted != (self._num_prompt_tokens, output_tokens):
            expected = (self._num_prompt_tokens, output_tokens)
            raise ContenderFailedError(f"serve counted {counted} tokens of prompt and answer, expected {expected}")
        return first

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if self._process.poll() is not None:
                raise ContenderFailedError(
                    f"serve ended with {self._process.returncode}; its log ends {self._last()!r}"
                )
            with suppress(httpx.TransportError):  # nobody listens yet: it loads the model first
                if httpx.get(f"{self._url}/health", trust_env=False).is_success:
                    return
            time.sleep(_POLL_S)  # it has no other way to say that it is ready
        raise ContenderFailedError(f"serve was not ready within {PATIENCE_S:.0f} s")

    def _last(self) -> str:
        lines = Path(self._log.name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else ""


def _command(setup: Setup, port: int) -> list[str]:
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(setup.folder)]
    command += ["--continuous-batching", "--device", setup.device, "--dtype", "bfloat16"]
    command += ["--cb-num-blocks", str(setup.kv_cache_tokens // PAGE_TOKENS)]  # else it takes nearly all there is
    command += ["--host", "127.0.0.1", "--port", str(port)]
    return command + _QUANTIZATIONS[setup.precision]


def _environment(setup: Setup) -> dict[str, str]:
    offline = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    return dict(os.environ) | offline | {"OMP_NUM_THREADS": str(setup.num_threads)}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port
