"""Where a call comes from: the address, and the id of the request that brought it."""

import contextlib
import secrets
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Origin:
    """``peer`` is an address; None for a process of this machine that needed none."""

    request_id: str
    peer: str | None = None


_origin: ContextVar[Origin | None] = ContextVar("origin", default=None)


def new_origin(peer: str | None = None) -> Origin:
    """Return the origin of a request under a fresh id, 64 random bits."""
    return Origin(secrets.token_hex(8), peer)


def origin() -> Origin:
    """Return where the present call comes from."""
    return _origin.get() or new_origin()


def present_request() -> str | None:
    """Return the id of the request that is being served; None where there is none."""
    known = _origin.get()
    return None if known is None else known.request_id


@contextlib.contextmanager
def coming_from(known: Origin) -> Iterator[None]:
    """Say where all comes from that is called in the block."""
    reset = _origin.set(known)
    try:
        yield
    finally:
        _origin.reset(reset)
