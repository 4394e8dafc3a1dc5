"""Prompts: whole jobs told as calls that are ready to send."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcp.types import GetPromptResult, Prompt, PromptArgument, PromptMessage, TextContent

from debug_mcp.errors import DebugMcpError, InvalidInput
from debug_mcp.interfaces.errors import protocol_error
from debug_mcp.models.sessions import WorkSession
from debug_mcp.operations.registry import Call

_SUITE = "pytest -q"
_REF_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Template:
    """A prompt, and what writes it: from its arguments, and the session that they name if any."""

    prompt: Prompt
    write: Callable[[Mapping[str, str], WorkSession | None], str]


def _sent(tool: str, **arguments: object) -> str:
    return f"`{tool} {json.dumps(arguments, ensure_ascii=False)}`"


def _debug(given: Mapping[str, str], session: WorkSession | None) -> str:
    session_id = session.id if session else "SESSION"
    test = given.get("test")
    start = "1. The session is open."
    if session is None:
        where = {"repository": given["repository"]} if "repository" in given else {}
        start = f"1. Open a private tree: {_sent('session_create', **where)}. SESSION is its id."
    alone = ["python", "-m", "pytest", "-q", "-x", test or "TEST"]
    again = _sent("command_run", session_id=session_id, command=alone)
    suite = _sent("command_run", session_id=session_id, command=_SUITE)
    run = f"Run the test alone: {again}."
    if test is None:
        run = f"Run the tests: {suite}. Pick one failure, TEST, and run it alone: {again}."
    look = _sent("command_run", session_id=session_id, command="sed -n '1,120p' PATH")
    return f"""\
Find out why {f"the test {test}" if test else "a test"} fails, and prove it.

{start}
2. {run} Expect a non-zero exit code: that is an answer, not an error.
   While `state` is not `finished`, send the call in `next`.
3. Read the code at the lines that the failure names: {look}.
   What was cut from an output is read with `command_output`, mode `range`.
4. Say in one sentence what is wrong, and which observation shows it. Test that with a small
   experiment in the session before you change anything: /tmp and the tree are yours.
5. Make the smallest change that mends the cause, and run the test alone again.
6. Run everything: {suite}. Nothing that passed before may fail now.
7. Hand it over: {_sent("session_export", session_id=session_id)}.
   Show the person its `fetch` line.

Answer with the cause, the change, and the command ids of the failing and the passing run.
"""


def _review(given: Mapping[str, str], session: WorkSession | None) -> str:
    command = given.get("command") or _SUITE
    repository = {"repository": given["repository"]} if "repository" in given else {}
    head, base_ref = "HEAD_SESSION", given.get("ref", "HEAD")
    opened = _sent("session_create", **repository, ref=base_ref, patch="PATCH")
    start = f"The tree with the patch: {opened}. HEAD_SESSION is its id."
    if session is not None:
        head, base_ref = session.id, session.base[:_REF_CHARACTERS]
        start = f"The tree with the patch is session {head}, which started at {base_ref}."
    base = _sent("session_create", **repository, ref=base_ref)
    changed = _sent("command_run", session_id=head, command=f"git diff {base_ref}")
    on_base = _sent("command_run", session_id="BASE_SESSION", command=command)
    on_head = _sent("command_run", session_id=head, command=command)
    return f"""\
Review a patch by what it does, not by what it says.

1. {start}
2. The same commit without it: {base}. BASE_SESSION is its id.
3. Read what the patch changes: {changed}.
4. Run the same command on both sides: {on_base} and {on_head}.
   While a `state` is not `finished`, send the call in its `next`.
5. Compare. Name the tests that fail only with the patch, those that it mends, and those that fail
   on both sides. Run a test that flipped once more on both sides before you believe it.
6. Try to break it: write a test of what the patch claims, and of an edge that it does not mention,
   and run it on both sides. The trees are yours.
7. Close both: {_sent("session_close", session_id="BASE_SESSION")} and
   {_sent("session_close", session_id=head)}.

Answer with a verdict, the evidence for each point as the ids of the two commands, and what you did
not check.
"""


_SESSION = PromptArgument(name="session_id", description="an open session; else one is opened")
_REPOSITORY = PromptArgument(
    name="repository", description="name or path; optional when there is only one"
)

TEMPLATES = (
    Template(
        Prompt(
            name="debug_failing_test",
            title="Debug a failing test",
            description="Find out why a test fails, mend it, and prove it.",
            arguments=[
                _SESSION,
                _REPOSITORY,
                PromptArgument(name="test", description="id, such as tests/test_x.py::test_y"),
            ],
        ),
        _debug,
    ),
    Template(
        Prompt(
            name="review_patch_with_evidence",
            title="Review a patch with evidence",
            description="Run the same tests with and without a patch, and judge it by what flips.",
            arguments=[
                PromptArgument(name="session_id", description="an open session with the patch"),
                _REPOSITORY,
                PromptArgument(name="ref", description="what the patch is for; default HEAD"),
                PromptArgument(name="command", description=f"what to run; default {_SUITE}"),
            ],
        ),
        _review,
    ),
)


def prompt_named(name: str) -> Template:
    """Return a prompt.

    Raises:
        InvalidInput: There is none of this name.
    """
    for template in TEMPLATES:
        if template.prompt.name == name:
            return template
    known = [template.prompt.name for template in TEMPLATES]
    raise InvalidInput(f"unknown prompt {name!r}", field="name", candidates=known)


async def get_prompt(call: Call, name: str, given: Mapping[str, str]) -> GetPromptResult:
    """Return a prompt's text for some arguments.

    Raises:
        MCPError: There is no such prompt or argument, or no such session of the caller's.
    """
    try:
        template = prompt_named(name)
        known = [argument.name for argument in template.prompt.arguments or ()]
        for key in given:
            if key not in known:
                raise InvalidInput(f"unknown argument {key!r}", field=key, candidates=known)
        # An empty field of a form means that nothing was given.
        filled = {key: value for key, value in given.items() if value.strip()}
        session = None
        if "session_id" in filled:
            session = await call.services.sessions.ready(call.principal, filled["session_id"])
    except DebugMcpError as error:
        raise protocol_error(error) from error
    text = template.write(filled, session)
    return GetPromptResult(
        description=template.prompt.description,
        messages=[PromptMessage(role="user", content=TextContent(type="text", text=text))],
    )
