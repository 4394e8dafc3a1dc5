"""What a caller is shown of a command, at each of its ends."""

import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from debug_mcp.models.base import now
from debug_mcp.models.commands import Command, CommandRun, CommandState, Outcome, QueueView
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.service.command_views import command_row, command_view

ASKED: dict[str, Any] = {
    "session_id": "s_1",
    "command": "make test",
    "cwd": "src",
    "env": {"A": "1"},
    "wait_seconds": 0,
    "idempotency_key": "k",
}
# What is asked again: all of it, but for what belongs to that one call.
AGAIN = {"session_id": "s_1", "command": "make test", "cwd": "src", "env": {"A": "1"}}


def finished(outcome: Outcome, exit_code: int | None = None, **facts: Any) -> Command:
    asked = {**ASKED, **facts.pop("asked", {})}
    ended = Command(
        id="c_1",
        session_id="s_1",
        principal="local",
        state=CommandState.FINISHED,
        request=CommandRun(**asked),
        accepted_at=now() - timedelta(seconds=60),
        started_at=now() - timedelta(seconds=60),
        ended_at=now(),
        elapsed_seconds=59.96,
        outcome=outcome,
        exit_code=exit_code,
    )
    return replace(ended, **facts)


def running(**facts: Any) -> Command:
    begun = finished(Outcome.SUCCEEDED, 0)
    return replace(
        begun, state=CommandState.RUNNING, outcome=None, exit_code=None, ended_at=None, **facts
    )


def shown(
    command: Command, folder: Path, output: bytes | None = b"", **options: Any
) -> dict[str, Any]:
    """Write an output, and return the view as a caller gets it."""
    if output is not None:
        (folder / "output").write_bytes(output)
    return command_view(command, folder, **options).compact()


def test_a_success_is_told_in_few_words(tmp_path: Path) -> None:
    assert shown(finished(Outcome.SUCCEEDED, 0), tmp_path, b"fine\n") == {
        "command_id": "c_1",
        "state": "finished",
        "outcome": "succeeded",
        "exit_code": 0,
        "elapsed_seconds": 60.0,
        "output": {"text": "fine\n", "total_bytes": 5},
    }


@pytest.mark.parametrize(
    ("exit_code", "signal"),
    [(139, "SIGSEGV"), (137, "SIGKILL"), (134, "SIGABRT"), (130, "SIGINT"), (1, None), (128, None),
     (255, None), (127, None)],
)  # fmt: skip
def test_an_exit_by_a_signal_names_it(tmp_path: Path, exit_code: int, signal: str | None) -> None:
    assert shown(finished(Outcome.FAILED, exit_code), tmp_path).get("signal") == signal


def test_a_running_command_says_how_long_it_is_silent_once_it_has_said_something(
    tmp_path: Path,
) -> None:
    for output in (None, b""):
        view = shown(running(), tmp_path, output)
        assert "last_output_age_seconds" not in view
    (tmp_path / "output").write_bytes(b"begun\n")
    os.utime(tmp_path / "output", (now().timestamp() - 7,) * 2)
    view = shown(running(), tmp_path, None)
    assert 7 <= view["last_output_age_seconds"] < 60
    assert 500 < view["deadline_in_seconds"] <= 540
    assert view["next"] == {
        "tool": "command_wait",
        "arguments": {"command_id": "c_1", "wait_seconds": 50, "since": 6},
    }


def test_a_character_that_is_not_whole_yet_is_left_for_the_next_look(tmp_path: Path) -> None:
    view = shown(running(), tmp_path, "x\u20ac".encode()[:-1])
    assert view["output"]["text"] == "x"
    assert view["next"]["arguments"]["since"] == 1


@pytest.mark.parametrize(
    ("queue", "said"),
    [
        (QueueView(ahead=1, waits_for="c_0"), "it starts when c_0 has ended; "),
        (QueueView(ahead=3, waits_for="c_0"), "it starts when c_0 has ended, and 2 more; "),
        (QueueView(ahead=0, places=8), "it starts when one of the 8 places"),
    ],
)
def test_a_queued_command_says_what_it_waits_for(
    tmp_path: Path, queue: QueueView, said: str
) -> None:
    queued = replace(running(started_at=None), state=CommandState.QUEUED)
    view = command_view(queued, tmp_path, 0, queue).compact()
    assert view["state"] == "queued"
    assert view["queue"] == queue.compact()
    assert view["hint"].startswith(said)
    assert "elapsed_seconds" not in view
    assert view["next"]["tool"] == "command_wait"


def test_a_list_shows_the_beginning_of_what_was_asked(tmp_path: Path) -> None:
    command = finished(Outcome.FAILED, 2, asked={"command": ["echo", "a b", "x" * 500]})
    row = command_row(command).compact()
    assert row["command"].startswith("echo 'a b' xxx")
    assert len(row["command"]) == 201
    assert (row["outcome"], row["exit_code"]) == ("failed", 2)
    assert "parallel" not in row


def test_a_timeout_offers_the_same_call_with_more_time(tmp_path: Path) -> None:
    view = shown(finished(Outcome.TIMED_OUT, asked={"timeout_seconds": 60}), tmp_path, b"x")
    assert view["limit"] == {"name": "timeout_seconds", "value": 60}
    assert "exit_code" not in view
    assert view["next"]["arguments"] == {**AGAIN, "timeout_seconds": 180}
    assert isinstance(view["next"]["arguments"]["timeout_seconds"], int)


