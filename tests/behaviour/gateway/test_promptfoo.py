"""The example for promptfoo, run by promptfoo itself: four providers, one gateway. `make promptfoo` installs it."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.gateway_process import REPOSITORY, GatewayProcess

PROMPTFOO = REPOSITORY / ".node/node_modules/.bin/promptfoo"
EXAMPLE = REPOSITORY / "examples/promptfoo/promptfooconfig.yaml"


@pytest.mark.skipif(not PROMPTFOO.exists(), reason="promptfoo is not installed; `make promptfoo` does it, with npm")
def test_every_provider_of_the_example_passes_every_assertion(demo: GatewayProcess, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    subprocess.run(
        [PROMPTFOO, "eval", "--no-cache", "--no-table", "--no-progress-bar", "-c", EXAMPLE, "-o", report],
        env={
            "PATH": os.environ["PATH"],
            "PREHEAT_URL": demo.url,
            "PROMPTFOO_CONFIG_DIR": str(tmp_path),
            "PROMPTFOO_DISABLE_TELEMETRY": "1",
            "PROMPTFOO_DISABLE_UPDATE": "1",
        },
        check=True,
        timeout=300,
    )
    results = json.loads(report.read_text())["results"]["results"]
    assert {result["provider"]["label"] for result in results} == {"native", "openai", "ollama", "tgi"}
    assert len(results) == 8
    assert [result.get("error") for result in results if not result["success"]] == []
