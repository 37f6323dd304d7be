"""Measure what the gateway itself costs, with an engine that computes nothing: `python -m benchmarks.gateway_cost`.

It starts the real `python -m llm_gateway` with ENGINE=fake, streams over real sockets in all four dialects, and writes
a table and JSON. `--help` names what can be left out, made smaller, or measured beside it. Linux only: it reads /proc.
"""

import argparse
import datetime
import platform
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.gateway.dialects import DIALECTS, AnswerError
from benchmarks.gateway.flame import ProfilerError, profile
from benchmarks.gateway.growth import watch
from benchmarks.gateway.process import REPOSITORY
from benchmarks.gateway.report import Report, stream_table
from benchmarks.gateway.starts import measure_memory, measure_starts
from benchmarks.gateway.streams import FRONT_DOOR, TARGET_STREAMS, UNLIMITED, Bench, Cell, measure
from benchmarks.gateway.volumes import Volume, demo_volume
from machine.cpu import usable_cpus

RESULTS = Path(__file__).parent / "results"
PARTS = ("streams", "starts", "memory", "growth")
THROUGHPUT = Cell(pace=125, streams=256, dialect="openai")
"""Each token has a frame of its own here, as long as the gateway keeps up. 32,000 tokens/s are asked for, of which the
fake engine makes about 24,000: it sleeps between steps, and a step of 256 sequences takes its own time."""


def main() -> None:
    arguments = _parser().parse_args()
    try:
        report = _measured(arguments)
    except (AnswerError, ProfilerError) as error:
        sys.exit(str(error))
    table = report.write(arguments.results, f"gateway_cost_{report.facts['date']}")
    print(table.read_text(encoding="utf-8"), f"In {table} and its .json.", sep="\n")


def _measured(arguments: argparse.Namespace) -> Report:
    demo = demo_volume(arguments.folder)
    volumes = [demo] + ([Volume(*arguments.large)] if arguments.large else [])
    report = Report(_facts(arguments))
    if "starts" in arguments.only:
        report.start = measure_starts(REPOSITORY, demo, arguments.starts)
    if "memory" in arguments.only:
        report.memory = [memory for volume in volumes for memory in measure_memory(REPOSITORY, volume)]
    if "streams" in arguments.only:
        _measure_streams(arguments, demo, report)
    if "growth" in arguments.only:
        for level in watch(REPOSITORY, demo, arguments.requests, max(1, arguments.requests // 10)):
            print(f"{level.requests} requests: {level.rss_mb:.1f} MB", flush=True)
            report.levels.append(level)
    if arguments.profile:
        arguments.results.mkdir(parents=True, exist_ok=True)
        report.profile = profile(REPOSITORY, demo, arguments.results)
    return report


def _measure_streams(arguments: argparse.Namespace, volume: Volume, report: Report) -> None:
    checkouts = {"gateway": REPOSITORY, **dict(arguments.beside)}
    cells = cells_of(arguments.paces, arguments.streams, arguments.dialects, list(checkouts))
    paces = sorted({cell.pace for cell in cells})
    with Bench(volume, checkouts, paces, arguments.tokens) as bench:
        for row in measure(bench, cells, arguments.rounds):
            report.rows.append(row)
            print(stream_table([row]).splitlines()[2], flush=True)


def cells_of(paces: list[int], streams: list[int], dialects: list[str], checkouts: list[str]) -> list[Cell]:
    """Every combination, checkouts side by side; and the door and the throughput where their numbers are asked for."""
    cells = [
        Cell(pace, number, dialect, name)
        for pace in paces
        for number in streams
        for dialect in dialects
        for name in checkouts
    ]
    paced = [pace for pace in paces if pace != UNLIMITED]
    if paced and TARGET_STREAMS in streams:
        cells.append(Cell(paced[0], TARGET_STREAMS, dialects[0], FRONT_DOOR))
    if paced and THROUGHPUT.streams in streams:
        cells += [Cell(THROUGHPUT.pace, THROUGHPUT.streams, dialects[0], name) for name in checkouts]
    return cells


def _facts(arguments: argparse.Namespace) -> dict[str, object]:
    cpus = usable_cpus()
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "processor": f"{cpus.model_name}, {cpus.threads} threads",
        "python": platform.python_version(),
        "tokens of an answer": arguments.tokens,
        "rounds": arguments.rounds,
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Measure what the gateway itself costs, with the fake engine.")
    folder = Path(tempfile.gettempdir()) / "benchmark-models" / "demo-volume"
    parser.add_argument("--folder", type=Path, default=folder, help="where the demo model is fetched to, or was")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where tables go")
    parser.add_argument("--only", type=_names(PARTS), default=list(PARTS), help=f"parts to measure: {','.join(PARTS)}")
    parser.add_argument("--dialects", type=_names(tuple(DIALECTS)), default=list(DIALECTS))
    parser.add_argument("--streams", type=_numbers, default=[1, 16, 64, 256])
    parser.add_argument("--paces", type=_numbers, default=[50, UNLIMITED], help="tokens/s of a stream; 0 is unlimited")
    parser.add_argument("--tokens", type=int, default=256, help="tokens of each answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--requests", type=int, default=10_000, help="requests after which nothing should have grown")
    parser.add_argument("--profile", action="store_true", help="look at 64 streams with py-spy")
    parser.add_argument("--large", type=_volume, help="STORE:MODEL with a large vocabulary, for its memory")
    parser.add_argument("--beside", type=_checkout, action="append", default=[], help="NAME=CHECKOUT to compare with")
    return parser


def _names(known: Sequence[str]) -> Callable[[str], list[str]]:
    def read(text: str) -> list[str]:
        unknown = sorted(set(text.split(",")) - set(known))
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}, expected some of {', '.join(known)}")
        return text.split(",")

    return read


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _volume(text: str) -> tuple[Path, str]:
    store, _, model = text.partition(":")
    if not model:
        raise argparse.ArgumentTypeError(f"{text!r}, expected STORE:MODEL")
    return Path(store), model


def _checkout(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not (Path(path) / "llm_gateway").is_dir():
        raise argparse.ArgumentTypeError(f"{text!r}, expected NAME=CHECKOUT, a folder with llm_gateway in it")
    return name, Path(path)


if __name__ == "__main__":
    main()
