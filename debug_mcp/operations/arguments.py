"""Checking what a caller sent, and telling it what would have been right."""

import difflib
import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from debug_mcp.errors import InvalidInput, NextCall
from debug_mcp.models.base import Arguments

A = TypeVar("A", bound=Arguments)
_SHOWN = 3
_CUTOFF = 0.5
_UNKNOWN = "is unknown"


def parse(name: str, model: type[A], raw: Mapping[str, Any]) -> A:
    """Return the checked arguments of the operation ``name``.

    Raises:
        InvalidInput: Something is missing, unknown or malformed. Where the mend is plain, the
            error carries the corrected call.
    """
    # Absent is how a caller says null, and some clients send a null for what is absent.
    raw = {key: value for key, value in raw.items() if value is not None or key not in keys(model)}
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        # A misspelt key is the likeliest cause of whatever else is wrong.
        faults.sort(key=lambda fault: fault["type"] != "extra_forbidden")
        first = faults[0]
        raise InvalidInput(
            "; ".join(_sentences(faults, raw)[:_SHOWN]),
            field=_field(first, raw),
            candidates=_candidates(first, model),
            next_call=_corrected(name, model, raw, faults),
        ) from None


def keys(model: type[Arguments]) -> list[str]:
    """Return the keys that a model takes, as a caller writes them."""
    return [field.alias or name for name, field in model.model_fields.items()]


def _field(fault: ErrorDetails, raw: Mapping[str, Any]) -> str:
    """Return the argument at fault, and within a mapping its member: ``env.PATH``."""
    name, *rest = [str(part) for part in fault["loc"]] or ["arguments"]
    member = rest[0] if rest else None
    inside = isinstance(raw.get(name), Mapping) and member in raw[name]
    # Else what follows says which choice of a union was tried: nobody asked.
    return f"{name}.{member}" if inside else name


def _sentences(faults: list[ErrorDetails], raw: Mapping[str, Any]) -> list[str]:
    """Return one sentence for each argument at fault, whatever number of choices it failed."""
    told: dict[str, list[str]] = {}
    for fault in faults:
        told.setdefault(_field(fault, raw), []).append(_what(fault))
    return [
        f"unknown key {field!r}" if parts == [_UNKNOWN] else f"{field} {' or '.join(parts)}"
        for field, parts in told.items()
    ]


def _what(fault: ErrorDetails) -> str:
    match fault["type"]:
        case "extra_forbidden":
            return _UNKNOWN
        case "missing":
            return "is missing"
        case _:
            said = fault["msg"].removeprefix("Value error, ")
            said = re.sub(r"^\w+ should", "should", said).replace("valid ", "")
            return said.replace(" after validation", "")


def _candidates(fault: ErrorDetails, model: type[Arguments]) -> list[str]:
    if fault["type"] == "extra_forbidden":
        return _near(str(fault["loc"][0]), model) or keys(model)
    expected = fault.get("ctx", {}).get("expected")
    if fault["type"] in ("literal_error", "enum") and isinstance(expected, str):
        return [part.strip("' ") for part in expected.replace(" or ", ",").split(",")]
    return []


def _near(wanted: str, model: type[Arguments]) -> list[str]:
    """Return the keys that somebody who wrote ``wanted`` may have meant."""
    known = keys(model)
    alike = difflib.get_close_matches(wanted, known, 3, _CUTOFF)
    inside = [key for key in known if wanted in key or key in wanted]
    return list(dict.fromkeys([*alike, *inside]))


def _corrected(
    name: str, model: type[Arguments], raw: Mapping[str, Any], faults: list[ErrorDetails]
) -> NextCall | None:
    """Return the call with misspelt keys and exceeded limits put right, if that makes it valid."""
    arguments = dict(raw)
    for fault in faults:
        if not fault["loc"]:
            return None  # about all of them together: there is no telling which was meant
        field, limits = str(fault["loc"][0]), fault.get("ctx", {})
        if fault["type"] == "extra_forbidden":
            value = arguments.pop(field, None)
            for nearest in _near(field, model)[:1]:
                arguments.setdefault(nearest, value)
        elif "le" in limits or "ge" in limits:
            limit: float = limits.get("le", limits.get("ge", 0))
            arguments[field] = int(limit) if limit == int(limit) else limit
        elif "gt" in limits:
            arguments.pop(field)  # its default is over that
    try:
        model.model_validate(arguments)
    except ValidationError:
        return None
    return {"tool": name, "arguments": arguments}
