"""What the compose file asks for, as the kernel has granted it: asked in the running containers, not read in a file."""

import json
from typing import Any

import pytest

from tests.support.appliance import DEPENDENT, DOOR, FETCHER, GATEWAY, Appliance, docker

RUNNING = (GATEWAY, DOOR, DEPENDENT)
USER = "10001"
MIB = 1 << 20

LOOK = """
import glob, json, os, pathlib, socket, stat
read = lambda path: pathlib.Path(path).read_text()
def first(*paths):
    return next((read(path).strip() for path in paths if os.path.exists(path)), None)
def processes():
    for status in glob.glob('/proc/[0-9]*/status'):
        try:
            yield dict(line.split(':\\t', 1) for line in read(status).splitlines() if ':\\t' in line)
        except OSError:
            continue
mounts = [line.split(' - ')[0].split() for line in read('/proc/self/mountinfo').splitlines()]
print(json.dumps({
    'processes': list(processes()),
    'mounts': {fields[4]: fields[5].split(',') for fields in mounts},
    'kinds': {line.split()[4]: line.split(' - ')[1].split()[0] for line in read('/proc/self/mountinfo').splitlines()},
    'routes': [line.split() for line in read('/proc/net/route').splitlines()[1:]],
    'pids': first('/sys/fs/cgroup/pids.max', '/sys/fs/cgroup/pids/pids.max'),
    'memory': first('/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes'),
    'sockets': [path for path in ('/var/run/docker.sock', '/run/docker.sock', '/run/containerd/containerd.sock')
                if os.path.exists(path)],
    'devices': [path for path in glob.glob('/dev/*') if stat.S_ISBLK(os.stat(path).st_mode)],
}))
"""

FIND = """
import json, os, sys
names, found = set(sys.argv[1:]), []
for folder in ('/bin', '/sbin', '/usr', '/opt', '/venv', '/app', '/root', '/home'):
    for where, _, files in os.walk(folder):
        found += [os.path.join(where, name) for name in files if name in names
                  and os.access(os.path.join(where, name), os.X_OK)]
print(json.dumps(sorted({os.path.realpath(path) for path in found})))
"""
COMPILERS = (
    *("gcc", "g++", "cc", "c++", "cpp", "clang", "clang++", "tcc", "ld", "ld.bfd", "ld.gold", "ld.lld", "as", "make"),
    *("cmake", "rustc", "cargo", "go", "nvcc", "gdb", "strace"),
)
"""NNCF brings ninja along, which starts compilers and is none."""
SHELLS = ("sh", "dash", "bash", "rbash", "zsh", "ksh", "ash", "busybox", "fish")


@pytest.fixture(scope="module")
def seen(served: Appliance) -> dict[str, dict[str, Any]]:
    """What each running container shows to a program in it."""
    served.up()
    found = {}
    for service in RUNNING:
        looked = served.python(service, LOOK)
        assert looked.exit_code == 0, looked.output
        found[service] = dict(json.loads(looked.output))
    return found


@pytest.mark.parametrize("service", RUNNING)
def test_no_process_has_a_capability_or_can_get_one(seen: dict[str, dict[str, Any]], service: str) -> None:
    processes = seen[service]["processes"]
    assert any(process["Pid"] == "1" for process in processes)
    for process in processes:
        assert set(process["Uid"].split()) == set(process["Gid"].split()) == {USER}, process["Name"]
        for kind in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(process[kind], 16) == 0, f"{process['Name']} has {kind} {process[kind]}"
        assert process["NoNewPrivs"] == "1", process["Name"]


def test_the_gateway_and_its_worker_are_among_them(seen: dict[str, dict[str, Any]]) -> None:
    parents = {process["Pid"]: process["PPid"] for process in seen[GATEWAY]["processes"]}
    assert "1" in parents.values(), "the worker is a child of the gateway, and as confined as that"


@pytest.mark.parametrize("service", RUNNING)
def test_everything_is_mounted_read_only_but_what_is_memory(seen: dict[str, dict[str, Any]], service: str) -> None:
    mounts, kinds = seen[service]["mounts"], seen[service]["kinds"]
    assert "ro" in mounts["/"]
    of_the_kernel = {"proc", "sysfs", "devpts", "mqueue", "cgroup", "cgroup2", "tmpfs", "devtmpfs"}
    # Docker itself writes these three for each container, and mounts them into it from the host.
    of_docker = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    writable = {
        path
        for path, options in mounts.items()
        if "ro" not in options and kinds[path] not in of_the_kernel and path not in of_docker
    }
    assert writable == set()
    assert "ro" in mounts.get("/models", ["ro"])
    assert [path for path in mounts if "docker.sock" in path or path.startswith("/host")] == []


@pytest.mark.parametrize("service", RUNNING)
def test_there_is_no_way_to_docker_and_no_disk(seen: dict[str, dict[str, Any]], service: str) -> None:
    assert seen[service]["sockets"] == []
    assert seen[service]["devices"] == []


@pytest.mark.parametrize("service", [GATEWAY, DEPENDENT])
def test_who_has_no_way_out_has_no_default_route(seen: dict[str, dict[str, Any]], service: str) -> None:
    destinations = {fields[1] for fields in seen[service]["routes"]}
    assert "00000000" not in destinations


@pytest.mark.parametrize(
    ("service", "pids", "memory_bytes"),
    [(GATEWAY, 1024, None), (DOOR, 64, 256 * MIB), (DEPENDENT, 64, 256 * MIB)],
)
def test_limits_are_in_force(
    seen: dict[str, dict[str, Any]], service: str, pids: int, memory_bytes: int | None
) -> None:
    assert seen[service]["pids"] == str(pids)
    if memory_bytes is not None:
        assert seen[service]["memory"] == str(memory_bytes)


def test_a_limit_of_memory_from_env_is_in_force(served: Appliance) -> None:
    served.up(MEMORY_LIMIT="2g")
    looked = served.python(GATEWAY, LOOK)
    assert json.loads(looked.output)["memory"] == str(2 << 30)


def _executables(image: str, *names: str) -> list[str]:
    command = ("run", "--rm", "--network", "none", "--user", "0", "--entrypoint", "python", image, "-c", FIND, *names)
    found = docker(*command)
    assert found.exit_code == 0, found.output
    return list(json.loads(found.output))


@pytest.mark.parametrize("image", ["preheat-llm-gateway", "preheat-model-fetcher"])
def test_an_image_has_nothing_that_builds_or_debugs_programs(image: str) -> None:
    assert _executables(image, *COMPILERS) == []


@pytest.mark.parametrize("image", ["preheat-llm-gateway", "preheat-model-fetcher"])
def test_an_image_has_no_shell_and_is_started_by_none(image: str) -> None:
    assert _executables(image, *SHELLS) == []
    described = json.loads(docker("image", "inspect", image).output)[0]["Config"]
    command = [*(described["Entrypoint"] or ()), *(described["Cmd"] or ())]
    assert command[0] == "python"


def test_no_container_is_started_or_probed_by_a_line_for_a_shell(fresh: Appliance) -> None:
    services = json.loads(fresh.compose("config", "--format", "json").output)["services"]
    assert set(services) == {GATEWAY, FETCHER, DOOR, DEPENDENT}
    for service in services.values():
        assert (service.get("command") or ["python"])[0] == "python"
        assert service.get("healthcheck", {}).get("test", ["CMD"])[0] == "CMD"
