"""Use a real gateway with the demo model for a while, in every dialect, well and badly: `python -m tests.soak`.

Clients ask, leave, dawdle and send nonsense, and its worker is killed every few minutes. Afterwards nothing may be
lost: each request had one ending, which its client saw, and memory, threads, open files and the KV cache are where they
were.
Exits with 1 and a sentence for each thing that is not so. Linux only: it reads /proc.
"""

import argparse
import datetime
import platform
import sys
import tempfile
from pathlib import Path

from machine.cpu import usable_cpus
from tests.soak.report import write
from tests.soak.run import Findings, soak
from tests.support.gateway_process import REPOSITORY, gateway
from tests.support.stores import fetch_demo

RESULTS = REPOSITORY / "benchmarks" / "results"
SETTINGS = {"KV_CACHE_SIZE": "8MiB", "DRAIN_TIMEOUT_S": "60", "SLOW_READER_TIMEOUT_S": "10"}
"""A KV cache of about one and a half contexts: of 100 blocks, one lost in each request is noticed soon."""


def main() -> int:
    """Run it; returns the exit code."""
    arguments = _parser().parse_args()
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    facts = {
        "date": date,
        "processor": f"{usable_cpus().model_name}, {usable_cpus().threads} threads",
        "python": platform.python_version(),
        "clients": arguments.clients,
        "seed": arguments.seed,
    }
    findings = run(arguments.minutes, arguments.clients, arguments.kill_every, arguments.seed)
    table = write(findings, facts, arguments.results, f"soak_{date}")
    sys.stdout.write(f"{table.read_text(encoding='utf-8')}\nIn {table} and its .json.\n")
    for loss in findings.losses:
        sys.stderr.write(f"soak: {loss}\n")
    return 1 if findings.losses else 0


def run(minutes: float, clients: int, kill_every_s: float, seed: int) -> Findings:
    """Fetch the demo model into a folder of its own, start a gateway on it, and use that for so many minutes."""
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        fetch_demo(store)
        with gateway(store, **SETTINGS) as running:
            running.wait_until_ready()
            return soak(running, 60 * minutes, clients, kill_every_s, seed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description="Use a gateway for a while.")
    parser.add_argument("--minutes", type=float, default=20.0, help="how long clients ask (default: 20)")
    parser.add_argument("--clients", type=int, default=12, help="how many at once (default: 12)")
    parser.add_argument("--kill-every", type=float, default=120.0, metavar="SECONDS", help="(default: 120)")
    parser.add_argument("--seed", type=int, default=6, help="what the clients are drawn from (default: 6)")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="where the table goes")
    return parser


if __name__ == "__main__":
    sys.exit(main())
