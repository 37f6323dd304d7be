"""Limits and what is left of them, read from copies of real cgroup and /proc layouts."""

from pathlib import Path

import pytest

from machine.memory import MemoryFacts, available_memory

GIB = 1 << 30
V1_MOUNT = "36 31 0:33 {shown_from} /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory\n"
V2_MOUNT = "29 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
NO_LIMIT_V1 = "9223372036854771712\n"


def sixteen_gibibytes(root: Path, files: dict[str, str], available_gib: int = 12) -> Path:
    meminfo = f"MemTotal:       {16 << 20} kB\nMemFree:  1 kB\nMemAvailable:   {available_gib << 20} kB\n"
    for name, content in {"proc/meminfo": meminfo, **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def version_2(files: dict[str, str], own: str = "/") -> dict[str, str]:
    return {"proc/self/cgroup": f"0::{own}\n", "proc/self/mountinfo": V2_MOUNT, **files}


def test_without_a_limit_the_machine_decides(tmp_path: Path) -> None:
    root = sixteen_gibibytes(tmp_path, version_2({"sys/fs/cgroup/memory.max": "max\n"}))

    assert available_memory(root) == MemoryFacts(16 * GIB, 12 * GIB, "machine")


def test_a_version_2_limit_counts_without_what_is_used_but_with_the_page_cache(tmp_path: Path) -> None:
    root = sixteen_gibibytes(
        tmp_path,
        version_2(
            {
                "sys/fs/cgroup/memory.max": f"{4 * GIB}\n",
                "sys/fs/cgroup/memory.current": f"{3 * GIB}\n",
                "sys/fs/cgroup/memory.stat": f"anon {GIB}\nfile {2 * GIB}\ninactive_file {2 * GIB}\n",
            }
        ),
    )

    assert available_memory(root) == MemoryFacts(4 * GIB, 3 * GIB, "cgroup limit")


def test_files_that_were_read_twice_count_as_page_cache_too_and_what_is_in_memory_alone_does_not(
    tmp_path: Path,
) -> None:
    statistics = f"anon {GIB}\nfile {3 * GIB}\nshmem {GIB}\ninactive_file {GIB // 2}\nactive_file {3 * GIB // 2}\n"
    root = sixteen_gibibytes(
        tmp_path,
        version_2(
            {
                "sys/fs/cgroup/memory.max": f"{8 * GIB}\n",
                "sys/fs/cgroup/memory.current": f"{4 * GIB}\n",
                "sys/fs/cgroup/memory.stat": statistics,
            }
        ),
    )

    assert available_memory(root) == MemoryFacts(8 * GIB, 6 * GIB, "cgroup limit")


def test_the_tightest_ancestor_wins_even_where_it_has_the_larger_limit(tmp_path: Path) -> None:
    files = {
        "sys/fs/cgroup/jobs/memory.max": f"{6 * GIB}\n",
        "sys/fs/cgroup/jobs/memory.current": f"{5 * GIB}\n",
        "sys/fs/cgroup/jobs/one/memory.max": f"{4 * GIB}\n",
        "sys/fs/cgroup/jobs/one/memory.current": "0\n",
    }
    root = sixteen_gibibytes(tmp_path, version_2(files, own="/jobs/one"))

    assert available_memory(root) == MemoryFacts(4 * GIB, 1 * GIB, "cgroup limit")


def test_a_busy_machine_bounds_what_a_generous_limit_promises(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": f"{8 * GIB}\n", "sys/fs/cgroup/memory.current": "0\n"}
    root = sixteen_gibibytes(tmp_path, version_2(files), available_gib=2)

    assert available_memory(root) == MemoryFacts(8 * GIB, 2 * GIB, "machine")


@pytest.mark.parametrize("shown_from", ["/", "/docker/1f"])
def test_a_version_1_limit_is_found_with_and_without_the_whole_hierarchy_mounted(
    tmp_path: Path, shown_from: str
) -> None:
    folder = "sys/fs/cgroup/memory" + ("/docker/1f" if shown_from == "/" else "")
    root = sixteen_gibibytes(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/docker/1f\n",
            "proc/self/mountinfo": V1_MOUNT.format(shown_from=shown_from),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
            f"{folder}/memory.limit_in_bytes": f"{2 * GIB}\n",
            f"{folder}/memory.usage_in_bytes": f"{GIB}\n",
            f"{folder}/memory.stat": f"inactive_file 0\ntotal_inactive_file {GIB // 4}\ntotal_active_file {GIB // 4}\n",
        },
    )

    assert available_memory(root) == MemoryFacts(2 * GIB, 3 * GIB // 2, "cgroup limit")


def test_version_1s_largest_number_means_no_limit(tmp_path: Path) -> None:
    root = sixteen_gibibytes(
        tmp_path,
        {
            "proc/self/cgroup": "4:memory:/\n",
            "proc/self/mountinfo": V1_MOUNT.format(shown_from="/"),
            "sys/fs/cgroup/memory/memory.limit_in_bytes": NO_LIMIT_V1,
        },
    )

    assert available_memory(root).limit_bytes == 16 * GIB


def test_a_limit_that_is_already_exceeded_leaves_nothing_rather_than_less(tmp_path: Path) -> None:
    files = {"sys/fs/cgroup/memory.max": f"{GIB}\n", "sys/fs/cgroup/memory.current": f"{2 * GIB}\n"}

    assert available_memory(sixteen_gibibytes(tmp_path, version_2(files))).available_bytes == 0


def test_where_proc_is_missing_the_operating_system_is_asked(tmp_path: Path) -> None:
    facts = available_memory(tmp_path)

    assert facts.source == "machine"
    assert facts.limit_bytes == facts.available_bytes > 0


def test_this_very_machine_has_memory() -> None:
    facts = available_memory()

    assert 0 < facts.available_bytes <= facts.limit_bytes
