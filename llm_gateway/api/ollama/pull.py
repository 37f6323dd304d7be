"""/api/pull: nothing is fetched here; a model that is on the volume is checked, and the lines say what is done."""

import asyncio
import shlex
from collections.abc import AsyncGenerator

import msgspec

from llm_gateway.errors import GatewayError, UnknownModelError
from llm_gateway.models.shelf import ModelDescription, Shelf
from llm_gateway.stream.ndjson import ndjson_line

_DIGEST_SHOWN = 12


class DamagedModelError(GatewayError):
    """Files of a published model are missing or are not what was published."""

    kind = "damaged_model"


def not_on_volume(name: str) -> UnknownModelError:
    """Say how to fetch a model: the gateway never writes the volume."""
    return UnknownModelError(
        f"pull model manifest: '{name}' is not on the volume, and this gateway fetches nothing itself; "
        f"MODEL_NAME={shlex.quote(name)} docker compose run --rm model_fetcher puts it there"
    )


async def pull_lines(shelf: Shelf, model: ModelDescription) -> AsyncGenerator[bytes, None]:
    """Yield the progress of a pull that finds everything in place.

    Raises:
        DamagedModelError: it does not.
    """
    yield _line({"status": "pulling manifest"})
    for _, size_bytes, sha256 in model.file_digests:
        yield _line(
            {
                "status": f"pulling {sha256[:_DIGEST_SHOWN]}",
                "digest": f"sha256:{sha256}",
                "total": size_bytes,
                "completed": size_bytes,
            }
        )
    yield _line({"status": "verifying sha256 digest"})
    await check(shelf, model)
    yield _line({"status": "success"})


async def check(shelf: Shelf, model: ModelDescription) -> None:
    """Compare the files with what was published, off the event loop.

    Raises:
        DamagedModelError: one is missing or different.
    """
    report = await asyncio.to_thread(shelf.check, model)
    if not report.whole:
        damaged = ", ".join((*report.missing, *report.mismatched))
        raise DamagedModelError(
            f"{model.name} is damaged on the volume: {damaged}; "
            f"MODEL_NAME={shlex.quote(model.name)} docker compose run --rm model_fetcher mends it"
        )


def _line(progress: dict[str, object]) -> bytes:
    return ndjson_line(msgspec.json.encode(progress))
