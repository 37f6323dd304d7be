"""Check and measure the transformers engine on a GPU, beside plain `generate` and `transformers serve`, in one command.

Usage: python -m benchmarks.gpu_throughput [--shape Qwen3-8B] [--folder FOLDER] [--precisions bfloat16,int8,nf4]
Needs what ENGINE=transformers needs, pytest and httpx; `transformers serve` also what it says is missing.
"""

import argparse
import datetime
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from benchmarks.gpu import report
from benchmarks.gpu.profile_rows import advice
from benchmarks.gpu.rounds import CONTENDERS, Row, measure
from benchmarks.gpu.serve import missing_packages
from benchmarks.gpu.suite import run_suite
from benchmarks.gpu.workload import PRECISIONS, Setup
from benchmarks.make_model import SHAPES, make_model
from machine.cpu import usable_cpus
from machine.gpu_memory import GpuUnusableError, gpu_cards

RESULTS = Path(__file__).parent / "results"
_T = TypeVar("_T")


def main() -> None:
    arguments = _parser().parse_args()
    # Threads that spin while they wait would take the processor from whoever's turn it is.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        device = gpu_cards()[0].name if arguments.device == "cuda" else usable_cpus().model_name
    except GpuUnusableError as error:
        sys.exit(f"--device is cuda, and {error}; --device cpu tries the script out")
    end = time.monotonic() + arguments.limit_seconds
    suite = None
    if not arguments.skip_suite:
        suite = asdict(run_suite(arguments.device))
        print("conformance suite:", *suite["failed"], suite["summary"], sep="\n", flush=True)
    folder = _model(arguments)
    found: report.Report = {
        "device": device,
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "shape": arguments.shape,
        "prompt_tokens": arguments.prompt_tokens,
        "output_tokens": arguments.output_tokens,
        "versions": report.versions(),
        "rounds": arguments.rounds,
        "suite": suite,
        "rows": [],
    }
    contenders = _contenders(arguments)
    for number, precision in enumerate(arguments.precisions):
        seconds = (end - time.monotonic()) / (len(arguments.precisions) - number)
        setup = _setup(arguments, folder, precision)
        standings = measure(setup, contenders, arguments.streams, arguments.rounds, seconds)
        rows: list[Row] = [row for standing in standings for row in standing.rows()]
        table = report.write(arguments.results, found | {"rows": rows})
        found["suite"] = None  # it is written down, and was no part of the next precision
    print(table.read_text(encoding="utf-8"), f"In {table} and its .json. Of profiles/README.md it bears on:", sep="\n")
    print(*(f"- {sentence}" for sentence in advice(report.read_rows(table))), sep="\n")


def _setup(arguments: argparse.Namespace, folder: Path, precision: str) -> Setup:
    return Setup(
        folder=folder,
        device=arguments.device,
        precision=precision,
        max_streams=max(arguments.streams),
        prompt_tokens=arguments.prompt_tokens,
        output_tokens=arguments.output_tokens,
        num_threads=usable_cpus().threads,
    )


def _model(arguments: argparse.Namespace) -> Path:
    """Make the model, or take the one that an earlier run made."""
    folder: Path = arguments.folder / arguments.shape
    if not (folder / "config.json").exists() or not list(folder.glob("*.safetensors")):
        print(f"making a model in the shape of {arguments.shape} in {folder}", flush=True)
        make_model(folder, arguments.shape, arguments.device)
    return folder


def _contenders(arguments: argparse.Namespace) -> list[str]:
    missing = missing_packages()
    if arguments.skip_serve or missing:
        reason = "--skip-serve" if arguments.skip_serve else f"it needs {', '.join(missing)}, not installed here"
        print(f"without transformers serve: {reason}", flush=True)
        return [name for name in CONTENDERS if name != "serve"]
    return list(CONTENDERS)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Check and measure the transformers engine on a GPU.")
    folder = Path(tempfile.gettempdir()) / "benchmark-models"
    parser.add_argument("--folder", type=Path, default=folder, help="where models are made, or were (8B: 16.4 GB)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where tables go")
    parser.add_argument("--shape", choices=SHAPES, default="Qwen3-8B")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu is for trying it out")
    parser.add_argument("--precisions", type=_list_of(_precision), default=list(PRECISIONS))
    parser.add_argument("--streams", type=_list_of(int), default=[1, 8, 32, 128])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--prompt-tokens", type=int, default=256)
    parser.add_argument("--output-tokens", type=int, default=128)
    parser.add_argument("--limit-seconds", type=float, default=7200, help="begin no further turn after this")
    parser.add_argument("--skip-serve", action="store_true", help="leave transformers serve out")
    parser.add_argument("--skip-suite", action="store_true", help="leave the conformance suite out")
    return parser


def _list_of(kind: Callable[[str], _T]) -> Callable[[str], list[_T]]:
    return lambda text: [kind(part) for part in text.split(",")]


def _precision(text: str) -> str:
    if text not in PRECISIONS:
        raise argparse.ArgumentTypeError(f"precision {text!r}, expected {', '.join(PRECISIONS)}")
    return text


if __name__ == "__main__":
    main()
