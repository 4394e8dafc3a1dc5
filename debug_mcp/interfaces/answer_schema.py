"""Schemas of what is answered: the models themselves, as they look without their empty members.

``View.compact`` leaves null and empty members out. So no member is required that may be empty, and
none is ever null.
"""

from collections.abc import Iterable
from typing import Any

from pydantic.json_schema import models_json_schema

from debug_mcp.models.base import View

_NOISE = ("title", "default")
_NULL = {"type": "null"}
_SCALARS = ("string", "integer", "number", "boolean")

Schema = dict[str, Any]


def answer_schemas(models: Iterable[type[View]], place: str) -> dict[str, Schema]:
    """Return the schemas of models and of all they are made of, by name.

    Args:
        models: What is answered.
        place: Where the schemas will stand, such as ``#/components/schemas/``.
    """
    _, made = models_json_schema(
        [(model, "serialization") for model in dict.fromkeys(models)],
        ref_template=f"{place}{{model}}",
    )
    full = made.get("$defs", {})
    plain = {name: _plain(schema) for name, schema in full.items()}
    there = _AlwaysThere(plain, place)
    for schema in plain.values():
        _require(schema, there)
    return plain


def _plain(node: Any) -> Any:
    """Drop titles, defaults and nulls: an absent member stands for them."""
    if isinstance(node, list):
        return [_plain(member) for member in node]
    if not isinstance(node, dict):
        return node
    if "required" in node:
        properties = node["properties"]
        kept = [name for name in node["required"] if _NULL not in properties[name].get("anyOf", ())]
        node = {**node, "required": kept}
    choices = [choice for choice in node.get("anyOf", ()) if choice != _NULL]
    if len(choices) == 1:
        node = {**choices[0], **{key: value for key, value in node.items() if key != "anyOf"}}
    elif choices:
        node = {**node, "anyOf": choices}
    return {
        key: {name: _plain(member) for name, member in value.items()}
        if key == "properties"
        else _plain(value)
        for key, value in node.items()
        if key not in _NOISE
    }


class _AlwaysThere:
    """Knows which values are never left out."""

    def __init__(self, schemas: dict[str, Schema], place: str) -> None:
        self._schemas = schemas
        self._place = place
        self._known: dict[str, bool] = {}

    def __call__(self, schema: Schema) -> bool:
        """Return whether no value of this schema is null or empty."""
        if "$ref" in schema:
            name = schema["$ref"].removeprefix(self._place)
            if name not in self._known:
                self._known[name] = False  # for one that holds itself
                self._known[name] = self(self._schemas[name])
            return self._known[name]
        if "anyOf" in schema:
            return all(self(choice) for choice in schema["anyOf"])
        if schema.get("type") == "object":
            properties = schema.get("properties", {})
            return any(self(properties[name]) for name in schema.get("required", ()))
        return schema.get("type") in _SCALARS or "const" in schema or "enum" in schema


def _require(schema: Schema, there: _AlwaysThere) -> None:
    """Leave as required what is always there."""
    if "required" not in schema:
        return
    kept = [name for name in schema["required"] if there(schema["properties"][name])]
    if kept:
        schema["required"] = kept
    else:
        del schema["required"]
