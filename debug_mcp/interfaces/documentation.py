"""``/openapi.json`` and ``/docs``: how to use REST, for programs and for people.

Neither needs a token: they say nothing of this server that its published documentation does not
say, and a browser could not send one when somebody opens the page. The page is one file without
scripts, and its policy lets nothing else be loaded or run.
"""

import base64
import functools
import hashlib
import html
import json
from collections.abc import Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

OPENAPI_PATH = "/openapi.json"
DOCS_PATH = "/docs"

_STYLE = """\
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
code,pre{font-family:ui-monospace,monospace;font-size:.92em}
pre{white-space:pre-wrap;background:#8881;padding:.6rem}
summary{cursor:pointer;padding:.3rem 0}
td,th{text-align:left;vertical-align:top;padding:.15rem .8rem .15rem 0}
details{border-top:1px solid #8884}details details{border:0;margin-left:1rem}
:root{color-scheme:light dark}
"""
_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
_PAGE_HEADERS = {
    **_HEADERS,
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Document = dict[str, Any]


def documentation_routes(document: Callable[[], Document]) -> list[BaseRoute]:
    """Return the two routes; the document is made when somebody first asks for it."""
    made = functools.cache(document)
    page = functools.cache(lambda: docs_page(made()))

    async def openapi_json(_: Request) -> Response:
        return Response(json.dumps(made()), headers=_HEADERS, media_type="application/json")

    async def docs(_: Request) -> Response:
        return Response(page(), headers=_PAGE_HEADERS, media_type="text/html")

    return [Route(OPENAPI_PATH, openapi_json), Route(DOCS_PATH, docs)]


def docs_page(document: Document) -> str:
    """Return an OpenAPI document as a page for people, whole in itself."""
    info, schemas = document["info"], document["components"]["schemas"]
    body = [
        f"<h1>{_text(info['title'])}: REST</h1>",
        f"<p>{_text(info['description'])}</p>",
        f"<p>{_text(document['components']['securitySchemes']['bearer']['description'])}</p>",
        f'<p><a href="{OPENAPI_PATH}">{OPENAPI_PATH}</a> is the same for programs.</p>',
        "<h2>Operations</h2>",
    ]
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            body += _operation(method, path, described)
    body.append("<h2>Answers</h2>")
    for name, schema in schemas.items():
        body.append(f'<details id="{_text(name)}"><summary><code>{_text(name)}</code></summary>')
        body.append(f"{_schema(schema)}</details>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{_text(info['title'])}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(body)}</body></html>"
    )


def _operation(method: str, path: str, described: Document) -> Iterator[str]:
    call = f"{method.upper()} {path}"
    yield f"<details><summary><code>{_text(call)}</code> {_text(described['summary'])}</summary>"
    yield f"<p>{_text(described['description'])}</p>"
    if described.get("parameters"):
        yield "<table><tr><th>Parameter</th><th>In</th><th></th></tr>"
        for parameter in described["parameters"]:
            needed = ", required" if parameter.get("required") else ""
            yield (
                f"<tr><td><code>{_text(parameter['name'])}</code></td>"
                f"<td>{_text(parameter['in'])}{needed}</td>"
                f"<td>{_text(parameter.get('description', ''))}</td></tr>"
            )
        yield "</table>"
    for kind, media in described.get("requestBody", {}).get("content", {}).items():
        yield f"<p>Body, <code>{_text(kind)}</code>:</p>{_schema(media['schema'])}"
    yield "<table><tr><th>Status</th><th></th></tr>"
    for status, response in described["responses"].items():
        yield f"<tr><td>{_text(status)}</td><td>{_response(response)}</td></tr>"
    yield "</table></details>"


def _response(response: Document) -> str:
    if "$ref" in response:
        return _text(_last(response["$ref"]))
    said = [_text(response["description"])]
    for media in response.get("content", {}).values():
        reference = media.get("schema", {}).get("$ref")
        if reference:
            name = _text(_last(reference))
            said.append(f'<a href="#{name}"><code>{name}</code></a>')
    return " ".join(said)


def _schema(schema: Document) -> str:
    return f"<pre>{_text(json.dumps(schema, indent=1, ensure_ascii=False))}</pre>"


def _last(reference: str) -> str:
    return reference.rsplit("/", 1)[1]


def _text(value: object) -> str:
    return html.escape(str(value))