def test_a_timeout_that_cannot_be_longer_offers_nothing(tmp_path: Path) -> None:
    view = shown(finished(Outcome.TIMED_OUT, asked={"timeout_seconds": 86400}), tmp_path, b"x")
    assert "next" not in view
    nearly = finished(Outcome.TIMED_OUT, asked={"timeout_seconds": 80_000})
    assert shown(nearly, tmp_path)["next"]["arguments"]["timeout_seconds"] == 86_400


@pytest.mark.parametrize(
    ("output", "quiet", "said"),
    [
        (b"", 0, "it printed nothing before its time was over"),
        (b"...", 0, "perhaps slow rather than stuck"),
        (b"...", 41, "it had printed nothing for 41.0 s when its time was over"),
    ],
)
def test_a_timeout_tells_slow_from_stuck(
    tmp_path: Path, output: bytes, quiet: int, said: str
) -> None:
    command = finished(Outcome.TIMED_OUT)
    assert command.ended_at is not None
    (tmp_path / "output").write_bytes(output)
    os.utime(tmp_path / "output", (command.ended_at.timestamp() - quiet,) * 2)
    assert said in shown(command, tmp_path, None)["hint"]


def test_silence_that_ended_a_command_names_its_limit(tmp_path: Path) -> None:
    command = finished(Outcome.IDLE_TIMED_OUT, asked={"idle_timeout_seconds": 5})
    assert shown(command, tmp_path)["limit"] == {"name": "idle_timeout_seconds", "value": 5}


def test_a_lost_command_was_not_run_again_and_can_be(tmp_path: Path) -> None:
    view = shown(finished(Outcome.LOST), tmp_path, b"half")
    assert view["outcome"] == "lost"
    assert view["output"]["text"] == "half"
    assert "was not run again" in view["hint"]
    assert view["next"] == {"tool": "command_run", "arguments": AGAIN}


def test_output_over_the_limit_says_how_much_is_missing(tmp_path: Path) -> None:
    command = finished(Outcome.OUTPUT_LIMIT, 0, output_bytes=4, output_dropped=96)
    view = shown(command, tmp_path, b"kept")
    assert view["limit"] == {"name": "output_bytes", "value": 4}
    assert "96 bytes were dropped" in view["hint"]


@pytest.mark.parametrize(
    "output",
    [
        b"curl: (6) Could not resolve host: example.org\n",
        b"socket.gaierror: [Errno -3] Temporary failure in name resolution\n",
        b"npm error code EAI_AGAIN\n",
        b"dial tcp: lookup proxy.example.org: no such host\n",
        b"error: failed to lookup address information: Temporary failure\n",
        b"ssh: Could not resolve hostname x: Temporary failure in name resolution\n",
        b"OSError: [Errno 101] Network is unreachable\n",
    ],
)
def test_a_command_that_lacked_the_network_is_offered_it(tmp_path: Path, output: bytes) -> None:
    view = shown(finished(Outcome.FAILED, 6), tmp_path, output)
    assert "network: true" in view["hint"]
    assert view["next"] == {"tool": "command_run", "arguments": {**AGAIN, "network": True}}
    had = finished(Outcome.FAILED, 6, asked={"network": True})
    assert "next" not in shown(had, tmp_path, output)
    assert "next" not in shown(finished(Outcome.SUCCEEDED, 0), tmp_path, output)
    forbidden = shown(finished(Outcome.FAILED, 6), tmp_path, output, network=NetworkPolicy.OFF)
    assert "operator" in forbidden["hint"]
    assert "next" not in forbidden
    unbounded = shown(finished(Outcome.FAILED, 6), tmp_path, output, network=None)
    assert "hint" not in unbounded


@pytest.mark.parametrize(
    "output",
    [
        b"ConnectionRefusedError: [Errno 111] Connection refused\n",
        b"curl: (22) The requested URL returned error: 404\n",
        b"could not resolve the type of x\n",
        b"AssertionError: the network is slow\n",
    ],
)
def test_what_says_nothing_of_a_network_is_not_offered_one(tmp_path: Path, output: bytes) -> None:
    assert "next" not in shown(finished(Outcome.FAILED, 1), tmp_path, output)


def test_what_could_not_be_started_has_no_output_and_says_why(tmp_path: Path) -> None:
    command = finished(
        Outcome.SPAWN_FAILED, message="bwrap: execvp pytst: No such file or directory"
    )
    view = shown(command, tmp_path, b"bwrap: ...")
    assert "output" not in view
    assert view["hint"].startswith("program_not_found: pytst")
    assert shown(finished(Outcome.SPAWN_FAILED), tmp_path)["hint"] == "it could not be started"


@pytest.mark.parametrize(
    "message",
    ["bwrap: Can't chdir to /workspace/src: No such file or directory",
     "/data/sessions/s_1/tree/src: No such file or directory",
     "/data/sessions/s_1/tree/src: Not a directory"],
)  # fmt: skip
def test_a_folder_that_is_not_there_is_told_from_a_program_that_is_not(
    tmp_path: Path, message: str
) -> None:
    view = shown(finished(Outcome.SPAWN_FAILED, message=message), tmp_path)
    assert view["hint"] == "cwd: there is no folder 'src' in the tree"
