"""TGI's /info: what is served, and up to which limits."""

import asyncio
from typing import Final

from llm_gateway import __version__
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.tgi.answers import Info
from llm_gateway.api.tgi.limits import MAX_STOP_SEQUENCES

_ROUTER: Final = "preheat"
_NUM_TOKENIZERS: Final = 1
"""TGI runs several copies; here one serves every thread."""


async def server_info(parts: ApiParts) -> Info:
    """Look at the settings, the volume and the loaded model.

    Raises:
        NotReadyError: no model has been loaded yet, and its context follows from what fits. A GET loads none.
    """
    settings, figures = parts.settings, parts.lifecycle.figures
    if figures is None:
        raise parts.lifecycle.not_ready()
    context_tokens = figures.context_tokens
    model = await asyncio.to_thread(parts.shelf.served)
    return Info(
        model_id=settings.model_name,
        model_sha=None if model is None else model.commit,
        model_dtype=None if model is None else model.precision,
        model_device_type=parts.lifecycle.device,
        model_pipeline_tag="text-generation",
        max_concurrent_requests=settings.max_concurrent_requests,
        max_best_of=settings.max_num_sequences,
        max_stop_sequences=MAX_STOP_SEQUENCES,
        max_input_length=context_tokens - 1,
        max_input_tokens=context_tokens - 1,
        max_total_tokens=context_tokens,
        validation_workers=_NUM_TOKENIZERS,
        max_client_batch_size=settings.max_num_sequences,
        router=_ROUTER,
        version=__version__,
        sha=None,
        docker_label=None,
    )
