"""Where the control groups of this process are: for one controller, the folders whose limits apply, innermost first.

It knows mounts and paths of both versions (v1, v2 and both at once, inside and outside cgroup namespaces); what the
files in those folders mean is for its callers to know.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

_OCTAL_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class CgroupLevel:
    """One folder whose limits apply to this process, and which version's file names it uses."""

    folder: Path
    version: int


@dataclass(frozen=True, slots=True)
class _Mount:
    shown_from: str
    """The path within the hierarchy that this mount shows as its top (`/docker/<id>` in a container with v1)."""
    mounted_at: str
    version: int
    controllers: frozenset[str]


def levels_of(controller: str, root: Path = Path("/")) -> list[CgroupLevel]:
    """List the folders that limit `controller` ("cpu", "memory") for this process: its own group, then every ancestor.

    On machines with both versions mounted, both are listed, since only the files present can say which one is in use.
    Where nothing can be found (not Linux, no mounts), the list is empty.
    """
    own_paths = _own_paths(root)
    found: list[CgroupLevel] = []
    for mount in _mounts(root):
        own_path = own_paths.get(controller if mount.version == 1 else "")
        if own_path is None or (mount.version == 1 and controller not in mount.controllers):
            continue
        top = root / mount.mounted_at.lstrip("/")
        found += [CgroupLevel(folder, mount.version) for folder in _upwards(top, _below_mount(own_path, mount))]
    return found


def read_text(path: Path) -> str | None:
    """Read a small kernel file; None where it is absent or may not be read, which both mean "no limit known"."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _own_paths(root: Path) -> dict[str, str]:
    """Map each v1 controller to this process's path in its hierarchy; the empty name is version 2's single one."""
    paths: dict[str, str] = {}
    for line in (read_text(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        for controller in controllers.split(","):
            paths.setdefault(controller, path)
    return paths


def _mounts(root: Path) -> Iterator[_Mount]:
    for line in (read_text(root / "proc/self/mountinfo") or "").splitlines():
        # "36 31 0:33 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"; optional fields end at the lone dash
        place, separator, kind = line.partition(" - ")
        place_fields, kind_fields = place.split(), kind.split()
        if not separator or len(place_fields) < 5 or not kind_fields or kind_fields[0] not in {"cgroup", "cgroup2"}:
            continue
        yield _Mount(
            shown_from=_unescape(place_fields[3]),
            mounted_at=_unescape(place_fields[4]),
            version=2 if kind_fields[0] == "cgroup2" else 1,
            controllers=frozenset(kind_fields[-1].split(",")),
        )


def _below_mount(own_path: str, mount: _Mount) -> PurePosixPath:
    """Say where the process's group lies below the mount point.

    A mount that shows another part of the hierarchy (a namespace made after the mount, or a container's own group
    mounted as the top) is taken to show the process's own group at its top: that is what container runtimes do.
    """
    own, top = PurePosixPath(own_path), PurePosixPath(mount.shown_from)
    if ".." in own.parts or ".." in top.parts or not own.is_relative_to(top):
        return PurePosixPath()
    return own.relative_to(top)


def _upwards(top: Path, below: PurePosixPath) -> Iterator[Path]:
    yield from (top / path for path in (below, *below.parents))


def _unescape(field: str) -> str:
    return _OCTAL_ESCAPE.sub(lambda match: chr(int(match[1], 8)), field)
