"""How much of the machine other processes took meanwhile: a figure from a busy machine is measured again."""

import os
import time
from pathlib import Path

BUSY_SHARE = 0.06
"""Beyond this share of all cores, others disturbed; the system's own housekeeping stays below."""


class Meanwhile:
    """Started before what is measured; the kernel counts in hundredths of a second, so that should take some tenths."""

    def __init__(self) -> None:
        self._busy_s = busy_s()
        self._own_s = time.process_time()
        self._started = time.perf_counter()

    def own_s(self) -> float:
        """CPU seconds of this process so far."""
        return time.process_time() - self._own_s

    def others_share(self, known_s: float = 0.0) -> float:
        """Return the share of all cores' time, 0 to 1, that went neither here nor into the `known_s` seconds."""
        seconds = time.perf_counter() - self._started
        others_s = busy_s() - self._busy_s - self.own_s() - known_s
        return max(0.0, others_s / (seconds * (os.cpu_count() or 1)))


def busy_s() -> float:
    """Return the seconds of all cores together that were not idle, by proc_stat(5): all fields but idle and iowait."""
    first = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in first[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
