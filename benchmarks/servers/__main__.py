"""Measure Preheat beside its peers, in rounds in which each takes its turn, and report ratios and verdicts.

Usage: python -m benchmarks.servers [--rounds 3] [--quick] [--only preheat-bf16,vllm]; --help has the rest.
"""

import argparse
import datetime
import os
import platform
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.load_generator import LoadFailedError, aiperf_version
from benchmarks.make_model import SHAPES
from benchmarks.memory_bandwidth import read_bandwidth_gb_s
from benchmarks.servers import verdicts
from benchmarks.servers.contender import Server
from benchmarks.servers.contenders import everyone
from benchmarks.servers.measuring import QUICK, Size, Turn
from benchmarks.servers.preparing import Forms
from benchmarks.servers.publish import RESULTS_ROOT, publish, results_folder
from benchmarks.servers.records import Failure, Machine, Measurement
from benchmarks.servers.results import Results, save
from machine.cpu import usable_cpus


def main() -> None:
    arguments = _parser().parse_args()
    forms = Forms(arguments.folder, arguments.shape)
    try:
        generator = f"aiperf {aiperf_version()}"
    except LoadFailedError as error:
        sys.exit(str(error))
    forms.make()
    servers, missing = everyone(forms)
    print(*missing, sep="\n", flush=True)
    if arguments.only:
        servers = [server for server in servers if server.key in arguments.only]
    results = _empty_results(arguments, generator, servers)
    folder = results_folder(results, arguments.results)
    if arguments.rounds > 1:
        results.failures += [
            Failure(contender=server.key, reason=server.only_first_round, kind="left out")
            for server in servers
            if server.only_first_round
        ]
    for number in range(1, arguments.rounds + 1):
        results.bandwidth_gb_s.append(read_bandwidth_gb_s())
        for server in servers:
            if server.only_first_round and number > 1:
                continue
            # Other tenants of a shared machine take of it: the best reading of a round is nearest to what there is.
            results.bandwidth_gb_s[-1] = max(results.bandwidth_gb_s[-1], read_bandwidth_gb_s())
            _take_turn(Turn(number, server, forms.published, QUICK if arguments.quick else Size()), results, folder)
    readme = publish(results, folder)
    print(readme.read_text(encoding="utf-8"), *verdicts.lines(results), f"In {folder}.", sep="\n")


def _take_turn(turn: Turn, results: Results, folder: Path) -> None:
    """Measure, and write after every figure, so that a run that is broken off leaves what it has."""
    begun = time.monotonic()
    for entry in turn.take():
        if isinstance(entry, Measurement):
            results.measurements.append(entry)
            said = f"{entry.value:.1f}"
        else:
            results.failures.append(entry)
            said = f"{entry.kind}: {entry.reason}"
        save(results, folder)
        at = f"round {turn.round}, {time.monotonic() - begun:4.0f} s"
        print(f"{at}: {turn.server.key} {entry.cell or 'everything'} {said}", flush=True)


def _empty_results(arguments: argparse.Namespace, generator: str, servers: list[Server]) -> Results:
    return Results(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        shape=arguments.shape,
        rounds=arguments.rounds,
        quick=arguments.quick,
        generator=generator,
        machine=Machine(
            cpu=usable_cpus().model_name,
            cores=usable_cpus().threads,
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            kernel=platform.release(),
        ),
        bandwidth_gb_s=[],
        contenders=[server.described for server in servers],
        measurements=[],
        failures=[],
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure Preheat beside its peers.")
    folder = Path(tempfile.gettempdir()) / "benchmark-models"
    parser.add_argument("--rounds", type=int, default=3, help="each server takes one turn in each")
    parser.add_argument("--quick", action="store_true", help="a few short requests, to see that everything runs")
    parser.add_argument("--only", type=lambda text: text.split(","), help="keys of those who take part")
    parser.add_argument("--shape", choices=SHAPES, default="Qwen3-0.6B")
    parser.add_argument("--folder", type=Path, default=folder, help="where models are made, or were (0.6B: 5 GB)")
    parser.add_argument("--results", type=Path, default=RESULTS_ROOT, help="where the report goes")
    return parser


if __name__ == "__main__":
    main()
