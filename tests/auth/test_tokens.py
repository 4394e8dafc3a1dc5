"""The form of secrets."""

import pytest

from debug_mcp.auth.tokens import digest, is_secret, new_secret


def test_every_new_secret_is_another_one_and_is_recognised() -> None:
    made = {new_secret() for _ in range(100)}
    assert len(made) == 100
    assert all(is_secret(secret) for secret in made)


@pytest.mark.parametrize(
    "text",
    ["", "dmcp_", "x", new_secret()[:-1], new_secret() + "A", new_secret() + "\n",
     new_secret().upper(), new_secret().replace("dmcp_", "dmcp-")],
    ids=["empty", "prefix", "short", "cut", "long", "newline", "upper", "other prefix"],
)  # fmt: skip
def test_what_has_not_the_form_is_no_secret(text: str) -> None:
    assert not is_secret(text)


def test_what_is_stored_of_a_secret_is_its_sha256() -> None:
    known = "1a3102d856a6425b6aa7d51f8a38ea8be9d972339e644763809d0ef161259cea"
    assert digest("dmcp_" + "A" * 43) == known
