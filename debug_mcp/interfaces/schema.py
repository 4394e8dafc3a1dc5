"""Input schemas, as short as they can be: a model pays for each character before its first call."""

from typing import Any

from pydantic import BaseModel

# Names of fields and models repeat what stands beside them; null and false defaults say nothing.
_NOISE = {"title"}
# Those that matter stand in the descriptions, which every client shows; whoever goes past another
# is told by the refusal.
_BOUNDS = {
    "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "minItems", "maxItems",
    "maxProperties", "pattern",
}  # fmt: skip


def slim_schema(model: type[BaseModel], *, bounds: bool = False) -> dict[str, Any]:
    """Return a model's JSON schema: no titles, no nulls, no references; and bounds where asked."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.pop("$defs", {})
    schema.pop("description", None)
    slim: dict[str, Any] = _slim(schema, definitions, _NOISE if bounds else _NOISE | _BOUNDS)
    slim.setdefault("properties", {})
    return slim


def _slim(node: Any, definitions: dict[str, Any], noise: set[str]) -> Any:
    if isinstance(node, list):
        return [_slim(member, definitions, noise) for member in node]
    if not isinstance(node, dict):
        return node
    node = _without_pattern(_without_null(node))
    if "$ref" in node:
        name = node["$ref"].rsplit("/", 1)[1]
        # Its docstring is for those who read the code.
        definition = _without(definitions[name], "description")
        return _slim({**definition, **_without(node, "$ref")}, definitions, noise)
    return {
        key: {name: _slim(member, definitions, noise) for name, member in value.items()}
        if key == "properties"
        else _slim(value, definitions, noise)
        for key, value in node.items()
        if key not in noise and not (key == "default" and _is_plain(value, node))
    }


def _is_plain(default: Any, node: dict[str, Any]) -> bool:
    """Return whether a default says nothing, or nothing that is not said in words."""
    told = node.get("description", "")
    # "false: …" says what the other choice does.
    said = "default" in told or (default is True and told.startswith("false:"))
    return said or default in (None, False, [], {}, "")


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """Turn "a string or null" into "a string": absent is how a caller says null."""
    if "anyOf" not in node:
        return node
    choices = [choice for choice in node["anyOf"] if choice != {"type": "null"}]
    if len(choices) == 1:
        return {**choices[0], **_without(node, "anyOf")}
    return {**node, "anyOf": choices}


def _without_pattern(node: dict[str, Any]) -> dict[str, Any]:
    """Say plainly which values a mapping takes: some clients drop ``patternProperties``."""
    patterns = node.get("patternProperties", {})
    if len(patterns) == 1:
        [values] = patterns.values()
        return {**_without(node, "patternProperties"), "additionalProperties": values}
    return node


def _without(node: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in node.items() if name != key}
