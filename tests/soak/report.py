"""A table for people and JSON for programs."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.soak.run import Findings

_MOST_LOSSES_SHOWN = 20


def text(findings: Findings, facts: Mapping[str, object]) -> str:
    """The whole of it as Markdown."""
    lines = [f"# {findings.seconds / 60:g} minutes of everything at once", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts.items()]
    lines += ["", "| what | number |", "|---|--:|", f"| requests sent | {len(findings.seen):,} |"]
    lines += [f"| of which: client {kind} | {number:,} |" for kind, number in findings.kinds.most_common()]
    lines += [f"| {what}, as their clients saw it | {number:,} |" for what, number in findings.what.most_common()]
    lines += [f"| worker killed | {findings.worker_kills} |", f"| accepted | {findings.accepted:,} |"]
    lines += [f"| ended as {outcome} | {number:,} |" for outcome, number in findings.ended.items()]
    lines += [f"| slowest /health, ms | {findings.slowest_health_ms:.0f} |", f"| **lost** | {len(findings.losses)} |"]
    if findings.before and findings.after:
        lines += ["", "| with nobody there | before | after |", "|---|--:|--:|"]
        after = findings.after.as_json()
        lines += [f"| {name} | {value:g} | {after[name]:g} |" for name, value in findings.before.as_json().items()]
    if findings.losses:
        lines += ["", *(f"- {loss}" for loss in findings.losses[:_MOST_LOSSES_SHOWN])]
    return "\n".join(lines) + "\n"


def write(findings: Findings, facts: Mapping[str, object], folder: Path, name: str) -> Path:
    """Write `name`.md and `name`.json; returns the path of the table."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {
        **facts,
        "seconds": findings.seconds,
        "requests": len(findings.seen),
        "kinds": findings.kinds,
        "seen": findings.what,
        "faults": {"worker kills": findings.worker_kills},
        "accepted": findings.accepted,
        "ended": findings.ended,
        "slowest_health_ms": round(findings.slowest_health_ms, 1),
        "before": findings.before.as_json() if findings.before else None,
        "after": findings.after.as_json() if findings.after else None,
        "losses": findings.losses,
    }
    (folder / f"{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
    table = folder / f"{name}.md"
    table.write_text(text(findings, facts), encoding="utf-8")
    return table
