"""The measurements behind the numbers in the profiles: one setting varied at a time, through the engine's contract.

    MODEL_STORE=... MODEL_NAME=... python -m benchmarks.profile_numbers --only MAX_BATCHED_TOKENS --out FILE

Each value gets a process of its own in every round, the values in turn, so that a slower minute of the machine is
everybody's. What was measured is kept in FILE line by line, and a later run with the same FILE adds rounds to it.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.engine.child import EngineChild, EngineFailedError
from benchmarks.engine.from_settings import PROFILES, setup_for
from benchmarks.engine.questions import Asker
from benchmarks.engine.setup import Setup
from benchmarks.engine.studies import STUDIES, Study, Value
from benchmarks.engine.tables import markdown, spread

KV_CACHE_TOKENS = 16384
"""Room for every question, where a value does not say otherwise."""

DISTURBED = "others, % of the machine"

Line = dict[str, str | dict[str, float]]


def main() -> None:
    arguments = _arguments()
    lines = kept(arguments.out)
    for line in measure(arguments.only, arguments.profiles, arguments.rounds):
        lines.append(line)
        if arguments.out is not None:
            with arguments.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    print(report(lines))


def measure(names: Sequence[str], profiles: Sequence[str], rounds: int) -> Iterator[Line]:
    """Yield what each value of each setting brought, round by round."""
    for name in names:
        for number in range(rounds):
            for profile in profiles:
                for value in STUDIES[name].values:
                    seed = f"{name} {value.label} {number} {os.getpid()}"
                    yield {
                        "setting": name,
                        "profile": profile,
                        "value": value.label,
                        **_ask(profile, name, value, seed),
                    }


def report(lines: Sequence[Line]) -> str:
    """A table for each setting and profile: values down, figures across."""
    tables = []
    for setting, profile in dict.fromkeys((str(line["setting"]), str(line["profile"])) for line in lines):
        own = [line for line in lines if (line["setting"], line["profile"]) == (setting, profile)]
        tables.append(f"### {setting}, {profile}\n\n{_table(own)}")
    return "\n\n".join(tables)


def kept(path: Path | None) -> list[Line]:
    """What earlier runs wrote into this file."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _ask(profile: str, name: str, value: Value, seed: str) -> Line:
    setup = _setup(profile, value)
    print(f"{name} = {value.label}, {profile}", file=sys.stderr, flush=True)
    figures: dict[str, float] = {}
    try:
        with EngineChild(setup) as child:
            asker = Asker(child, setup.folder, seed)
            asker.warm_up()
            for question in value.questions or _study(name).questions:
                figures |= question(asker)
            figures[DISTURBED] = 100 * asker.most_disturbed
    except EngineFailedError as error:
        return {"failure": str(error), "figures": figures}
    return {"figures": figures}


def _study(name: str) -> Study:
    return STUDIES[name]


def _setup(profile: str, value: Value) -> Setup:
    before = {key: os.environ.get(key) for key in value.environment}
    os.environ.update(value.environment)
    try:
        setup = setup_for(profile)
    finally:
        for key, text in before.items():
            if text is None:
                del os.environ[key]
            else:
                os.environ[key] = text
    options: Mapping[str, object] = {"kv_cache_tokens": KV_CACHE_TOKENS} | dict(value.options)
    return replace(setup.changed(**options), properties=value.properties)


def _table(lines: Sequence[Line]) -> str:
    names = list(dict.fromkeys(name for line in lines for name in _figures(line)))
    return markdown(["value", *names], [_row(value, lines, names) for value in dict.fromkeys(map(_value, lines))])


def _row(value: str, lines: Sequence[Line], names: Sequence[str]) -> list[str]:
    own = [line for line in lines if _value(line) == value]
    failures = [str(line["failure"]) for line in own if "failure" in line]
    if failures and not any(_figures(line) for line in own):
        return [value, f"failed: {failures[0]}", *[""] * (len(names) - 1)]
    return [value, *(_cell([_figures(line)[name] for line in own if name in _figures(line)]) for name in names)]


def _cell(values: Sequence[float]) -> str:
    return spread(values) if values else ""


def _value(line: Line) -> str:
    return str(line["value"])


def _figures(line: Line) -> dict[str, float]:
    figures = line["figures"]
    assert isinstance(figures, dict)
    return figures


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure one setting at a time, for the numbers in the profiles.")
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(STUDIES), help="settings, by name")
    parser.add_argument("--profiles", type=lambda text: text.split(","), default=list(PROFILES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="file of lines that is added to")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.only) - set(STUDIES))
    if unknown:
        parser.error(f"there is no study named {', '.join(unknown)}; there are {', '.join(STUDIES)}")
    return arguments


if __name__ == "__main__":
    main()
