"""The fetcher's front door: `python -m model_fetcher` prepares the model that the settings name, and ends.

    python -m model_fetcher                 plan, fetch, verify, convert, publish
    python -m model_fetcher list            what is on the volume
    python -m model_fetcher verify          hash everything that is on the volume
    python -m model_fetcher remove [MODEL]  remove a model, by default the one that MODEL_NAME names
    python -m model_fetcher export FILE     write the published model into a bundle
    python -m model_fetcher import FILE     publish a bundle that another machine exported

Whatever goes wrong ends as one sentence and a documented exit code, never as a traceback.
"""

import argparse
import logging
import signal
import sys
from pathlib import Path
from typing import NoReturn

from model_fetcher import commands
from model_fetcher.errors import FetchError, Interrupted, from_os_error
from model_fetcher.pipeline import prepare
from model_fetcher.settings import Settings, load_settings
from model_store.layout import StoreLayout
from model_store.manifest import ManifestUnreadableError

log = logging.getLogger("model_fetcher")


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line asks; returns the exit code."""
    command = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGINT, _interrupt)
    try:
        settings = load_settings()
        _set_up_log(settings)
        return _run(command, settings)
    except FetchError as error:
        return _fail(error, error.exit_code)
    except KeyboardInterrupt as stop:
        return _fail(Interrupted(f"stopped by {stop}"), Interrupted.exit_code)
    except Exception as error:
        log.debug("error: this was not foreseen", exc_info=True)
        advice = "this was not foreseen: please report it, with the output under LOG_LEVEL=debug"
        return _fail(FetchError(f"{type(error).__name__}: {error}", advice), FetchError.exit_code)


def _run(command: argparse.Namespace, settings: Settings) -> int:
    layout = StoreLayout(settings.model_store.expanduser())
    try:
        match command.command:
            case None:
                prepare(settings, layout)
            case "list":
                commands.list_models(layout)
            case "verify":
                commands.verify_all(layout)
            case "remove":
                commands.remove_model(layout, command.model or settings.model_name)
            case "export":
                commands.export_model(settings, layout, command.file)
            case "import":
                commands.import_model(layout, command.file)
    except ManifestUnreadableError as error:
        return _fail(error, 1)
    except OSError as error:
        explained = from_os_error(error, layout.root)
        if explained is None:
            return _fail(error, 1)
        return _fail(explained, explained.exit_code)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m model_fetcher", description="Prepare what MODEL_NAME names.")
    subcommands = parser.add_subparsers(dest="command", metavar="COMMAND")
    subcommands.add_parser("list", help="what is on the volume")
    subcommands.add_parser("verify", help="hash everything that is on the volume")
    remove = subcommands.add_parser("remove", help="remove a model from the volume")
    remove.add_argument("model", nargs="?", help="as in MODEL_NAME (default: the current MODEL_NAME)")
    for name, help_text in (("export", "write the published model into a bundle"), ("import", "publish a bundle")):
        subcommands.add_parser(name, help=help_text).add_argument("file", type=Path)
    return parser


def _set_up_log(settings: Settings) -> None:
    # On a terminal a line first wipes the progress bar that may stand where it goes.
    line = "\r\x1b[2K%(message)s" if sys.stdout.isatty() else "%(message)s"
    logging.basicConfig(stream=sys.stdout, level=settings.log_level.upper(), format=line)
    # The client's own lines name every request; they are for debugging, and headers are never among them.
    for library in ("httpx", "httpcore", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)


def _interrupt(number: int, _frame: object) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Not an Exception: logging and other libraries swallow those, and the signal may come while they are at work.
    raise KeyboardInterrupt(signal.Signals(number).name)


def _fail(error: Exception, exit_code: int) -> int:
    sys.stdout.flush()
    sys.stderr.write(f"error: {error}\n")
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
