"""What the hub's refusals mean: which pass, how long to wait, and what to tell a person."""

import httpx
import pytest
from huggingface_hub import hf_raise_for_status
from huggingface_hub.errors import HfHubHTTPError

from model_fetcher.sources.hub_errors import LONGEST_WAIT_S, is_passing, wait_asked_for


def refusal(status: int, **headers: str) -> HfHubHTTPError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    request = httpx.Request("GET", "https://hub.example/api/models/org/name")
    with pytest.raises(HfHubHTTPError) as caught:
        hf_raise_for_status(httpx.Response(status, headers=named, request=request))
    return caught.value


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_trouble_that_passes(status: int) -> None:
    assert is_passing(refusal(status))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_refusals_that_stay(status: int) -> None:
    assert not is_passing(refusal(status))


def test_broken_connections_pass() -> None:
    assert is_passing(httpx.ReadTimeout("stalled"))
    assert is_passing(httpx.RemoteProtocolError("cut"))
    assert not is_passing(httpx.UnsupportedProtocol("gopher"))
    assert not is_passing(httpx.ConnectError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate"))


def test_a_pause_in_seconds_is_taken_at_its_word() -> None:
    assert wait_asked_for(refusal(429, Retry_After="7")) == 7


def test_a_pause_until_a_date_in_the_past_is_none_at_all() -> None:
    assert wait_asked_for(refusal(503, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")) == 0


def test_a_pause_until_a_date_is_counted_by_the_clock_of_whoever_asks_for_it() -> None:
    pause = {"Date": "Wed, 21 Oct 2015 07:28:00 GMT", "Retry_After": "Wed, 21 Oct 2015 07:28:09 GMT"}
    assert wait_asked_for(refusal(503, **pause)) == 9


def test_the_hubs_own_rate_limit_header_counts() -> None:
    assert wait_asked_for(refusal(429, ratelimit='"api";r=0;t=55')) == 56


def test_a_pause_of_hours_is_cut_short() -> None:
    assert wait_asked_for(refusal(429, Retry_After="86400")) == LONGEST_WAIT_S


@pytest.mark.parametrize("value", ["", "soon"])
def test_a_pause_that_cannot_be_read_is_ignored(value: str) -> None:
    assert wait_asked_for(refusal(503, Retry_After=value)) is None
