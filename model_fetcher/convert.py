"""Runs the conversion in a child process and turns what it reports into progress, a result, or a sentence.

A child, because torch and OpenVINO keep the memory they once took, and because a crash or a kill for lack of memory in
native code must end as a sentence and not as the end of the fetcher.
"""

import logging
import selectors
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import msgspec

from machine import available_memory, usable_cpus
from model_fetcher.converters.messages import Failure, FailureKind, Request, Result, Step, decode_event
from model_fetcher.errors import (
    CannotConvertError,
    DiskTooSmallError,
    FetchError,
    ModelDisagreesError,
    NotEnoughMemoryError,
    OnlyTransformersError,
)
from model_fetcher.plan import MEMORY_FOR_LIBRARIES_BYTES, Conversion, Download, Plan, refuse_what_cannot_fit
from model_fetcher.progress import Progress
from model_fetcher.settings import Settings, child_environment
from model_fetcher.sources import Source
from model_store.layout import StoreLayout

log = logging.getLogger(__name__)
CONVERTER_MODULE = "model_fetcher.converters.openvino"
CHECK_BEFORE_FETCHING_BYTES = 256 << 20
"""Asking whether an architecture can be converted takes seconds: worth it before a download of minutes."""
_BEAT_EVERY_S = 1.0
_GRACE_S = 5.0
_TAIL_CHARACTERS = 2000

_ERRORS: dict[FailureKind, type[FetchError]] = {
    FailureKind.ARCHITECTURE: CannotConvertError,
    FailureKind.ONLY_TRANSFORMERS: OnlyTransformersError,
    FailureKind.DISAGREEMENT: ModelDisagreesError,
    FailureKind.DISK: DiskTooSmallError,
    FailureKind.MEMORY: NotEnoughMemoryError,
}


def refuse_unknown_architecture(
    plan: Plan, layout: StoreLayout, source: Source, settings: Settings, progress: Progress
) -> None:
    """Before a large download, and before a refusal for lack of room, ask whether there would be a conversion at all.

    Raises:
        OnlyTransformersError: there would be none, but the originals can be served.
        CannotConvertError: this architecture is not among those that the converter knows.
    """
    if plan.conversion is None or not _is_worth_asking(plan, layout):
        return
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        folder = plan.conversion.folder
        if plan.download is not None:
            folder = scratch
            _bring_configuration(plan.download, source, scratch)
        _run(_request(plan.conversion, folder, scratch, settings, check_only=True), progress)


def _bring_configuration(download: Download, source: Source, folder: Path) -> None:
    """Bring config.json, and the code beside it where that is allowed to come along."""
    for file in download.files:
        if file.path == "config.json" or file.path.endswith(".py"):
            (folder / file.path).write_text(source.read_text(file.path), encoding="utf-8")


def _is_worth_asking(plan: Plan, layout: StoreLayout) -> bool:
    """Asking takes seconds, and memory for the libraries: where that is missing, the refusal that follows says more."""
    if plan.damaged_source is not None or available_memory().available_bytes < MEMORY_FOR_LIBRARIES_BYTES:
        return False
    download = plan.download
    if download is not None and download.total_bytes - download.present_bytes >= CHECK_BEFORE_FETCHING_BYTES:
        return True
    try:
        refuse_what_cannot_fit(plan, layout)
    except (DiskTooSmallError, NotEnoughMemoryError):
        return True
    return False


def convert(
    conversion: Conversion, source: Path, output: Path, settings: Settings, progress: Progress, lock: int
) -> Result:
    """Convert the model in `source` into the empty folder `output`, compared with its source.

    The child holds the volume's `lock` as well: should this process be killed, it writes on for a moment.

    Raises:
        FetchError: the architecture is unknown, the result disagrees, or memory or disk ran out.
    """
    return _run(_request(conversion, source, output, settings, check_only=False), progress, keep_open=(lock,))


def _request(conversion: Conversion, source: Path, output: Path, settings: Settings, *, check_only: bool) -> Request:
    return Request(
        source=str(source),
        output=str(output),
        precision=conversion.precision,
        threads=usable_cpus().threads,
        trust_remote_code=settings.trust_remote_code,
        allow_pickle=settings.allow_pickle,
        check_only=check_only,
    )


def _run(request: Request, progress: Progress, keep_open: tuple[int, ...] = ()) -> Result:
    """Feed the child its request; its standard input stays open, so that it notices when this process dies."""
    progress.begin("convert", "starting the converter")
    with tempfile.TemporaryFile() as noise:
        child = subprocess.Popen(
            [sys.executable, "-m", CONVERTER_MODULE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=noise,
            env=child_environment(request.threads),
            pass_fds=keep_open,
            bufsize=0,
        )
        try:
            outcome = _converse(child, request, progress)
            status = child.wait()
        finally:
            _end(child)
        return _settle(outcome, status, noise)


def _converse(child: subprocess.Popen[bytes], request: Request, progress: Progress) -> Result | Failure | None:
    if child.stdin is None or child.stdout is None:
        raise ValueError("the converter was started without its pipes")
    try:
        child.stdin.write(msgspec.json.encode(request) + b"\n")
    except BrokenPipeError:
        return None  # it is dead already; its exit status says more
    return _listen(child.stdout, progress)


def _listen(stdout: IO[bytes], progress: Progress) -> Result | Failure | None:
    """Follow the child's events to the last one, showing every second or so that it is alive."""
    step = "starting the converter"
    outcome: Result | Failure | None = None
    for line in _lines_or_beats(stdout):
        event = decode_event(line) if line else None
        if isinstance(event, Step):
            step = event.doing
            log.debug("convert: %s", step)
        elif event is not None:
            outcome = event
        progress.beat("convert", step)
    return outcome


def _lines_or_beats(stdout: IO[bytes]) -> Iterator[bytes]:
    """Yield each line as it comes, and an empty one whenever a second passes without; ends with the stream."""
    with selectors.DefaultSelector() as selector:
        selector.register(stdout, selectors.EVENT_READ)
        while True:
            if not selector.select(_BEAT_EVERY_S):
                yield b""
                continue
            # One event is one short line, written at once, so this does not wait for the rest of it.
            line = stdout.readline()
            if not line:
                return
            yield line


def _settle(outcome: Result | Failure | None, status: int, noise: IO[bytes]) -> Result:
    noise.seek(0)
    said = noise.read().decode(errors="replace")
    log.debug("convert: the libraries said:\n%s", said[-_TAIL_CHARACTERS:])
    if isinstance(outcome, Result):
        return outcome
    if isinstance(outcome, Failure):
        raise _ERRORS[outcome.kind](outcome.message)
    if status == -signal.SIGKILL:
        raise NotEnoughMemoryError("the converter was killed, which the kernel does when memory runs out")
    last = said.strip().splitlines()[-1:] or ["it said nothing"]
    raise CannotConvertError(f"the converter ended with status {status} ({last[0]})")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Leave no child behind, whatever interrupted the wait."""
    if child.stdin is not None and not child.stdin.closed:
        child.stdin.close()
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()
