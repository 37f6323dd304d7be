"""The official clients against real containers, through the published port."""

import re

import httpx
import ollama
import openai
import pytest

from tests.support.appliance import Appliance
from tests.support.readme import run_clients


@pytest.fixture
def running(served: Appliance) -> Appliance:
    served.up()
    return served


def test_the_clients_of_the_readme_get_their_answers(running: Appliance) -> None:
    from_openai, from_ollama, from_tgi = run_clients(running.url)
    assert from_openai == from_ollama
    assert "GATEWAY_PORT=9000" in from_openai
    assert from_tgi


def test_streams_pass_through_the_door_as_they_are_made(running: Appliance) -> None:
    question = "Explain step by step how Preheat starts."
    with openai.OpenAI(base_url=f"{running.url}/v1", api_key="any") as client:
        stream = client.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": question}], stream=True, temperature=0
        )
        pieces = [chunk.choices[0].delta.content or "" for chunk in stream]
    with ollama.Client(running.url) as official:
        lines = official.chat("demo", [{"role": "user", "content": question}], stream=True, options={"temperature": 0})
        told = "".join(line.message.content or "" for line in lines)
    assert len(pieces) > 3
    assert "".join(pieces) == told


def test_a_format_is_held_to_in_the_container_too(running: Appliance) -> None:
    schema = {"type": "object", "properties": {"port": {"type": "integer"}}, "required": ["port"]}
    answer = httpx.post(
        f"{running.url}/api/generate",
        json={"model": "demo", "prompt": "Which port?", "format": schema, "stream": False},
        timeout=60,
    )
    assert re.fullmatch(r'\{\s*"port":\s*-?\d+\s*\}', answer.json()["response"])


def test_the_page_of_all_routes_has_its_script_in_the_image(running: Appliance) -> None:
    page = httpx.get(f"{running.url}/docs")
    [script] = re.findall(r'src="([^"]+)"', page.text)
    assert len(httpx.get(f"{running.url}{script}").content) > 100_000
