"""What a traceback in the log may show: where it was, and nothing of what was in the variables there."""

from collections.abc import Mapping
from typing import cast

import pytest
import structlog

from llm_gateway.telemetry.log import _renderers

ASKED = {"prompt": "what I asked", "authorization": "Bearer secret"}


def _fail(asked: Mapping[str, str]) -> None:
    raise ZeroDivisionError(f"{len(asked)} / 0")


@pytest.mark.parametrize("json", [True, False], ids=["for programs", "for people"])
def test_a_traceback_shows_no_prompt_and_no_key(json: bool) -> None:
    line: object = None
    try:
        _fail(ASKED)
    except ZeroDivisionError as error:
        line = {"event": "unexpected error", "exc_info": error}
    for render in _renderers(json=json):
        line = render(structlog.get_logger(), "error", cast("structlog.typing.EventDict", line))
    assert "ZeroDivisionError" in str(line)
    assert [text for text in ASKED.values() if text in str(line)] == []
