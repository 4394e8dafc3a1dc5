"""The OpenAPI document: valid, whole, and true to the models."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import validate

from debug_mcp.interfaces.answer_schema import answer_schemas
from debug_mcp.interfaces.documentation import docs_page
from debug_mcp.interfaces.http_routes import document
from debug_mcp.models.base import View
from debug_mcp.operations.catalogue import REST

DOCUMENT = document(REST)
OPERATIONS = [
    pytest.param(path, method, described, id=f"{method} {path}")
    for path, methods in DOCUMENT["paths"].items()
    for method, described in methods.items()
]


def test_the_document_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    validate(DOCUMENT)


def test_every_route_of_every_operation_is_there() -> None:
    served = {(f"/v1{route.path}", route.method) for op in REST for route in op.routes}
    described = {
        (path, method.upper()) for path, item in DOCUMENT["paths"].items() for method in item
    }
    assert served <= described


def test_every_name_of_an_operation_is_there_once() -> None:
    items = DOCUMENT["paths"].values()
    names = [described["operationId"] for item in items for described in item.values()]
    assert len(set(names)) == len(names)
    of_two_routes = {"artifact_list", "compare_run", "flaky_run", "bisect_run"}
    assert {operation.name for operation in REST} - of_two_routes <= set(names)


@pytest.mark.parametrize(("path", "method", "described"), OPERATIONS)
def test_an_operation_says_its_scope_parameters_and_errors(
    path: str, method: str, described: dict[str, Any]
) -> None:
    [needed] = described["security"]
    assert needed["bearer"]
    in_path = {p["name"] for p in described["parameters"] if p["in"] == "path"}
    assert in_path == set(re.findall(r"{(\w+)}", path))
    assert {"401", "403", "404", "422", "429", "503"} <= set(described["responses"])
    assert ("requestBody" in described) == (method in ("post", "patch", "put"))


def test_no_member_is_required_that_an_answer_may_leave_out() -> None:
    class Inner(View):
        items: list[str]

    class Outer(View):
        name: str
        count: int
        items: list[str]
        note: str | None
        inner: Inner
        by_name: dict[str, int]

    schema = answer_schemas([Outer], "#/$defs/")
    assert schema["Outer"]["required"] == ["name", "count"]
    assert "required" not in schema["Inner"]
    emptied = Outer(
        name="", count=0, items=[], note=None, inner=Inner(items=[]), by_name={}
    ).compact()
    OAS31Validator({"$defs": schema, "$ref": "#/$defs/Outer"}).validate(emptied)


class _Page(HTMLParser):
    """Collects what a page would load or run."""

    def __init__(self) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href") and value and not value.startswith("#"):
                self.loaded.append(value)
            assert not name.startswith("on"), name
            assert name != "style", "the policy forbids it"


def test_the_page_loads_and_runs_nothing() -> None:
    page = _Page()
    page.feed(docs_page(DOCUMENT))
    assert page.loaded == ["/openapi.json"]
    assert not {"script", "link", "img", "iframe", "form", "base"} & page.tags


def test_what_a_description_holds_is_shown_and_not_run() -> None:
    hostile = "<script>alert(1)</script>"
    told = {"summary": hostile, "description": hostile}
    path = {"get": {**told, "responses": {"200": told}}}
    page = docs_page({**DOCUMENT, "paths": {f"/{hostile}": path}})
    assert hostile not in page
