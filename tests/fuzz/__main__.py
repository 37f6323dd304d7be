"""A million random byte strings through the text path, and as many mutated manifests: `make fuzz`.

The ordinary suite does the same with a few thousand. `python -m tests.fuzz NUMBER SEED` takes others; a failure prints
the input, and the seed finds it again.
"""

import random
import sys

from tests.unit.gateway.test_text_path import fuzz_text_path
from tests.unit.model_store.test_manifest_bytes import fuzz_manifest

MILLION = 1_000_000
_STEP = 50_000


def main(times: int = MILLION, seed: int = 6) -> None:
    """Run both in steps, each of which says how far it is."""
    noise = random.Random(seed)
    for done in range(0, times, _STEP):
        step = min(_STEP, times - done)
        fuzz_text_path(noise, step)
        fuzz_manifest(noise, step)
        sys.stdout.write(f"{done + step} byte strings and manifests, seed {seed}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
