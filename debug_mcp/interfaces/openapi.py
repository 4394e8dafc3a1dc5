"""The description of REST as OpenAPI 3.1, made from the same definitions that serve it.

Paths, arguments and answers are those of the operations. What is no operation (downloads, streams)
hands in its own path items.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from debug_mcp.auth.principal import Scope
from debug_mcp.interfaces.answer_schema import answer_schemas
from debug_mcp.interfaces.openapi_parts import (
    ERRORS,
    KEY,
    PROBLEM_SCHEMA,
    SCHEMAS,
    TAG_HEADERS,
    UNCHANGED_TAG,
    errors,
)
from debug_mcp.interfaces.rest import PREFIX
from debug_mcp.interfaces.rest_arguments import BODILESS, accepted
from debug_mcp.interfaces.schema import slim_schema
from debug_mcp.operations.registry import Operation, Route

Item = dict[str, Any]

# Of the contract, not of the program: whoever reads it has shown no token.
CONTRACT_VERSION = "1"
_ABOUT = """\
Everything an agent does over MCP, for scripts. Members of an answer that are null or empty are \
absent. Every error is a problem (RFC 9457); its `code` tells the kinds apart, `candidates` says \
what would be valid, and `next` is the corrected call, by operation and arguments. Numbers may be \
sent as strings. HEAD is answered wherever GET is."""


def openapi(
    operations: Sequence[Operation], further: Mapping[str, Mapping[str, Any]] | None = None
) -> Item:
    """Return the document.

    Args:
        operations: What is served.
        further: Path items of what is no operation, by path below ``/v1``.
    """
    paths: dict[str, Item] = {}
    for operation in operations:
        for route in operation.routes:
            item = paths.setdefault(PREFIX + route.path, {})
            item[route.method.lower()] = _described(operation, route)
    for path, methods in (further or {}).items():
        paths.setdefault(PREFIX + path, {}).update(methods)
    return {
        "openapi": "3.1.1",
        "info": {"title": "debug-mcp", "version": CONTRACT_VERSION, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(_tag(op) for op in operations)],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `debug-mcp token create`. Scopes: "
                    + ", ".join(f"`{scope}`" for scope in Scope),
                }
            },
            "responses": ERRORS,
            "schemas": {
                **answer_schemas((operation.result for operation in operations), SCHEMAS),
                "Problem": PROBLEM_SCHEMA,
            },
        },
    }


def _tag(operation: Operation) -> str:
    return operation.name.partition("_")[0]


def _described(operation: Operation, route: Route) -> Item:
    item: Item = {
        "operationId": _id(operation, route),
        "tags": [_tag(operation)],
        "summary": operation.title,
        "description": f"{operation.description}\n\n{_scopes(operation)}",
        "security": [{"bearer": [str(scope) for scope in operation.needs]}],
        "parameters": _parameters(operation, route),
        "responses": _responses(operation, route),
    }
    if route.method not in BODILESS:
        body = _body(operation, route)
        item["requestBody"] = {
            "required": bool(body.get("required")),
            "content": {"application/json": {"schema": body}},
        }
    return item


def _scopes(operation: Operation) -> str:
    needed = ", ".join(f"`{scope}`" for scope in operation.needs)
    further = [f"with {what} also `{scope}`" for what, scope in operation.further.items()]
    return f"Scope: {'; '.join([needed, *further])}."


def _id(operation: Operation, route: Route) -> str:
    """Return a name of its own for each route: the operation's, where it has no other."""
    others = [other for other in operation.routes if other != route]
    if not others:
        return operation.name
    if any(other.method == route.method for other in others):
        return operation.name if route.in_path else f"{operation.name}_all"
    return f"{operation.name}_{route.method.lower()}"


def _parameters(operation: Operation, route: Route) -> list[Item]:
    properties = slim_schema(operation.arguments, bounds=True)["properties"]
    parameters = [
        {"name": name, "in": "path", "required": True, **_parameter(properties[name])}
        for name in route.in_path
    ]
    if route.method in BODILESS:
        required = _required(operation, route)
        parameters += [
            {
                "name": name,
                "in": "query",
                "required": name in required,
                **_parameter(_as_here(properties[name], name, route)),
            }
            for name in accepted(operation, route)
        ]
    if route.method == "GET":
        parameters.append(UNCHANGED_TAG)
    elif "idempotency_key" in operation.arguments.model_fields:
        parameters.append(KEY)
    return parameters


def _parameter(schema: Item) -> Item:
    schema = dict(schema)
    description = schema.pop("description", None)
    return {**({"description": description} if description else {}), "schema": schema}


def _as_here(schema: Item, name: str, route: Route) -> Item:
    """Return an argument's schema with the default of the route."""
    return {**schema, "default": route.defaults[name]} if name in route.defaults else schema


def _required(operation: Operation, route: Route) -> list[str]:
    required = slim_schema(operation.arguments, bounds=True).get("required", [])
    return [name for name in required if name not in (*route.in_path, *route.defaults)]


def _body(operation: Operation, route: Route) -> Item:
    schema = slim_schema(operation.arguments, bounds=True)
    properties = {
        name: _as_here(schema["properties"][name], name, route)
        for name in accepted(operation, route)
    }
    required = _required(operation, route)
    return {
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        **({"required": required} if required else {}),
    }


def _responses(operation: Operation, route: Route) -> Item:
    content = {
        "application/json": {"schema": {"$ref": f"{SCHEMAS}{operation.result.__name__}"}},
    }
    found: Item = {}
    if route.creates is not None:
        location = {
            "Location": {
                "description": f"`{PREFIX}{route.creates}`",
                "required": True,
                "schema": {"type": "string", "format": "uri-reference"},
            }
        }
        found["201"] = {"description": "It is made.", "headers": location, "content": content}
        found["202"] = {
            "description": "It is accepted and goes on; GET its Location.",
            "headers": location,
            "content": content,
        }
    elif route.method == "GET":
        headers = dict(TAG_HEADERS)
        if "next_cursor" in operation.result.model_fields:
            headers["Link"] = {
                "description": 'The next page, as `rel="next"`, where there is one (RFC 8288).',
                "schema": {"type": "string"},
            }
        found["200"] = {"description": "As it is now.", "headers": headers, "content": content}
        found["304"] = {"description": "As before.", "headers": headers}
    else:
        found["200"] = {"description": "Done.", "content": content}
    return {**found, **errors(body=route.method not in BODILESS)}
