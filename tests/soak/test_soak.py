"""A quarter of a minute of what `make soak` does for twenty, and what its report says of a loss."""

from pathlib import Path

from tests.soak.__main__ import SETTINGS
from tests.soak.clients import Seen
from tests.soak.levels import Level, grown
from tests.soak.report import text, write
from tests.soak.run import Findings, soak
from tests.support.gateway_process import gateway

LEVEL = Level(100, 10, 20, 300, 5, 12, 0, 0)


def test_a_short_soak_loses_nothing(demo_store: Path) -> None:
    with gateway(demo_store, **SETTINGS) as running:
        running.wait_until_ready()
        findings = soak(running, seconds=15, num_clients=6, kill_every_s=60, seed=6)
    assert findings.losses == []
    assert findings.worker_kills == 1
    assert findings.what["answered"] > 0
    assert findings.accepted == sum(findings.ended.values())


def test_what_has_grown_is_told_with_both_numbers() -> None:
    assert grown(LEVEL, LEVEL) == []
    [sentence] = grown(LEVEL, Level(200, 10, 20, 300, 5, 12, 0, 0))
    assert sentence.startswith("gateway_rss_mb was 100 and is 200")


def test_the_table_has_requests_faults_and_losses(tmp_path: Path) -> None:
    findings = Findings(
        60.0, [Seen("soak-1", "chat", "asks", "lost", "reset")], 2, 3.0, 5, {"finished": 5}, LEVEL, LEVEL
    )
    findings.losses = ["soak-1 (chat, asks) was lost: reset"]
    table = write(findings, {"seed": 6}, tmp_path, "soak")
    assert table.read_text(encoding="utf-8") == text(findings, {"seed": 6})
    for line in ("| requests sent | 1 |", "| worker killed | 2 |", "| **lost** | 1 |", "was lost: reset"):
        assert line in table.read_text(encoding="utf-8")
    assert '"losses": [\n  "soak-1' in (tmp_path / "soak.json").read_text(encoding="utf-8")
