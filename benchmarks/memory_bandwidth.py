"""How fast this machine's cores read memory together, which is what bounds decoding one stream.

    python -m benchmarks.memory_bandwidth

Each core reads an array of its own that no cache holds (the idea of STREAM; McCalpin, 1995); the median of several
passes counts. Copying reads and writes every byte, and both are counted.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

BYTES_PER_THREAD = 256 << 20
"""Of each array; beyond every last-level cache."""
_PASSES = 7

Array = npt.NDArray[np.int64]


def read_bandwidth_gb_s(
    threads: int | None = None, passes: int = _PASSES, bytes_per_thread: int = BYTES_PER_THREAD
) -> float:
    """Return the median of `passes` of reading with all cores, in GB/s (10^9 bytes)."""
    return statistics.median(_rates(_read, 1, threads, passes, bytes_per_thread))


def copy_bandwidth_gb_s(threads: int | None = None, passes: int = _PASSES) -> float:
    """Return the median of `passes` of copying with all cores, in GB/s: what is read and what is written, together."""
    return statistics.median(_rates(_copy, 2, threads, passes, BYTES_PER_THREAD))


def _rates(
    work: Callable[[Array, Array], None], moved: int, threads: int | None, passes: int, bytes_per_thread: int
) -> list[float]:
    """Of each pass; `moved` is how often a byte of the array goes between core and memory."""
    count = threads or len(os.sched_getaffinity(0))
    with ThreadPoolExecutor(count) as pool:
        arrays = list(pool.map(_two_arrays, [bytes_per_thread] * count))
        rates = []
        for _ in range(passes):
            start = time.perf_counter()
            list(pool.map(work, *zip(*arrays, strict=True)))
            rates.append(moved * count * bytes_per_thread / (time.perf_counter() - start) / 1e9)
    return rates


def _two_arrays(num_bytes: int) -> tuple[Array, Array]:
    """Filled, since pages that were never written are all the same one."""
    count = num_bytes // np.dtype(np.int64).itemsize
    return np.arange(count, dtype=np.int64), np.ones(count, dtype=np.int64)


def _read(source: Array, _target: Array) -> None:
    np.bitwise_or.reduce(source)  # numpy has a vector loop for it and lets the lock go


def _copy(source: Array, target: Array) -> None:
    np.copyto(target, source)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure how fast all cores together read and copy memory.")
    parser.add_argument("--threads", type=int, help="as many as there are cores by default")
    parser.add_argument("--passes", type=int, default=_PASSES)
    arguments = parser.parse_args()
    print(f"read {read_bandwidth_gb_s(arguments.threads, arguments.passes):.1f} GB/s")
    print(f"copy {copy_bandwidth_gb_s(arguments.threads, arguments.passes):.1f} GB/s (read and written)")


if __name__ == "__main__":
    main()
