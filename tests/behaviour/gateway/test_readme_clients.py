"""What the README shows of clients, run as it stands."""

from tests.support.gateway_process import GatewayProcess
from tests.support.readme import run_clients


def test_the_clients_of_the_readme_get_their_answers(demo: GatewayProcess) -> None:
    openai, ollama, tgi = run_clients(demo.url)
    assert openai == ollama
    assert "GATEWAY_PORT=9000" in openai
    assert tgi
