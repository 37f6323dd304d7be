"""A comparison's files in one folder: results.json, plots, README.md; also made again from the first alone.

python -m benchmarks.servers.publish FOLDER
"""

import re
import sys
from pathlib import Path

from benchmarks.servers import verdicts
from benchmarks.servers.plots import draw
from benchmarks.servers.report import markdown
from benchmarks.servers.results import Results, load, save

RESULTS_ROOT = Path(__file__).resolve().parent.parent / "results"


def results_folder(results: Results, root: Path = RESULTS_ROOT) -> Path:
    """Where the files of this comparison belong: `<cpu>-<shape>-<date>`, with `-quick` where it was a quick one."""
    parts = [results.machine.cpu, results.shape, results.date, *(["quick"] if results.quick else [])]
    return root / re.sub(r"[^a-z0-9.]+", "-", "-".join(parts).lower()).strip("-")


def publish(results: Results, folder: Path) -> Path:
    """Write everything about these results into `folder`, and return the path of its README.md."""
    save(results, folder)
    readme = folder / "README.md"
    readme.write_text(markdown(results, draw(results, folder)), encoding="utf-8")
    return readme


def main(arguments: list[str]) -> int:
    """Make the report of a folder again, and print the verdicts; 0 whatever they say."""
    if len(arguments) != 1:
        print("One argument is needed, the folder with a results.json.", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    results = load(folder)
    print(publish(results, folder))
    print("\n".join(verdicts.lines(results)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
