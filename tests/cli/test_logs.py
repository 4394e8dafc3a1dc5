"""Lines of JSON: what an exception may say, and what becomes of a reader that is stuck."""

import io
import json
import logging
import sys
import threading

import pytest

from debug_mcp.auth.tokens import new_secret
from debug_mcp.cli.logs import PENDING, Behind, JsonLines, json_logs
from debug_mcp.service.origins import Origin, coming_from

_log = logging.getLogger("debug_mcp.somewhere")


def lines_of(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_exception_says_where_it_was_raised_and_not_what_it_quotes() -> None:
    stream = io.StringIO()
    with json_logs(stream):
        try:
            raise ValueError("PASSWORD=hunter2")
        except ValueError:
            _log.exception("it failed")
        try:
            raise OSError(28, "No space left on device", "/secret/path")
        except OSError:
            _log.warning("the disk", exc_info=True)
    first, second = lines_of(stream)
    assert (first["level"], first["message"]) == ("error", "it failed")
    exception = first["exception"]
    assert isinstance(exception, dict)
    assert exception["type"] == "ValueError"
    assert exception["frames"][-1].endswith("not_what_it_quotes")
    assert second["exception"]["why"] == "No space left on device"  # type: ignore[index]
    assert "hunter2" not in stream.getvalue()
    assert "/secret" not in stream.getvalue()


def test_a_line_names_the_request_that_it_was_written_for_and_no_secret() -> None:
    stream, secret = io.StringIO(), new_secret()
    with json_logs(stream), coming_from(Origin("0123", "192.0.2.1")):
        _log.warning("no method %s\nsecond line", secret)
    [line] = lines_of(stream)
    assert line["request_id"] == "0123"
    assert line["message"] == "no method dmcp_...\nsecond line"


def test_before_and_after_the_log_is_what_it_was() -> None:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger("debug_mcp").level
    with json_logs(io.StringIO()):
        pass
    assert logging.getLogger().handlers == handlers
    assert logging.getLogger("debug_mcp").level == level


def test_lines_that_nobody_reads_are_lost_and_counted() -> None:
    reads = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            reads.wait()
            return super().write(text)

    stream = Stuck()
    handler = Behind(stream)
    handler.setFormatter(JsonLines())
    for number in range(PENDING + 100):
        handler.handle(logging.LogRecord("x", logging.INFO, "", 0, str(number), (), None))
    reads.set()
    handler.close()
    lines = lines_of(stream)
    lost = [line["lines"] for line in lines if line.get("event") == "lines_lost"]
    shown = [line for line in lines if "event" not in line]
    assert len(shown) + sum(int(str(number)) for number in lost) == PENDING + 100
    assert lost
    assert sys.stderr is not stream


@pytest.mark.parametrize("text", ["", "\u2028\x00\x1b[2J", "a" * 100_000])
def test_any_message_is_one_line(text: str) -> None:
    stream = io.StringIO()
    with json_logs(stream):
        _log.warning("%s", text)
    [line] = [json.loads(part) for part in stream.getvalue().rstrip("\n").split("\n")]
    assert line["message"] == text[:1000]
