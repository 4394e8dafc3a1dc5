"""What a server says of its boundary."""

import pytest

from debug_mcp.cli.boundary import boundary_said, in_container
from debug_mcp.models.sessions import Isolation


def test_a_sandbox_is_named_as_the_boundary() -> None:
    said = boundary_said(Isolation.BWRAP, contained=True, uid=0)
    assert said == "each session has a sandbox of its own"


@pytest.mark.parametrize(
    ("contained", "uid", "boundary"),
    [
        (True, 10001, "as user 10001 and can reach all sessions, this container is the only"),
        (False, 1000, "as user 1000 and can reach all sessions, the rights of user 1000 are the"),
        (False, 0, "as root and can reach all sessions, the rights of root are the only boundary"),
    ],
)
def test_without_a_sandbox_it_says_what_is_left(contained: bool, uid: int, boundary: str) -> None:
    assert boundary in boundary_said(Isolation.NONE, contained=contained, uid=uid)


def test_a_container_is_known_by_the_variable_of_its_manager(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("container", "oci")
    assert in_container()
