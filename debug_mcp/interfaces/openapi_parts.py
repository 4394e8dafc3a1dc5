"""What many entries of the OpenAPI document have in common: errors, headers, the problem."""

from typing import Any

from debug_mcp.interfaces.problems import PROBLEM

Item = dict[str, Any]

SCHEMAS = "#/components/schemas/"

KEY: Item = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same as `idempotency_key` in the body: the same key gives the same object.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[!#-~]+$"},
}

UNCHANGED_TAG: Item = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An ETag of before: 304 when nothing has changed.",
    "schema": {"type": "string"},
}

TAG_HEADERS: Item = {
    "ETag": {"required": True, "schema": {"type": "string"}},
    "Cache-Control": {"required": True, "schema": {"type": "string"}},
}

PROBLEM_SCHEMA: Item = {
    "type": "object",
    "description": "What was wrong (RFC 9457), and what would be right. Some errors say more.",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "what was wrong, in one sentence"},
        "code": {"type": "string", "description": "which kind of error, as in every way in"},
        "field": {"type": "string", "description": "the argument at fault"},
        "candidates": {
            "type": "array",
            "items": {"type": "string"},
            "description": "what would have been valid, nearest first",
        },
        "retry_after_seconds": {"type": "number"},
        "scope": {"type": "string", "description": "the scope that the token lacks"},
        "next": {
            "type": "object",
            "description": "the corrected call, by operation and arguments",
            "properties": {"tool": {"type": "string"}, "arguments": {"type": "object"}},
            "required": ["tool", "arguments"],
        },
    },
}

_CHALLENGE: Item = {
    "WWW-Authenticate": {
        "description": "What to send instead (RFC 6750).",
        "schema": {"type": "string"},
    }
}
_LATER: Item = {
    "Retry-After": {
        "description": "Seconds until it may work.",
        "schema": {"type": "integer", "minimum": 0},
    }
}


def _error(description: str, headers: Item | None = None) -> Item:
    content = {PROBLEM: {"schema": {"$ref": f"{SCHEMAS}Problem"}}}
    found: Item = {"description": description, "content": content}
    return {**found, "headers": headers} if headers else found


_FOR_ALL = {
    "401": ("Unauthenticated", _error("There is no valid token.", _CHALLENGE)),
    "403": ("PermissionDenied", _error("The token lacks a scope.", _CHALLENGE)),
    "404": ("NotFound", _error("There is no such object of yours.")),
    "409": ("Conflict", _error("Its state does not allow this.")),
    "421": ("OtherHost", _error("The server does not answer to this Host.")),
    "422": ("InvalidInput", _error("An argument is missing, unknown or malformed.")),
    "429": ("Busy", _error("A limit is reached for now.", _LATER)),
    "502": ("ToolFailed", _error("A program that the server needs failed.")),
    "503": ("Unavailable", _error("The server cannot do this, or not now.", _LATER)),
}
_FOR_BODIES = {
    "408": ("TooSlow", _error("The body did not arrive in time.")),
    "413": ("TooLarge", _error("The body is too large.")),
    "415": ("NoJson", _error("The body is not JSON.")),
}

_NOT_THERE = _error(
    "None of the bytes asked for are there.",
    {"Content-Range": {"schema": {"type": "string"}}},
)

ERRORS: Item = {
    **dict([*_FOR_ALL.values(), *_FOR_BODIES.values()]),
    "NotThere": _NOT_THERE,
    "NoWebSocket": _error(
        "It was not asked to switch to WebSocket.",
        {"Upgrade": {"required": True, "schema": {"type": "string"}}},
    ),
}


def errors(*, body: bool = False) -> Item:
    """Return the responses of what goes wrong, for an operation with or without a body."""
    named = {**_FOR_ALL, **(_FOR_BODIES if body else {})}
    return {
        status: {"$ref": f"#/components/responses/{name}"} for status, (name, _) in named.items()
    }
