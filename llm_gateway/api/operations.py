"""What operators ask: is it alive, may it be used, what is it doing. Reads state, computes nothing."""

from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from llm_gateway import __version__
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.settings import Settings
from llm_gateway.telemetry.metrics import Metrics
from machine import GpuFacts

_STATUS = {
    Phase.READY: "healthy",
    Phase.ON_DEMAND: "healthy",
    Phase.FAILED: "failed",
    Phase.DRAINING: "draining",
}
_LOADING = "loading"
_REPORTED_LIBRARIES = (
    "openvino",
    "openvino-genai",
    "torch",
    "transformers",
    "vllm",
    "tokenizers",
    "fastapi",
    "uvicorn",
)


def operation_routes(settings: Settings, lifecycle: Lifecycle, metrics: Metrics, gpu: GpuFacts) -> APIRouter:
    """The routes beside the dialects; all of them answer from the first second on."""
    router = APIRouter(tags=["operations"])

    @router.get("/livez")
    async def livez() -> PlainTextResponse:
        """200 as long as the process answers at all."""
        return PlainTextResponse("alive\n")

    @router.get("/readyz")
    async def readyz() -> Response:
        """200 while requests are answered, 503 before and after; the body is the phase."""
        if lifecycle.accepts_requests:
            return PlainTextResponse(f"{lifecycle.phase}\n")
        retry_after_s = lifecycle.not_ready().retry_after_s
        return PlainTextResponse(f"{lifecycle.phase}\n", 503, headers={"Retry-After": str(retry_after_s)})

    @router.get("/health")
    async def health() -> JSONResponse:
        """The whole state: 200 while requests are answered, 503 otherwise."""
        return JSONResponse(_health(settings, lifecycle, gpu), 200 if lifecycle.accepts_requests else 503)

    @router.get("/version")
    async def versions() -> JSONResponse:
        """This version and those of the libraries that matter."""
        return JSONResponse({"version": __version__, "libraries": _library_versions()})

    @router.get("/metrics")
    async def scrape() -> PlainTextResponse:
        """For Prometheus."""
        metrics.ready.set(lifecycle.phase is Phase.READY)
        return PlainTextResponse(metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router


def _health(settings: Settings, lifecycle: Lifecycle, gpu: GpuFacts) -> dict[str, object]:
    left = lifecycle.estimated_seconds_left
    return {
        "status": _STATUS.get(lifecycle.phase, _LOADING),
        "phase": lifecycle.phase,
        "detail": lifecycle.detail or None,
        "model": settings.model_name,
        "model_loaded": lifecycle.phase is Phase.READY,
        "profile": settings.performance_profile,
        "quantization": settings.quantization,
        "engine": lifecycle.engine.engine if lifecycle.engine else None,
        "engine_reason": lifecycle.engine.reason if lifecycle.engine else None,
        "device": lifecycle.engine.device if lifecycle.engine else None,
        "gpu_available": gpu.available,
        "progress": None if lifecycle.progress is None else round(lifecycle.progress, 2),
        "estimated_seconds_left": None if left is None else round(left, 1),
        "uptime_s": round(lifecycle.uptime_s, 1),
        "figures": asdict(lifecycle.figures) if lifecycle.figures else None,
    }


def _library_versions() -> dict[str, str]:
    found = {}
    for name in _REPORTED_LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue  # an image for another engine has other libraries
    return found
