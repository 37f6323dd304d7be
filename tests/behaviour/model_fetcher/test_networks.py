"""Ways out that companies have: a proxy, a certificate authority of their own."""

import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.model_fetcher.conftest import Fetcher, ready_made
from tests.hub import Hub


def test_a_proxy_is_used_where_the_environment_names_one(fetcher: Fetcher, hub: Hub) -> None:
    """The test hub understands a proxy's requests; the address that is asked for exists nowhere."""
    hub.add(ready_made())
    outcome = fetcher.run(HF_ENDPOINT="http://hub.invalid", HTTP_PROXY=hub.endpoint, NO_PROXY="127.0.0.1")
    assert outcome.exit_code == 0, outcome.output
    assert any(request.path.startswith("http://hub.invalid/api/models/team/ready") for request in hub.requests)


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate that no system trusts, made on the spot, with its key in the same file."""
    if shutil.which("openssl") is None:
        pytest.skip("making a certificate needs the openssl command")
    both = tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=test hub", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", both, "-out", tmp_path / "only.pem"], check=True, capture_output=True)
    both.write_text(both.read_text() + (tmp_path / "only.pem").read_text())
    return both


@pytest.fixture
def private_hub(certificate: Path) -> Iterator[Hub]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with Hub().serving(tls=context) as hub:
        hub.add(ready_made())
        yield hub


def test_a_certificate_authority_of_ones_own_is_trusted(fetcher: Fetcher, private_hub: Hub, certificate: Path) -> None:
    outcome = fetcher.run(HF_ENDPOINT=private_hub.endpoint, SSL_CERT_FILE=str(certificate))
    assert outcome.exit_code == 0, outcome.output


def test_a_certificate_that_nobody_vouches_for_is_refused(fetcher: Fetcher, private_hub: Hub) -> None:
    outcome = fetcher.run(HF_ENDPOINT=private_hub.endpoint)
    assert outcome.exit_code == 11
    assert "CERTIFICATE_VERIFY_FAILED" in outcome.error
    assert "SSL_CERT_FILE" in outcome.error


def test_a_certificate_file_that_is_not_there_is_a_wrong_setting(fetcher: Fetcher) -> None:
    outcome = fetcher.run(SSL_CERT_FILE="/absent.pem")
    assert outcome.exit_code == 2
    assert "SSL_CERT_FILE is '/absent.pem', expected the path of a file that exists" in outcome.error
