"""What the README shows of clients, to be run as it stands."""

import re
import subprocess
import sys

from tests.support.gateway_process import REPOSITORY


def run_clients(url: str) -> tuple[str, str, str]:
    """Run the README's Python against a gateway; returns what the OpenAI, Ollama and TGI clients were answered."""
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    [program] = re.findall(r"^```python\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    program = program.replace("http://localhost:8085", url)
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=90)
    assert ran.returncode == 0, ran.stderr
    openai, ollama, *tgi = ran.stdout.splitlines()
    return openai, ollama, "\n".join(tgi)
