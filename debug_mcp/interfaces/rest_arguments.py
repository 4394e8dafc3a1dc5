"""The arguments of an operation out of an HTTP request: its path, its query, its body."""

import difflib
import json
from collections.abc import Mapping
from typing import Any, NoReturn

from starlette.requests import Request

from debug_mcp.errors import InvalidInput
from debug_mcp.interfaces.schema import slim_schema
from debug_mcp.operations.registry import Operation, Route

BODILESS = ("GET", "HEAD", "DELETE")
_KEY = "idempotency_key"
_KEY_HEADER = "idempotency-key"


class WrongType(InvalidInput):
    """The body is not of the type that is read here: answered with 415."""


async def arguments(request: Request, operation: Operation, route: Route) -> dict[str, Any]:
    """Return what the caller sent, not yet checked by the operation's model.

    Raises:
        InvalidInput: It cannot be read, names something twice, or names what has no place here.
    """
    if request.method in BODILESS:
        sent = _query(request, operation)
    else:
        sent = await _body(request)
        if request.query_params:
            raise InvalidInput(
                f"{request.method} takes its arguments in the body, not in the query",
                field=next(iter(request.query_params)),
            )
    takes = accepted(operation, route)
    for name in sent:
        if name in (*route.in_path, *route.without):
            raise InvalidInput(
                f"unknown key {name!r} here"
                + ("; it is part of the path" if name in route.in_path else ""),
                field=name,
                candidates=difflib.get_close_matches(name, takes, 3) or takes,
            )
    key = request.headers.get(_KEY_HEADER)
    if key is not None:
        _take_key(key, sent, operation)
    return {**route.defaults, **sent, **request.path_params}


def accepted(operation: Operation, route: Route) -> list[str]:
    """Return the arguments that a route takes in its query or body."""
    elsewhere = (*route.in_path, *route.without)
    return [name for name in _properties(operation) if name not in elsewhere]


def _properties(operation: Operation) -> Mapping[str, Any]:
    properties: dict[str, Any] = slim_schema(operation.arguments)["properties"]
    return properties


def _query(request: Request, operation: Operation) -> dict[str, Any]:
    known = _properties(operation)
    sent: dict[str, Any] = {}
    for name in request.query_params:
        values = request.query_params.getlist(name)
        if known.get(name, {}).get("type") == "array":
            sent[name] = values
        elif len(values) == 1:
            sent[name] = values[0]
        else:
            raise InvalidInput(f"{name} is given {len(values)} times", field=name)
    return sent


async def _body(request: Request) -> dict[str, Any]:
    data = await request.body()
    if not data:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise WrongType(
            "the body is not JSON: send it with Content-Type: application/json",
            candidates=["application/json"],
        )
    try:
        sent = json.loads(data, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        # A number too long to read and a nesting too deep are no JSON either.
        raise InvalidInput(f"the body cannot be read as JSON: {error}") from None
    if not isinstance(sent, dict):
        raise InvalidInput("the body is not a JSON object with the arguments")
    return sent


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _take_key(key: str, sent: dict[str, Any], operation: Operation) -> None:
    """Take the header's key as the argument of that name.

    Raises:
        InvalidInput: The operation takes no key, or the body has another one.
    """
    if _KEY not in operation.arguments.model_fields:
        if operation.idempotent:
            return  # asking twice is no harm
        raise InvalidInput(
            f"{operation.name} takes no Idempotency-Key: look at what it did before you repeat it",
            field=_KEY,
        )
    # The draft has it as a string of a structured field, in quotes; most clients send it bare.
    key = key.strip().removeprefix('"').removesuffix('"')
    if sent.setdefault(_KEY, key) != key:
        raise InvalidInput("the header and the body have different keys", field=_KEY)
