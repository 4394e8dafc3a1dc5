"""Reading what a command wrote, in every mode, over every way in."""

from pathlib import Path

import pytest

from debug_mcp.config import IsolationPolicy, Settings
from tests.clients import Agent, opened
from tests.upstream import Upstream

pytestmark = [pytest.mark.anyio, pytest.mark.bwrap]

TROUBLE = r"""
echo 'a.c:3:5: error: x undeclared'
for i in $(seq 3000); do echo line $i; done
printf '10%%\r50%%\r100%%\n\033[31mred\033[0m\n'
python3 -c 'raise ValueError("bad")'
for i in 1 2 3; do echo 'npm ERR! code E404'; done
exit 2
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", isolation=IsolationPolicy.REQUIRE_BWRAP)


@pytest.fixture
async def command(agent: Agent, upstream: Upstream) -> str:
    """A command that ended with much output."""
    session = await agent.call("session_create", repository=str(upstream.path))
    view = await agent.call(
        "command_run", session_id=session["session_id"], command=TROUBLE, wait_seconds=50
    )
    assert view["exit_code"] == 2
    command: str = view["command_id"]
    return command


async def test_pages_in_order_make_the_whole_output(agent: Agent, command: str) -> None:
    head = await agent.call("command_output", command_id=command, mode="head", length="10000")
    assert head["mode"] == "head"
    text, offset = head["output"]["text"], head["output"]["next_offset"]
    while offset is not None:
        page = await agent.call("command_output", command_id=command, offset=offset, length=20_000)
        assert page["mode"] == "range"
        assert page["output"]["offset"] == offset
        text += page["output"]["text"]
        offset = page["output"].get("next_offset")
    assert [line for line in text.split("\n") if line.startswith("line ")] == [
        f"line {n}" for n in range(1, 3001)
    ]
    assert "100%\nred\n" in text
    assert text.endswith("npm ERR! code E404\n" * 3)


async def test_escape_codes_are_shown_to_who_asks(agent: Agent, command: str) -> None:
    shown = await agent.call("command_output", command_id=command, length=500)
    assert "100%\nred\n" in shown["output"]["text"]
    raw = await agent.call("command_output", command_id=command, length=500, raw=True)
    assert "10%\r50%\r100%\n\x1b[31mred\x1b[0m\n" in raw["output"]["text"]
    # The offsets are those of the bytes, whatever is shown.
    for key in ("offset", "total_bytes"):
        assert shown["output"][key] == raw["output"][key]


async def test_a_text_is_found_with_its_place_and_what_is_around(
    agent: Agent, command: str
) -> None:
    found = await agent.call("command_output", command_id=command, pattern="line 2999", context=1)
    assert found["mode"] == "search"
    [match] = found["matches"]
    assert (match["text"], match["line"]) == ("line 2999", 3000)
    assert (match["before"], match["after"]) == (["line 2998"], ["line 3000"])
    assert found["total_matches"] == 1
    there = await agent.call("command_output", command_id=command, offset=match["offset"], length=9)
    assert there["output"]["text"] == "line 2999"


async def test_many_matches_are_paged_by_offset(agent: Agent, command: str) -> None:
    arguments = {"command_id": command, "mode": "search", "pattern": "re:^line 29\\d\\d$"}
    first = await agent.call("command_output", **arguments, limit=60)
    assert first["total_matches"] == 100
    rest = await agent.call("command_output", **arguments, limit=60, offset=first["next_offset"])
    assert rest["total_matches"] == 40
    assert "next_offset" not in rest
    texts = [match["text"] for page in (first, rest) for match in page["matches"]]
    assert texts == [f"line {n}" for n in range(2900, 3000)]
    assert [match["line"] for match in rest["matches"]] == list(range(2961, 3001))


async def test_what_is_not_there_is_said_to_be_not_there(agent: Agent, command: str) -> None:
    found = await agent.call("command_output", command_id=command, pattern="LINE")
    assert found["total_matches"] == 0
    assert found["hint"] == "not found"
    assert "matches" not in found


async def test_errors_are_picked_out_of_thousands_of_lines(agent: Agent, command: str) -> None:
    found = await agent.call("command_output", command_id=command, mode="errors")
    assert [(error["kind"], error["text"], error.get("count")) for error in found["errors"]] == [
        ("compiler", "a.c:3:5: error: x undeclared", None),
        ("traceback", "ValueError: bad", None),
        ("npm", "npm ERR! code E404", 3),
    ]
    assert found["errors"][1]["at"] == "<string>:1"
    assert found["total_errors"] == 5


async def test_a_page_that_cannot_be_is_refused(agent: Agent, command: str) -> None:
    cases: list[tuple[dict[str, object], str, str]] = [
        ({"mode": "search"}, "pattern", "needs a pattern"),
        ({"mode": "tail", "pattern": "x"}, "pattern", "pattern is for mode search"),
        ({"mode": "head", "offset": 5}, "offset", "give mode range"),
        ({"pattern": "re:("}, "pattern", "no RE2 pattern: missing )"),
        ({"pattern": ""}, "pattern", "is empty"),
        ({"mode": "grep"}, "mode", "should be"),
        ({"length": 0}, "length", "greater than or equal to 1"),
        ({"offset": -1}, "offset", "greater than or equal to 0"),
        ({"offset": 1e30}, "offset", "offset"),
    ]
    for arguments, field, said in cases:
        refused = await agent.refused("command_output", command_id=command, **arguments)
        assert refused["error"]["code"] == "invalid_input"
        assert refused["error"]["field"] == field
        assert said in refused["error"]["message"]
        if "next" in refused:
            await agent.follow(refused)


async def test_an_offset_beyond_the_end_shows_nothing_and_says_how_much_there_is(
    agent: Agent, command: str
) -> None:
    page = await agent.call("command_output", command_id=command, offset=10**12)
    assert page["output"]["text"] == ""
    assert page["output"]["offset"] == page["output"]["total_bytes"]


async def test_when_a_line_was_written_is_said(agent: Agent, upstream: Upstream) -> None:
    session = await opened(agent, upstream)
    slow = "echo begins; sleep 0.6; echo 'ValueError: late' >&2"
    view = await agent.call("command_run", session_id=session, command=slow)
    asked = {"command_id": view["command_id"]}
    first, last = (await agent.call("command_output", **asked))["written_seconds"]
    assert first <= last - 0.5
    found = await agent.call("command_output", **asked, pattern="late")
    assert found["matches"][0]["after_seconds"] == last
    errors = await agent.call("command_output", **asked, mode="errors")
    assert errors["errors"][0]["after_seconds"] == last
