"""How the demo talks to a person, and to the server: every step is shown, and must be right."""

import json
import time
from typing import Any

from mcp import Client
from mcp.types import TextContent

_SHOWN_ARGUMENT = 60
_INDENT = "    "


class DemoFailed(Exception):
    """Raised when a step is not as it should be; the message says which and how."""


class Stage:
    """A client whose calls are printed with what came back."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin the next step."""
        self._steps += 1
        print(f"\n{self._steps}. {title}")

    def note(self, text: str) -> None:
        """Print a text, indented."""
        for line in text.rstrip().splitlines():
            print(f"{_INDENT}{line}".rstrip())

    def expect(self, condition: object, what: str) -> None:
        """Go on only if it is so.

        Raises:
            DemoFailed: It is not.
        """
        if not condition:
            raise DemoFailed(what)

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool, print the call and its answer as a model is shown them; return the facts.

        Raises:
            DemoFailed: The tool refused.
        """
        shown = ", ".join(f"{key}={_short(value)}" for key, value in arguments.items())
        print(f"  > {tool}({shown})")
        began = time.perf_counter()
        result = await self._client.call_tool(tool, arguments)
        took = (time.perf_counter() - began) * 1000
        for block in result.content:
            if isinstance(block, TextContent):
                self.note(block.text)
        print(f"{_INDENT}({took:.0f} ms)")
        self.expect(not result.is_error, f"{tool} refused")
        facts: dict[str, Any] = result.structured_content
        return facts

    async def follow(self, view: dict[str, Any]) -> dict[str, Any]:
        """Wait until a command has ended."""
        while view["state"] != "finished":
            view = await self.call(view["next"]["tool"], **view["next"]["arguments"])
        return view

    async def read(self, uri: str) -> str:
        """Read a text resource, print its beginning, and return it.

        Raises:
            DemoFailed: It is not a text.
        """
        print(f"  > resources/read {uri}")
        contents = (await self._client.read_resource(uri)).contents
        text = getattr(contents[0], "text", None)
        if not isinstance(text, str):
            raise DemoFailed(f"{uri} is not a text")
        self.note(text[:300] + (" …" if len(text) > 300 else ""))
        return text


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN_ARGUMENT else f"{text[:_SHOWN_ARGUMENT]}…"
