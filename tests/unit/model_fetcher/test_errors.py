"""The error tree: documented, distinct, and every error with advice."""

import errno
import os
from pathlib import Path

import pytest

from model_fetcher import errors
from model_fetcher.errors import FetchError, from_os_error

ALL = FetchError.__subclasses__()


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = {
        words[1]: int(words[2])
        for line in (errors.__doc__ or "").splitlines()
        if (words := line.split())[:1] == ["+--"]
    }
    assert drawn == {error.__name__: error.exit_code for error in ALL}


def test_no_two_errors_share_an_exit_code() -> None:
    codes = [error.exit_code for error in ALL]
    assert len(codes) == len(set(codes))
    assert {0, 1}.isdisjoint(codes)


@pytest.mark.parametrize("error", ALL)
def test_what_a_person_reads_is_a_sentence_and_its_advice(error: type[FetchError]) -> None:
    assert str(error("this was found", "do that")) == "this was found; do that"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_recognised_wherever_it_strikes(number: int) -> None:
    explained = from_os_error(OSError(number, os.strerror(number)), Path("/models"))
    assert isinstance(explained, errors.DiskTooSmallError)


def test_a_source_that_may_not_be_read_is_not_taken_for_the_volume() -> None:
    denied = PermissionError(errno.EACCES, "Permission denied", "/mine/model.safetensors")
    explained = from_os_error(denied, Path("/models"))
    assert type(explained) is FetchError
    assert str(explained).startswith("/mine/model.safetensors: Permission denied for the user ")


def test_other_failures_of_the_system_are_not_explained_away() -> None:
    assert from_os_error(OSError(errno.EIO, "Input/output error"), Path("/models")) is None
