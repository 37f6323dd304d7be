"""One log for everything: structlog's own lines and those of libraries, as JSON or for people, on standard error."""

import logging
import sys
from collections.abc import Sequence
from typing import TextIO, cast

import structlog
from structlog.typing import Processor

from llm_gateway.telemetry.standard_error import StandardError

_FIRST = ("timestamp", "level", "event")


_SHARED: Sequence[Processor] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


def configure_logging(level: str, *, json: bool) -> None:
    """Send every line to standard error; called once, before anything logs."""
    standard_error = cast(
        "TextIO", StandardError(_tell_of_lost_lines)
    )  # what both loggers use of a text stream, it has
    structlog.configure(
        processors=[*_SHARED, _tidy, *_renderers(json=json)],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=standard_error),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(standard_error)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(json=json)],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Uvicorn announces its own start and stop, which the phases do better; what goes wrong in it is still logged.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)


def _tell_of_lost_lines(number: int) -> None:
    structlog.get_logger().warning("log lines lost", lines=number, why="whoever reads the log did not for a while")


def _renderers(*, json: bool) -> list[Processor]:
    if json:
        return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(sort_keys=False)]
    # Its own way with exceptions shows every variable on the way, keys and prompts among them.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=20, exception_formatter=plain)]


def _tidy(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Put first what every line has, where eyes look for it, and leave out what is not known."""
    first = {key: event.pop(key) for key in _FIRST if key in event}
    return first | {key: value for key, value in event.items() if value is not None}
