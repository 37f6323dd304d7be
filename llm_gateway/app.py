"""The wiring: every part is made here and given what it needs. The only module that imports everything."""

import asyncio
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

import machine
from llm_gateway import __version__
from llm_gateway.access.keys import KeyRing
from llm_gateway.api.access_check import access_check
from llm_gateway.api.description import describe_errors
from llm_gateway.api.docs_page import ASSETS, docs_route
from llm_gateway.api.error_bodies import (
    on_gateway_error,
    on_http_exception,
    on_invalid_body,
    on_too_deep_body,
    on_unexpected_error,
)
from llm_gateway.api.native.routes import NativeApi, native_routes
from llm_gateway.api.ollama.routes import ollama_routes
from llm_gateway.api.openai.routes import OpenAiApi, openai_routes
from llm_gateway.api.operations import operation_routes
from llm_gateway.api.parts import ApiParts
from llm_gateway.api.request_middleware import RequestMiddleware
from llm_gateway.api.shared_routes import shared_routes
from llm_gateway.api.tgi.routes import TgiApi, tgi_routes
from llm_gateway.bring_up import BringUp
from llm_gateway.drain import drain
from llm_gateway.errors import GatewayError, StartUpRefusal
from llm_gateway.generator import Generator
from llm_gateway.lifecycle import Lifecycle, Phase
from llm_gateway.models.engine_choice import wanted_families
from llm_gateway.models.pool import ModelPool
from llm_gateway.models.shelf import Shelf
from llm_gateway.settings import Settings
from llm_gateway.telemetry.endings import Endings
from llm_gateway.telemetry.metrics import Metrics
from llm_gateway.tokenization import Tokenization
from model_store.layout import StoreLayout

_log = structlog.get_logger()


class Gateway:
    """The application that a server runs, from its first second to its exit code."""

    def __init__(self, settings: Settings, keys: KeyRing, stop_server: Callable[[], None]) -> None:
        """Make it; nothing is loaded and nothing listens before a server runs it.

        Raises:
            SettingsError: a setting cannot be used.
        """
        self._settings = settings
        self._stop_server = stop_server
        self._lifecycle = Lifecycle()
        self._pool = ModelPool(settings)
        metrics = Metrics()
        self._generator = Generator(settings, self._lifecycle, self._pool, Endings(metrics.accept, metrics.end))
        self._watch(metrics)
        self._draining: asyncio.Task[None] | None = None
        self._hurry = asyncio.Event()
        self.exit_code = 0
        self.asgi: ASGIApp = RequestMiddleware(
            self._api(metrics),
            access=access_check(settings, keys),
            max_body_bytes=settings.max_request_bytes,
            body_timeout_s=settings.request_read_timeout_s,
            slow_reader_timeout_s=settings.slow_reader_timeout_s,
            ended=metrics.count,
        )

    def _watch(self, metrics: Metrics) -> None:
        places, work_done = self._generator.places, self._pool.work_done
        metrics.watch("requests_running", "Requests that hold a place", lambda: places.taken)
        metrics.watch("tokens_inside", "Tokens that requests hold room for, prompts and answers", lambda: places.tokens)
        metrics.watch_count("engine_steps", "Steps that the engine has finished", lambda: work_done.steps)
        metrics.watch_count(
            "engine_tokens",
            "Tokens that the engine has made, those that nobody took included",
            lambda: work_done.tokens,
        )

    def _api(self, metrics: Metrics) -> FastAPI:
        settings = self._settings
        # The page at /docs is served from here: a browser in a server room has no other place to get its script from.
        api = FastAPIOffline(
            title="Preheat",
            version=__version__,
            lifespan=self._lifespan,
            docs_url=None,
            redoc_url=None,
            static_url=ASSETS,
        )
        api.include_router(docs_route(api.title, api.openapi_url))
        parts = self._parts()
        native, openai, tgi = NativeApi(parts), OpenAiApi(parts), TgiApi(parts)
        api.include_router(operation_routes(settings, self._lifecycle, metrics, machine.find_gpu()))
        api.include_router(shared_routes(self._lifecycle, native, openai, tgi))
        api.include_router(native_routes(native))
        api.include_router(openai_routes(openai))
        api.include_router(tgi_routes(tgi))
        api.include_router(ollama_routes(parts))
        api.add_exception_handler(GatewayError, on_gateway_error)
        api.add_exception_handler(RequestValidationError, on_invalid_body)
        api.add_exception_handler(HTTPException, on_http_exception)
        api.add_exception_handler(RecursionError, on_too_deep_body)
        api.add_exception_handler(Exception, on_unexpected_error)
        describe_errors(api)
        return api

    def _parts(self) -> ApiParts:
        settings = self._settings
        return ApiParts(
            settings=settings,
            lifecycle=self._lifecycle,
            generator=self._generator,
            tokenization=Tokenization(self._generator),
            shelf=Shelf(
                StoreLayout(settings.model_store.expanduser()),
                settings.model_name,
                settings.quantization,
                wanted_families(settings),
            ),
        )

    @asynccontextmanager
    async def _lifespan(self, _api: FastAPI) -> AsyncIterator[None]:
        """Start bringing the model up, and return at once: the server listens after this, and tells what goes on."""
        loop = asyncio.get_running_loop()
        bring_up = BringUp(self._settings, self._lifecycle, self._pool, self._generator)
        bringing_up = asyncio.create_task(bring_up.run())
        bringing_up.add_done_callback(self._on_bring_up_ended)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_signal, number, bringing_up)
        yield
        await self._unload(bringing_up, "the gateway has stopped")

    def _on_signal(self, number: int, bringing_up: asyncio.Task[None]) -> None:
        """Drain at the first signal, and stop without waiting at the second."""
        if self._draining is None:
            _log.info("stopping", signal=signal.Signals(number).name, running=self._generator.places.taken)
            if self._lifecycle.phase is not Phase.READY:
                bringing_up.cancel()  # nothing that runs depends on it, and a model that comes up now is of no use
            self._draining = asyncio.create_task(self._drain_and_stop(bringing_up))
        else:
            self._hurry.set()

    async def _drain_and_stop(self, bringing_up: asyncio.Task[None]) -> None:
        await drain(self._lifecycle, self._generator.places, self._settings.drain_timeout_s, self._hurry)
        await self._unload(bringing_up, "the gateway is stopping, and the time to finish has passed")
        self._stop_server()

    async def _unload(self, bringing_up: asyncio.Task[None], farewell: str) -> None:
        bringing_up.cancel()  # first, or it would take the worker's end for a crash
        await asyncio.wait({bringing_up})
        await self._pool.close(farewell)

    def _on_bring_up_ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        self.exit_code = error.exit_code if isinstance(error, StartUpRefusal) else 1
        _log.error("cannot serve", reason=str(error), exit_code=self.exit_code, exc_info=_unexpected(error))
        self._stop_server()


def _unexpected(error: BaseException | None) -> BaseException | None:
    """A refusal is a sentence; anything else is a bug, and needs its traceback."""
    return None if isinstance(error, StartUpRefusal) else error
