"""Every way in which a fetch can fail: each with its exit code and with advice that a person can follow at night.

    FetchError
    +-- SettingError               2   a setting is wrong
    +-- UnknownModelError         10   no such repository, revision or folder
    +-- HubUnreachableError       11   no network, or the hub does not answer
    +-- GatedWithoutTokenError    12   the model asks for a token and there is none
    +-- TermsNotAcceptedError     13   there is a token, but its owner has not been granted the model
    +-- TokenWithoutAccessError   14   the token itself is invalid or lacks the permission
    +-- DiskTooSmallError         15   the volume is full, or would be
    +-- VolumeNotWritableError    16   the volume belongs to someone else or is read-only
    +-- NotEnoughMemoryError      17   the conversion needs more memory than there is
    +-- HashMismatchError         18   files differ from what their publisher states
    +-- CannotConvertError        19   nothing here can prepare this architecture
    |   +-- OnlyTransformersError 19   the same, but the transformers engine could serve its originals
    +-- ModelDisagreesError       20   the converted model answers differently from its source
    +-- NothingUsableError        21   the repository has no weights that may be used
    +-- BundleDamagedError        22   a bundle is incomplete or altered
    +-- NotOnVolumeError          23   a command names a model that is not published
    +-- Interrupted              130   somebody stopped it

A message says what was found and what was expected; `advice` says what to do.
"""

import errno
import os
from pathlib import Path
from typing import ClassVar

OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NOT_WRITABLE = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class FetchError(Exception):
    """The base: a sentence about what happened, and a sentence about what to do."""

    exit_code: ClassVar[int] = 1
    advice: str = ""

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.reason = message
        if advice is not None:
            self.advice = advice

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}; {self.advice}" if self.advice else message


class SettingError(FetchError):
    """A setting has a value that cannot be used; the message names the key and the value."""

    exit_code = 2
    advice = "correct it in .env (or in the environment) and start again"


class UnknownModelError(FetchError):
    """The repository, the revision or the folder does not exist, or is private."""

    exit_code = 10
    advice = "check the spelling of MODEL_NAME; a private repository needs an HF_TOKEN that may read it"


class HubUnreachableError(FetchError):
    """The hub did not answer within all attempts, or going online is forbidden."""

    exit_code = 11
    advice = (
        "check the network, HTTPS_PROXY, SSL_CERT_FILE and HF_ENDPOINT, then start again: what is downloaded is kept; "
        "without a network, import a bundle that another machine made with `python -m model_fetcher export FILE`"
    )


class GatedWithoutTokenError(FetchError):
    """The model is gated and no token was given."""

    exit_code = 12


class TermsNotAcceptedError(FetchError):
    """The model is gated and the token's owner has not been granted access."""

    exit_code = 13


class TokenWithoutAccessError(FetchError):
    """The hub knows the repository but refuses this token."""

    exit_code = 14


class DiskTooSmallError(FetchError):
    """The volume lacks room; the message carries what is needed and what is free where both are known."""

    exit_code = 15
    advice = "make room (python -m model_fetcher list, then remove MODEL) or use a larger volume, and start again"


class VolumeNotWritableError(FetchError):
    """The volume cannot be written by the user that this process runs as."""

    exit_code = 16


class NotEnoughMemoryError(FetchError):
    """The conversion would not fit, or was killed because it did not."""

    exit_code = 17
    advice = (
        "give the fetcher more memory, or convert on a larger machine and move the result with "
        "`python -m model_fetcher export FILE` and `import FILE`"
    )


class HashMismatchError(FetchError):
    """Files still differ from their publisher's hashes after they were fetched again."""

    exit_code = 18
    advice = "start again; if it repeats, a proxy or mirror (HF_ENDPOINT) alters files, or the disk is failing"


class CannotConvertError(FetchError):
    """The architecture, or this model of it, cannot be prepared."""

    exit_code = 19
    advice = (
        "choose a model of a supported family (Llama, Qwen, Mistral, Gemma, Phi and others), or a repository that "
        "already holds OpenVINO IR, such as those at https://huggingface.co/OpenVINO"
    )


class OnlyTransformersError(CannotConvertError):
    """The converter cannot convert this architecture, and the transformers engine serves it from its originals."""


class ModelDisagreesError(FetchError):
    """The converted model does not follow its source; nothing was published."""

    exit_code = 20
    advice = "try QUANTIZATION=int8 or none, which stay closer to the source; if it repeats, please report the model"


class NothingUsableError(FetchError):
    """There are no weights that this version can, or may, use."""

    exit_code = 21


class BundleDamagedError(FetchError):
    """A bundle's content does not match its own manifest."""

    exit_code = 22
    advice = "copy it again from the machine that exported it, or export it again"


class NotOnVolumeError(FetchError):
    """The command needs a published model and there is none."""

    exit_code = 23
    advice = "`python -m model_fetcher list` shows what there is; `docker compose run --rm model_fetcher` fetches it"


class Interrupted(FetchError):  # noqa: N818 - it is not an error of anybody's
    """SIGTERM or Ctrl-C."""

    exit_code = 130
    advice = "what is downloaded stays, and the next start goes on from there"


def from_os_error(error: OSError, store: Path) -> FetchError | None:
    """Turn a full or unwritable volume into its sentence; None for any other failure of the operating system."""
    if error.errno in OUT_OF_SPACE:
        return DiskTooSmallError(f"the disk is full ({error.strerror} while writing below {store})")
    if error.errno in NOT_WRITABLE:
        path = Path(str(error.filename or store))
        if not path.is_relative_to(store) and not store.is_relative_to(path):
            return FetchError(f"{path}: {error.strerror} for the user {_me()}", "let that user in (chown or chmod)")
        return not_writable(path, store, read_only=error.errno == errno.EROFS)
    return None


def not_writable(path: Path, store: Path, *, read_only: bool) -> VolumeNotWritableError:
    """Say who owns the nearest existing folder, who asks, and which command mends it."""
    # os.path, because Path.exists raises below a folder that may not even be looked into.
    while not os.path.exists(path) and path != path.parent:  # noqa: PTH110
        path = path.parent
    if read_only:
        return VolumeNotWritableError(
            f"{path} is mounted read-only, but the fetcher must write there",
            f"mount {store} writable for the fetcher (only the gateway may have it read-only)",
        )
    owner = path.stat()
    return VolumeNotWritableError(f"{path} is owned by {owner.st_uid}:{owner.st_gid}, I run as {_me()}", _chown(store))


def _me() -> str:
    return f"{os.getuid()}:{os.getgid()}"


def _chown(store: Path) -> str:
    if Path("/.dockerenv").exists() or Path("/run/.containerenv").exists():
        as_root = "--user 0:0 --cap-add CHOWN --cap-add DAC_OVERRIDE --entrypoint chown"
        return f"run: docker compose run --rm {as_root} model_fetcher -R {_me()} {store}"
    return f"run: sudo chown -R {_me()} {store}"
