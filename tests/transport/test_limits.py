"""Token buckets, with a clock of their own."""

import socket

import pytest

from debug_mcp.errors import Busy
from debug_mcp.transport.http import listen
from debug_mcp.transport.limits import AtOnce, Buckets


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    buckets = Buckets(2, 3, clock)
    assert [buckets.take("ada") for _ in range(3)] == [0, 0, 0]
    assert buckets.take("ada") == pytest.approx(0.5)
    clock.now += 0.5
    assert buckets.take("ada") == 0
    assert buckets.take("ada") > 0


def test_a_refused_call_costs_nothing() -> None:
    clock = Clock()
    buckets = Buckets(1, 1, clock)
    buckets.take("ada")
    for _ in range(10):
        assert buckets.take("ada") == pytest.approx(1)
    clock.now += 1
    assert buckets.take("ada") == 0


def test_a_long_rest_fills_a_bucket_no_further_than_its_burst() -> None:
    clock = Clock()
    buckets = Buckets(1, 2, clock)
    buckets.take("ada")
    clock.now += 1000
    assert [buckets.take("ada") == 0 for _ in range(3)] == [True, True, False]


def test_callers_do_not_share_a_bucket() -> None:
    buckets = Buckets(1, 1, Clock())
    assert buckets.take("ada") == 0
    assert buckets.take("ada") > 0
    assert buckets.take("bob") == 0


def test_a_flood_of_keys_takes_no_more_than_its_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("debug_mcp.transport.limits._KEYS", 2)
    buckets = Buckets(1, 1, Clock())
    for key in ("a", "b", "a", "c"):
        buckets.take(key)
    assert buckets.take("a") > 0, "the one that was used last must be remembered"
    assert buckets.take("b") == 0, "the oldest is forgotten"


def test_requests_at_once_are_counted_by_key_and_given_back() -> None:
    at_once = AtOnce(1)
    with at_once.one("ada"):
        with at_once.one("bob"):
            pass
        with pytest.raises(Busy, match="1 requests"), at_once.one("ada"):
            pass
    with at_once.one("ada"):
        pass


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with (
        listen("127.0.0.1", 0) as listening,
        socket.create_connection(listening.getsockname()),
        listening.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
