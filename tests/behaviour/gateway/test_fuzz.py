"""Every route, with bodies that schemathesis makes from the gateway's own description: never a 500, never a hang."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.core.result import Ok
from schemathesis.schemas import BaseSchema

from tests.support.gateway_process import GatewayProcess, gateway

_A_HANG_S = 60
AnyCase: TypeAlias = schemathesis.Case[Any]


@pytest.fixture(scope="module")
def small(demo_store: Path) -> Iterator[GatewayProcess]:
    """A gateway whose answers are short whatever is asked."""
    with gateway(demo_store, MAX_CONTEXT_TOKENS="256") as running:
        running.wait_until_ready()
        yield running
        running.wait_for("request")  # it still answers, and its log shows no traceback
        assert "Traceback" not in running.log_text()


@pytest.fixture(scope="module")
def described(small: GatewayProcess) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{small.url}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_body_makes_a_route_fail_or_hang(described: BaseSchema, mode: GenerationMode) -> None:
    operations = [found.ok() for found in described.get_all_operations() if isinstance(found, Ok)]
    assert len(operations) > 25
    for operation in operations:
        with suppress(Unsatisfiable):  # of a route without parameters there is nothing wrong to send
            _try(operation.as_strategy(generation_mode=mode))


def _try(cases: SearchStrategy[AnyCase]) -> None:
    @given(case=cases)
    @settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    def holds(case: AnyCase) -> None:
        response = case.call(timeout=_A_HANG_S)
        assert response.status_code < 500 or response.status_code == 501, response.text
        if response.status_code >= 400 and case.method != "HEAD":
            assert "detail" not in response.json()

    holds()
