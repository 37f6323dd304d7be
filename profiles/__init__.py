"""Profiles: named sets of numbers, kept as `.env` files beside this module, and the choice that `auto` makes.

A profile only ever holds defaults: whoever reads it puts the environment above it. What a number means is known to the
settings that take it, and to profiles/README.md.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from machine import MachineFacts

PROFILE_NAMES = ("cpu_optimized", "vm_optimized", "gpu_accelerated")
AUTO = "auto"
_FOLDER = Path(__file__).parent
_MOUNTED = Path("/profiles")
"""Where compose.yaml mounts this folder: apart from the code, which stays the image's own."""
_GIB = 1 << 30
SMALL_MACHINE_BYTES = 8 * _GIB
"""Below this, `auto` halves the weights and the cache rather than risk a refusal."""


@dataclass(frozen=True, slots=True)
class ProfileChoice:
    """Which profile applies, and a sentence for the log that says why."""

    name: str
    reason: str


def read_profile(name: str, folder: Path | None = None) -> dict[str, str]:
    """Read one profile's settings; a key without a value is left out, since empty means unset.

    Without `folder` it is the mounted one, or this one where nothing is mounted or it may not be read.

    Raises:
        ValueError: there is no such profile, or a line of its file is not KEY=value.
    """
    if name not in PROFILE_NAMES:
        raise ValueError(_unknown(name))
    if folder is None:
        folder = _MOUNTED if os.access(_MOUNTED / f"{name}.env", os.R_OK) else _FOLDER
    path = folder / f"{name}.env"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ValueError(f"the profile {name} cannot be read ({error}); restore profiles/{name}.env") from error
    pairs = [_parse(line, f"{path.name} line {number}") for number, line in enumerate(lines, start=1)]
    return {key: value for key, value in filter(None, pairs) if value}


def says_yes(value: str | None) -> bool:
    """Read a flag as the settings classes do, for those that are needed before these can be."""
    return (value or "").lower() in {"1", "true", "t", "yes", "y", "on"}


def resolve(
    requested: str, machine: MachineFacts, gateway_limit_bytes: int | None = None, *, gpu_image: bool = False
) -> ProfileChoice:
    """Turn what was asked for into a profile: a name stays what it is, `auto` is decided by the machine.

    `gateway_limit_bytes` is what the gateway is allowed, where that is less than what this process is, and `gpu_image`
    whether its image has an engine for GPUs: both services must come to the same choice, and only one of them knows.

    Raises:
        ValueError: the name is neither a profile nor `auto`.
    """
    choice = _choose(requested, machine, gateway_limit_bytes, gpu_image)
    if _MOUNTED.is_dir() and not os.access(_MOUNTED / f"{choice.name}.env", os.R_OK):
        mounted = f"user {os.getuid()} may not read {_MOUNTED}/{choice.name}.env, so the image's own numbers count"
        return ProfileChoice(choice.name, f"{choice.reason}; {mounted} (chmod -R a+rX profiles)")
    return choice


def _choose(requested: str, machine: MachineFacts, gateway_limit_bytes: int | None, gpu_image: bool) -> ProfileChoice:
    if requested in PROFILE_NAMES:
        return ProfileChoice(requested, f"PERFORMANCE_PROFILE={requested} was asked for")
    if requested != AUTO:
        raise ValueError(_unknown(requested))
    card = machine.gpu.name or "NVIDIA"
    if machine.gpu.available and gpu_image:
        return ProfileChoice("gpu_accelerated", f"there is a GPU ({card}), and GPU_IMAGE says that an engine for it is")
    allowed_bytes = min(machine.memory.limit_bytes, gateway_limit_bytes or machine.memory.limit_bytes)
    allowed = f"{allowed_bytes / _GIB:.1f} GiB"
    small = f"{SMALL_MACHINE_BYTES // _GIB} GiB"
    gpu = f"; the GPU ({card}) is left alone, since this image has no engine for it (compose.gpu.yaml)"
    gpu = gpu if machine.gpu.available else f"; no GPU ({machine.gpu.looked_for})" if gpu_image else ""
    if allowed_bytes < SMALL_MACHINE_BYTES:
        return ProfileChoice("vm_optimized", f"{allowed} of memory are allowed, which is under {small}{gpu}")
    if not machine.cpu.has_16_bit_arithmetic:
        lacking = f"{machine.cpu.model_name} has no 16-bit arithmetic (avx512_bf16, amx_bf16 or Arm's bf16)"
        return ProfileChoice("vm_optimized", f"{allowed} of memory are enough, but {lacking}{gpu}")
    return ProfileChoice(
        "cpu_optimized",
        f"{allowed} of memory are allowed ({small} are enough) and the processor has 16-bit arithmetic{gpu}",
    )


def _parse(line: str, where: str) -> tuple[str, str] | None:
    """Read `KEY=value  # comment` the way Compose reads an env_file; None for blank lines and comments."""
    line = line.strip()
    if not line or line.startswith("#"):
        return None
    key, equals, value = line.partition("=")
    if not equals or not key.strip().isidentifier():
        raise ValueError(f"{where} is {line!r}, expected KEY=value or a comment")
    value = value.strip()
    if value[:1] in {"'", '"'} and value.find(value[0], 1) > 0:
        return key.strip(), value[1 : value.find(value[0], 1)]
    return key.strip(), (" " + value).split(" #", maxsplit=1)[0].strip()


def _unknown(name: str) -> str:
    return f"PERFORMANCE_PROFILE is {name[:200]!r}, expected one of {', '.join((*PROFILE_NAMES, AUTO))}"
