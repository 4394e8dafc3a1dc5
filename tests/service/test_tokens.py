"""Making, using, rotating and ending tokens."""

from datetime import timedelta
from pathlib import Path

import pytest

from debug_mcp.auth.principal import LOCAL, Principal, Scope
from debug_mcp.auth.tokens import new_secret
from debug_mcp.config import Settings
from debug_mcp.errors import Conflict, InvalidInput, NotFound, PermissionDenied
from debug_mcp.models.tokens import TokenCreate, TokenSecretView, TokenState
from debug_mcp.service.services import Services
from debug_mcp.service.tokens import TokenService

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def tokens(services: Services) -> TokenService:
    return services.tokens


async def make(tokens: TokenService, name: str = "ada", **arguments: object) -> TokenSecretView:
    asked = {"name": name, "scopes": ["session:read"], **arguments}
    return await tokens.create(LOCAL, TokenCreate.model_validate(asked))


async def test_a_token_stands_for_its_owner_with_its_scopes_and_repositories(
    tokens: TokenService,
) -> None:
    made = await make(
        tokens, "ci", owner="ada", scopes=["session:read", "command:run"], repositories=["app"]
    )
    held = await tokens.verify(made.secret)
    assert held is not None
    scopes = frozenset({Scope.SESSION_READ, Scope.COMMAND_RUN})
    assert held.principal == Principal("ada", scopes, frozenset({"app"}))


async def test_what_was_never_made_opens_nothing(tokens: TokenService) -> None:
    made = await make(tokens)
    assert await tokens.verify(new_secret()) is None
    assert await tokens.verify(made.secret[:-1]) is None
    assert await tokens.verify(made.token_id) is None
    assert await tokens.verify("") is None


async def test_a_secret_is_in_no_list_and_in_no_file(
    tokens: TokenService, settings: Settings
) -> None:
    made = await make(tokens)
    listed = (await tokens.listing(LOCAL)).model_dump_json()
    assert made.token_id in listed
    assert made.secret not in listed
    files = [path for path in settings.data_dir.rglob("*") if path.is_file()]
    assert any(made.token_id.encode() in path.read_bytes() for path in files)
    assert not any(made.secret.encode() in path.read_bytes() for path in files)


async def test_a_revoked_token_opens_nothing_and_stays_in_the_list(tokens: TokenService) -> None:
    made = await make(tokens)
    await tokens.revoke(LOCAL, "ada")
    assert await tokens.verify(made.secret) is None
    assert await tokens.valid() == set()
    [listed] = (await tokens.listing(LOCAL)).tokens
    assert listed.state is TokenState.REVOKED


async def test_the_name_of_a_revoked_token_is_free(tokens: TokenService) -> None:
    first = await make(tokens)
    with pytest.raises(Conflict, match="there is a token 'ada'"):
        await make(tokens)
    await tokens.revoke(LOCAL, first.token_id)
    second = await make(tokens)
    assert await tokens.verify(second.secret) is not None


async def test_an_expired_token_opens_nothing(tokens: TokenService) -> None:
    made = await make(tokens, expires_in_seconds=1e-6)
    assert await tokens.verify(made.secret) is None
    assert await tokens.valid() == set()
    [listed] = (await tokens.listing(LOCAL)).tokens
    assert listed.state is TokenState.EXPIRED


async def test_rotating_ends_the_old_secret_and_keeps_everything_else(
    tokens: TokenService,
) -> None:
    old = await make(tokens, expires_in_seconds=30 * 24 * 3600)
    new = await tokens.rotate(LOCAL, "ada")
    assert await tokens.verify(old.secret) is None
    held = await tokens.verify(new.secret)
    assert held is not None
    assert (held.token_id, held.principal.name) == (old.token_id, "ada")
    assert new.expires_at is not None
    assert old.expires_at is not None
    assert timedelta(0) <= new.expires_at - old.expires_at < timedelta(minutes=5)


async def test_rotating_again_and_again_lets_a_token_live_no_longer(tokens: TokenService) -> None:
    await make(tokens, expires_in_seconds=30 * 24 * 3600)
    rotated = await tokens.rotate(LOCAL, "ada", 60)
    for _ in range(3):
        before = rotated.expires_at
        rotated = await tokens.rotate(LOCAL, "ada")
        assert rotated.expires_at is not None
        assert before is not None
        assert rotated.expires_at - before < timedelta(seconds=30)


async def test_the_use_of_a_token_is_noted_once_a_minute(tokens: TokenService) -> None:
    made = await make(tokens)
    await tokens.verify(made.secret)
    [first] = (await tokens.listing(LOCAL)).tokens
    assert first.last_used_at is not None
    await tokens.verify(made.secret)
    [second] = (await tokens.listing(LOCAL)).tokens
    assert second.last_used_at == first.last_used_at


async def test_an_unknown_name_is_answered_with_those_that_there_are(
    tokens: TokenService,
) -> None:
    await make(tokens, "release")
    with pytest.raises(NotFound) as caught:
        await tokens.revoke(LOCAL, "relase")
    assert caught.value.candidates == ("release",)


async def test_an_unknown_scope_is_answered_with_those_that_there_are(
    tokens: TokenService,
) -> None:
    with pytest.raises(InvalidInput, match="'session:reed'") as caught:
        await make(tokens, scopes=["session:reed"])
    assert caught.value.candidates[0] == "session:read"
    assert set(caught.value.candidates) == set(Scope)


async def test_no_token_stands_for_the_person_who_uses_stdio(tokens: TokenService) -> None:
    with pytest.raises(InvalidInput, match="stdio"):
        await make(tokens, "local")
    with pytest.raises(InvalidInput, match="stdio"):
        await make(tokens, "ada", owner="local")


async def test_tokens_are_for_the_administrator(tokens: TokenService) -> None:
    ada = Principal("ada", frozenset(Scope) - {Scope.ADMIN})
    args = TokenCreate(name="more", scopes=["admin"])
    with pytest.raises(PermissionDenied, match="admin"):
        await tokens.create(ada, args)
    with pytest.raises(PermissionDenied, match="admin"):
        await tokens.listing(ada)
    with pytest.raises(PermissionDenied, match="admin"):
        await tokens.revoke(ada, "x")
    with pytest.raises(PermissionDenied, match="admin"):
        await tokens.rotate(ada, "x")


async def test_the_first_token_may_come_from_the_operator(tokens: TokenService) -> None:
    secret = new_secret()
    await tokens.bootstrap(secret)
    await tokens.bootstrap(secret)  # as at each start
    held = await tokens.verify(secret)
    assert held is not None
    assert held.principal.scopes == frozenset(Scope)
    assert len((await tokens.listing(LOCAL)).tokens) == 1


async def test_another_first_token_takes_the_place_of_the_one_before(
    tokens: TokenService,
) -> None:
    old, new = new_secret(), new_secret()
    await tokens.bootstrap(old)
    await tokens.bootstrap(new)
    assert await tokens.verify(old) is None
    assert await tokens.verify(new) is not None


async def test_a_first_token_that_was_revoked_stays_so(tokens: TokenService) -> None:
    secret = new_secret()
    await tokens.bootstrap(secret)
    await tokens.revoke(LOCAL, "bootstrap")
    with pytest.raises(Conflict, match="revoked"):
        await tokens.bootstrap(secret)
    assert await tokens.verify(secret) is None


async def test_a_weak_first_token_is_refused(tokens: TokenService) -> None:
    with pytest.raises(InvalidInput, match="DEBUG_MCP_BOOTSTRAP_TOKEN is no token"):
        await tokens.bootstrap("secret")
