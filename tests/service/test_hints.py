"""Which end stands when a command was to be cancelled."""

from dataclasses import replace

from debug_mcp.models.commands import Outcome
from debug_mcp.service.hints import not_cancelled
from tests.service.test_command_views import finished, running


def test_the_end_that_stands_is_named() -> None:
    cancelled, ended = finished(Outcome.CANCELLED), finished(Outcome.SUCCEEDED, 0)
    assert not_cancelled(running(), cancelled) is None
    assert "by itself before the cancel reached it" in str(not_cancelled(running(), ended))
    assert "before it was to be cancelled" in str(not_cancelled(ended, ended))
    assert "has not yet" in str(not_cancelled(running(), replace(running())))


def test_one_that_was_cancelled_before_needs_no_word() -> None:
    cancelled = finished(Outcome.CANCELLED)
    assert not_cancelled(cancelled, cancelled) is None
