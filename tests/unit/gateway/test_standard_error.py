import fcntl
import os
import tty

import pytest

from llm_gateway.telemetry.standard_error import StandardError

SMALLEST_PIPE_BYTES = 4096


def _small_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, SMALLEST_PIPE_BYTES)
    return reader, writer


def test_lines_that_nobody_reads_are_kept_in_order() -> None:
    reader, writer = _small_pipe()
    stream = StandardError(lambda number: pytest.fail(f"{number} lines are lost"), writer)
    lines = [f"line {number} {'x' * 100}\n" for number in range(1000)]
    for line in lines:
        stream.write(line)
    with os.fdopen(reader) as log:
        assert [log.readline() for _ in lines] == lines
        os.close(writer)


def test_what_cannot_be_kept_is_counted_and_told_when_lines_are_taken_again() -> None:
    reader, writer = _small_pipe()

    def tell(number: int) -> None:
        stream.write(f"lost {number}\n")

    stream = StandardError(tell, writer, most_kept_bytes=10_000)
    lines = [f"line {number} {'x' * 1000}\n" for number in range(100)]
    for line in lines:
        stream.write(line)
    with os.fdopen(reader) as log:
        taken = []
        while (line := log.readline()).startswith("line"):
            taken.append(line)
        assert line == f"lost {len(lines) - len(taken)}\n"
        stream.write("and on\n")
        assert log.readline() == "and on\n"
        os.close(writer)
    assert len(taken) >= 10
    assert taken == lines[: len(taken)]


def test_a_line_longer_than_a_pipe_arrives_whole() -> None:
    reader, writer = _small_pipe()
    stream = StandardError(lambda number: pytest.fail(f"{number} lines are lost"), writer)
    line = "x" * 50_000 + "\n"
    stream.write(line)
    stream.write("the next\n")
    with os.fdopen(reader) as log:
        assert (log.readline(), log.readline()) == (line, "the next\n")
        os.close(writer)


def test_a_reader_that_is_gone_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    stream = StandardError(lambda number: pytest.fail(f"{number} lines are lost"), writer)
    assert stream.write("is anybody there?\n") == 18
    os.close(writer)


def test_whoever_logs_in_the_middle_of_a_line_is_not_waited_for_by_itself() -> None:
    """The garbage collector may run anywhere, and what it collects may have something to log."""
    reader, writer = _small_pipe()
    stream = StandardError(lambda number: pytest.fail(f"{number} lines are lost"), writer)
    with stream._lock:
        stream.write("in the middle\n")
    with os.fdopen(reader) as log:
        assert log.readline() == "in the middle\n"
        os.close(writer)


def test_a_terminal_is_written_to_by_a_thread_since_it_may_be_on_hold() -> None:
    ours, terminal = os.openpty()
    tty.setraw(terminal)
    stream = StandardError(lambda number: pytest.fail(f"{number} lines are lost"), terminal)
    lines = [f"line {number} {'x' * 1000}\n" for number in range(50)]
    for line in lines:  # more than a terminal keeps: a writer that waited would wait for ever
        stream.write(line)
    received = b""
    while len(received) < sum(map(len, lines)):
        received += os.read(ours, 1 << 16)
    assert received.decode() == "".join(lines)
    os.close(ours)
    os.close(terminal)


def test_where_no_thread_can_be_had_lines_wait_for_the_next_one_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = _small_pipe()
    stream = StandardError(lambda number: pytest.fail(f"{number} lines are lost"), writer)
    long = "x" * 50_000 + "\n"  # never taken at once

    def refuse(_thread: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr("threading.Thread.start", refuse)
        stream.write(long)
    stream.write("the next\n")
    with os.fdopen(reader) as log:
        assert (log.readline(), log.readline()) == (long, "the next\n")
        os.close(writer)
