"""Tokens: shown once, kept as a hash, with a role, and ended for good when revoked."""

from __future__ import annotations

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from acd.control.tokens import Bearer, Role, TokenStore, tokens
from acd.database import reading
from acd.errors import ConfigError
from tests.support.clock import FakeClock


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store(engine: AsyncEngine, clock: FakeClock) -> TokenStore:
    return TokenStore(engine, clock)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.AGENT])
async def test_a_token_opens_what_its_role_is_for(store: TokenStore, role: Role) -> None:
    assert await store.verify(await store.create("ops", role)) == Bearer(role)


async def test_an_agents_token_says_whose_it_is(store: TokenStore) -> None:
    token = await store.create("desk", Role.AGENT, "anna")
    for _ in range(2):  # From the database, and from what is remembered.
        assert await store.verify(token) == Bearer(Role.AGENT, "anna")
    assert [(info.role, info.agent) for info in await store.list()] == [(Role.AGENT, "anna")]


@pytest.mark.parametrize(("role", "agent"), [(Role.AGENT, ""), (Role.VIEWER, "anna"), (Role.ADMIN, "anna")])
async def test_only_a_token_of_the_role_agent_has_an_agent(store: TokenStore, role: Role, agent: str) -> None:
    with pytest.raises(ConfigError, match="name the agent"):
        await store.create("ops", role, agent)


async def test_the_database_holds_no_token_in_plain(store: TokenStore, engine: AsyncEngine) -> None:
    plain = await store.create("ops", Role.ADMIN)
    async with reading(engine) as connection:
        row = (await connection.execute(select(tokens))).one()
    assert plain not in str(row)
    assert plain.removeprefix("acd_") not in str(row)


async def test_no_two_tokens_are_alike_and_each_can_be_told_by_its_beginning(store: TokenStore) -> None:
    made = [await store.create(f"n{number}", Role.VIEWER) for number in range(5)]
    assert len(set(made)) == 5
    assert all(token.startswith("acd_") and len(token) == 47 for token in made)


@pytest.mark.parametrize(
    "token", ["", "acd_", "acd_" + "x" * 43, "acd_" + "x" * 44, "x" * 100_000, "acd_ä" * 9]
)
async def test_what_was_never_made_opens_nothing(store: TokenStore, token: str) -> None:
    assert await store.verify(token) is None


async def test_a_name_is_given_once_even_after_it_was_revoked(store: TokenStore) -> None:
    await store.create("ops", Role.VIEWER)
    with pytest.raises(ConfigError, match="'ops' was made before; choose another name"):
        await store.create("ops", Role.ADMIN)
    await store.revoke("ops")
    with pytest.raises(ConfigError, match="was made before"):
        await store.create("ops", Role.ADMIN)


@pytest.mark.parametrize("name", ["", "two words", "x" * 65, "a\nb", "ä"])
async def test_a_name_that_could_confuse_a_log_is_refused(store: TokenStore, name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a token"):
        await store.create(name, Role.VIEWER)


async def test_a_revoked_token_is_refused_at_once_here_and_within_seconds_by_other_nodes(
    store: TokenStore, engine: AsyncEngine, clock: FakeClock
) -> None:
    token = await store.create("ops", Role.ADMIN)
    other_node = TokenStore(engine, clock)
    assert await other_node.verify(token) == Bearer(Role.ADMIN)
    assert await store.verify(token) == Bearer(Role.ADMIN)
    await store.revoke("ops")
    assert await store.verify(token) is None
    clock.advance(5.0)
    assert await other_node.verify(token) is None


async def test_a_token_made_elsewhere_works_at_once(
    store: TokenStore, engine: AsyncEngine, clock: FakeClock
) -> None:
    token = await TokenStore(engine, clock).create("ops", Role.VIEWER)
    assert await store.verify(token) == Bearer(Role.VIEWER)


async def test_revoking_what_is_not_in_force_says_so(store: TokenStore) -> None:
    with pytest.raises(ConfigError, match="no token named 'ops' in force"):
        await store.revoke("ops")
    await store.create("ops", Role.VIEWER)
    await store.revoke("ops")
    with pytest.raises(ConfigError, match="no token named 'ops' in force"):
        await store.revoke("ops")


async def test_the_list_tells_all_but_the_secrets(store: TokenStore, clock: FakeClock) -> None:
    await store.create("first", Role.VIEWER)
    clock.advance(10)
    await store.create("second", Role.ADMIN)
    await store.revoke("first")
    first, second = await store.list()
    assert (first.name, first.role, first.revoked_at) == ("first", Role.VIEWER, clock.time())
    assert (second.name, second.role, second.revoked_at) == ("second", Role.ADMIN, None)
    assert second.created_at - first.created_at == 10


def test_each_role_covers_those_below_it() -> None:
    covered = {role: {other for other in Role if role.covers(other)} for role in Role}
    assert covered == {
        Role.VIEWER: {Role.VIEWER},
        Role.SUPERVISOR: {Role.VIEWER, Role.SUPERVISOR},
        Role.ADMIN: set(Role) - {Role.AGENT},
        Role.AGENT: {Role.AGENT},
    }
