"""The arguments of an operation, as they are written on a command line."""

import json
import sys
from collections.abc import Sequence
from typing import Any

from debug_mcp.errors import InvalidInput


def read_arguments(members: dict[str, Any], given: Sequence[str]) -> dict[str, Any]:
    """Return the arguments that the words of a command line stand for.

    Args:
        members: The schemas of all arguments; they say which of them are written as JSON.
        given: ``key=value`` words; or one JSON object; or ``-`` for one on standard input.

    Raises:
        InvalidInput: A word is none of these.
    """
    if list(given) == ["-"]:
        return _object(sys.stdin.read(), "standard input")
    if len(given) == 1 and given[0].lstrip().startswith("{"):
        return _object(given[0], "the argument")
    arguments = {}
    for word in given:
        key, equals, text = word.partition("=")
        if not equals:
            raise InvalidInput(
                f"{word!r} is no KEY=VALUE",
                candidates=[f"{name}=…" for name in members],
            )
        arguments[key] = _value(key, text, members.get(key, {}))
    return arguments


def _value(key: str, text: str, schema: dict[str, Any]) -> Any:
    """Return what a text stands for: JSON where a list or an object is meant, else the text."""
    kinds = {choice.get("type") for choice in schema.get("anyOf", [schema])}
    opening = {"array": "[", "object": "{"}
    if not any(text.lstrip().startswith(opening[kind]) for kind in kinds if kind in opening):
        return text
    try:
        return json.loads(text)
    except ValueError as error:
        if "string" in kinds:
            return text
        raise InvalidInput(f"{key} is no JSON: {error}", field=key) from error


def _object(text: str, where: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidInput(f"{where} is no JSON: {error}") from error
    if not isinstance(value, dict):
        raise InvalidInput(f"{where} is no JSON object")
    return value
