"""The appliance in real containers: `docker compose` on a copy of compose.yaml, with its own project and port."""

import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.gateway_process import REPOSITORY, free_port

PATIENCE_S = 600
"""For one command of Docker's; it only ends tests that hang."""
RUNC_FAILED = "waiting for init preliminary setup: read init-p: connection reset by peer"
"""Before anything of ours runs, once in some thousand containers, with runc 1.1 of newer Go than it was made for:
https://github.com/opencontainers/runc/issues/4233. Whoever reads it types the command again, and so do the tests."""
GATEWAY, FETCHER, DOOR, DEPENDENT = "llm_gateway", "model_fetcher", "front_door", "example_dependent"

Health = dict[str, Any]


@dataclass
class Finished:
    """A command that has ended."""

    exit_code: int
    output: str


@dataclass
class Appliance:
    """One project of Docker Compose and the folder that it runs from."""

    folder: Path
    project: str
    port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def configure(self, **settings: str) -> None:
        """Write `.env`, as a user would; what is not named here has its default."""
        lines = {"GATEWAY_PORT": str(self.port), **settings}
        (self.folder / ".env").write_text("".join(f"{key}={value}\n" for key, value in lines.items()), encoding="utf-8")

    def compose(self, *arguments: str) -> Finished:
        finished = self.wait_for(self.start(*arguments))
        if finished.exit_code and RUNC_FAILED in finished.output:
            return self.wait_for(self.start(*arguments))
        return finished

    def start(self, *arguments: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["docker", "compose", "--project-name", self.project, "--ansi", "never", *arguments],
            cwd=self.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    @staticmethod
    def wait_for(process: "subprocess.Popen[str]") -> Finished:
        with process:
            output, _ = process.communicate(timeout=PATIENCE_S)
        return Finished(process.returncode, output)

    def up(self, **settings: str) -> None:
        """Bring everything up with these settings, and fail with the logs where that fails."""
        self.configure(**settings)
        finished = self.compose("up", "--wait")
        assert finished.exit_code == 0, f"{finished.output}\n{self.logs()}"

    def logs(self, *services: str) -> str:
        return self.compose("logs", "--no-color", "--no-log-prefix", *services).output

    def python(self, service: str, program: str) -> Finished:
        """Run a program in a service's running container, with what that service may do and sees."""
        return self.compose("exec", "-T", service, "python", "-c", program)

    def on_volume(self, program: str, *, network: str = "none") -> Finished:
        """Run a program as the fetcher's user on the fetcher's volume, beside everything else."""
        return docker(
            *("run", "--rm", "--network", network, "--volume", f"{self.project}_model_store:/models"),
            *("--entrypoint", "python", "preheat-model-fetcher", "-c", program),
        )

    def inspect(self, service: str) -> dict[str, Any]:
        [container] = self.compose("ps", "--all", "--quiet", service).output.split()
        [description] = json.loads(docker("inspect", container).output)
        return dict(description)

    def health(self) -> tuple[int, Health]:
        """Ask from the host; (0, {}) where nobody listens."""
        return self.request("/health")

    def generate(self, question: str, **keys: object) -> Health:
        body = {"messages": [{"role": "user", "content": question}], "max_tokens": 48, **keys}
        status, answer = self.request("/generate", body)
        assert status == 200, answer
        return answer

    def request(self, path: str, body: object = None) -> tuple[int, dict[str, Any]]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)
        except OSError:
            return 0, {}

    def watch_health_until(self, process: "subprocess.Popen[str]") -> Iterator[tuple[int, Health]]:
        """Yield what /health says, again and again, until a command has ended."""
        while process.poll() is None:
            yield self.health()
            time.sleep(0.05)


def environment() -> dict[str, str]:
    """What the tests' own environment may tell Docker: how to build and where the engine is, and no settings."""
    kept = ("PATH", "HOME", "PYTHON_IMAGE", "TORCH_INDEX_URL", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG")
    return {key: os.environ[key] for key in kept if key in os.environ}


def docker(*arguments: str) -> Finished:
    done = subprocess.run(
        ["docker", *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    return Finished(done.returncode, done.stdout)


@contextmanager
def appliance(folder: Path, project: str) -> Iterator[Appliance]:
    """Make a project in a folder of its own, and leave nothing of it behind."""
    shutil.copy(REPOSITORY / "compose.yaml", folder)
    shutil.copytree(REPOSITORY / "profiles", folder / "profiles", ignore=shutil.ignore_patterns("__pycache__"))
    made = Appliance(folder, project)
    made.configure()
    try:
        yield made
    finally:
        made.compose("down", "--volumes", "--timeout", "5")
