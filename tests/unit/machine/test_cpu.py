"""Threads and quotas, read from copies of the layouts that real kernels and container runtimes make."""

from pathlib import Path

import pytest

from machine.cpu import usable_cpus

V1_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
33 31 0:30 {shown_from} /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
36 31 0:33 {shown_from} /sys/fs/cgroup/memory rw,nosuid - cgroup cgroup rw,memory
"""
V2_MOUNT = "29 23 0:26 {shown_from} /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"


def lay_out(root: Path, files: dict[str, str]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return root


def eight_processors(root: Path, files: dict[str, str]) -> Path:
    return lay_out(root, {"proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-5,8,10\n", **files})


def test_without_a_quota_every_processor_of_the_affinity_counts(tmp_path: Path) -> None:
    facts = usable_cpus(eight_processors(tmp_path, {}))

    assert (facts.threads, facts.affinity, facts.quota) == (8, 8, None)


@pytest.mark.parametrize(
    ("cpu_max", "threads"), [("150000 100000", 1), ("50000 100000", 1), ("400000 100000", 4), ("max 100000", 8)]
)
def test_a_version_2_quota_is_rounded_down_and_never_below_one(tmp_path: Path, cpu_max: str, threads: int) -> None:
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT.format(shown_from="/"),
            "sys/fs/cgroup/cpu.max": f"{cpu_max}\n",
        },
    )

    assert usable_cpus(root).threads == threads


def test_the_smallest_quota_of_all_ancestors_wins(tmp_path: Path) -> None:
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": "0::/system.slice/docker-1f.scope\n",
            "proc/self/mountinfo": V2_MOUNT.format(shown_from="/"),
            "sys/fs/cgroup/system.slice/docker-1f.scope/cpu.max": "600000 100000\n",
            "sys/fs/cgroup/system.slice/cpu.max": "250000 100000\n",
        },
    )

    facts = usable_cpus(root)

    assert (facts.threads, facts.quota) == (2, 2.5)


def test_a_version_1_container_without_a_namespace_finds_its_own_group_at_the_mount(tmp_path: Path) -> None:
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/docker/1f\n4:memory:/docker/1f\n",
            "proc/self/mountinfo": V1_MOUNTS.format(shown_from="/docker/1f"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "100000\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "50000\n",
        },
    )

    assert usable_cpus(root).quota == 2.0


def test_a_version_1_quota_of_minus_one_is_no_quota(tmp_path: Path) -> None:
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/\n",
            "proc/self/mountinfo": V1_MOUNTS.format(shown_from="/"),
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "-1\n",
            "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
        },
    )

    assert usable_cpus(root).quota is None


def test_with_both_versions_mounted_the_one_that_holds_the_controller_is_read(tmp_path: Path) -> None:
    hybrid = "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": "5:cpu,cpuacct:/jobs/7\n0::/init.scope\n",
            "proc/self/mountinfo": V1_MOUNTS.format(shown_from="/") + hybrid,
            "sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_quota_us": "300000\n",
            "sys/fs/cgroup/cpu,cpuacct/jobs/cpu.cfs_period_us": "100000\n",
            "sys/fs/cgroup/unified/init.scope/cgroup.procs": "1\n",
        },
    )

    assert usable_cpus(root).threads == 3


@pytest.mark.parametrize(("own", "shown_from"), [("/", "/../.."), ("/../elsewhere", "/"), ("/a", "/b")])
def test_a_group_outside_what_the_mount_shows_is_looked_for_at_the_mount(
    tmp_path: Path, own: str, shown_from: str
) -> None:
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": f"0::{own}\n",
            "proc/self/mountinfo": V2_MOUNT.format(shown_from=shown_from),
            "sys/fs/cgroup/cpu.max": "100000 100000\n",
        },
    )

    assert usable_cpus(root).threads == 1


def test_a_mount_point_with_a_space_in_its_name_is_found(tmp_path: Path) -> None:
    root = eight_processors(
        tmp_path,
        {
            "proc/self/cgroup": "0::/\n",
            "proc/self/mountinfo": V2_MOUNT.format(shown_from="/").replace("/cgroup rw", r"/c\040group rw"),
            "sys/fs/c group/cpu.max": "200000 100000\n",
        },
    )

    assert usable_cpus(root).threads == 2


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        ("model name\t: AMD EPYC\nflags\t\t: fpu avx512f avx512_bf16\n", (True, "AMD EPYC")),
        ("model name\t: Intel Xeon\nflags\t\t: fpu amx_bf16 amx_tile\n", (True, "Intel Xeon")),
        ("model name\t: Intel Core\nflags\t\t: fpu avx2 avx512f\n", (False, "Intel Core")),
        ("processor\t: 0\nFeatures\t: fp asimd bf16 i8mm\n", (True, "unknown processor")),
        ("", (False, "unknown processor")),
    ],
)
def test_16_bit_arithmetic_is_known_by_the_processors_flags(
    tmp_path: Path, cpuinfo: str, expected: tuple[bool, str]
) -> None:
    facts = usable_cpus(eight_processors(tmp_path, {"proc/cpuinfo": cpuinfo}))

    assert (facts.has_16_bit_arithmetic, facts.model_name) == expected


def test_this_very_machine_has_at_least_one_thread() -> None:
    assert usable_cpus().threads >= 1
