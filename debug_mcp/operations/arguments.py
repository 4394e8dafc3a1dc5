"""Checking what a caller sent, and telling it what would have been right."""

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from debug_mcp.errors import InvalidInput, NextCall
from debug_mcp.models.base import Arguments

A = TypeVar("A", bound=Arguments)
_SHOWN = 3
_CUTOFF = 0.5


def parse(name: str, model: type[A], raw: Mapping[str, Any]) -> A:
    """Return the checked arguments of the operation ``name``.

    Raises:
        InvalidInput: Something is missing, unknown or malformed. Where the mend is plain, the
            error carries the corrected call.
    """
    try:
        return model.model_validate(dict(raw))
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        first = faults[0]
        raise InvalidInput(
            "; ".join(_sentence(fault) for fault in faults[:_SHOWN]),
            field=_field(first),
            candidates=_candidates(first, model),
            next_call=_corrected(name, model, raw, faults),
        ) from None


def keys(model: type[Arguments]) -> list[str]:
    """Return the keys that a model takes, as a caller writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _field(fault: ErrorDetails) -> str:
    # What follows the first part says which member of a union was tried: nobody asked.
    return str(fault["loc"][0]) if fault["loc"] else "arguments"


def _sentence(fault: ErrorDetails) -> str:
    field = _field(fault)
    match fault["type"]:
        case "extra_forbidden":
            return f"unknown key {field!r}"
        case "missing":
            return f"{field} is missing"
        case _:
            return f"{field}: {fault['msg'].replace('Input should', 'it should')}"


def _candidates(fault: ErrorDetails, model: type[Arguments]) -> list[str]:
    if fault["type"] == "extra_forbidden":
        known = keys(model)
        wanted = _field(fault)
        inside = [key for key in known if wanted in key]
        near = difflib.get_close_matches(wanted, known, 3, _CUTOFF)
        return list(dict.fromkeys([*near, *inside])) or known
    expected = fault.get("ctx", {}).get("expected")
    if fault["type"] == "literal_error" and isinstance(expected, str):
        return [part.strip("' ") for part in expected.replace(" or ", ",").split(",")]
    return []


def _corrected(
    name: str, model: type[Arguments], raw: Mapping[str, Any], faults: list[ErrorDetails]
) -> NextCall | None:
    """Return the call with misspelt keys and exceeded limits put right, if that makes it valid."""
    arguments = dict(raw)
    for fault in faults:
        field, limits = _field(fault), fault.get("ctx", {})
        if fault["type"] == "extra_forbidden":
            value = arguments.pop(field, None)
            nearest = _candidates(fault, model)[0]
            arguments.setdefault(nearest, value)
        elif "le" in limits or "ge" in limits:
            arguments[field] = limits.get("le", limits.get("ge"))
    try:
        model.model_validate(arguments)
    except ValidationError:
        return None
    return {"tool": name, "arguments": arguments}
