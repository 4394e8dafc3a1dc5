"""The text block beside a structured result: the same facts, compact, for a reader.

Some clients show a model only this, others only the structured result; so each says everything.
"""

import json
from typing import Any

_LINE = 120


def render(facts: dict[str, Any]) -> str:
    r"""Return ``key: value`` lines; long texts as blocks, lists of objects as rows.

    >>> print(render({"state": "finished", "output": {"text": "a\nb", "total_bytes": 3}}))
    state: finished
    output: total_bytes=3
      | a
      | b
    """
    return "\n".join(line for key, value in facts.items() for line in _member(key, value))


def _member(key: str, value: Any) -> list[str]:
    if key == "next" and isinstance(value, dict):
        return [f"next: {value['tool']} {_json(value['arguments'])}"]
    if isinstance(value, dict):
        return _object(key, value)
    if _is_rows(value):
        return [f"{key}:", *(f"  - {_inline(member)}" for member in value)]
    if isinstance(value, str) and ("\n" in value or len(value) > _LINE):
        return [f"{key}:", *_block(value)]
    return [f"{key}: {_scalar(value)}"]


def _object(key: str, members: dict[str, Any]) -> list[str]:
    """Return scalars on the key's own line, multi-line texts and rows below."""
    rows = {name: value for name, value in members.items() if _is_rows(value)}
    lines = _flat(f"{key}:", {name: v for name, v in members.items() if name not in rows})
    for name, row in rows.items():
        lines += [f"  {name}:"]
        for member in row:
            lines += [f"  {line}" for line in _flat("  -", member)]
    return lines


def _flat(start: str, members: dict[str, Any]) -> list[str]:
    """Return one line of scalars, and the multi-line texts below it."""
    blocks = {
        name: text for name, text in members.items() if isinstance(text, str) and "\n" in text
    }
    rest = {name: value for name, value in members.items() if name not in blocks}
    indent = " " * (len(start) - len(start.lstrip()))
    lines = [f"{start} {_inline(rest)}" if rest else start]
    for text in blocks.values():
        lines += [f"{indent}{line}" for line in _block(text)]
    return lines


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(member, dict) for member in value)


def _block(text: str) -> list[str]:
    return [f"  | {line}" for line in text.removesuffix("\n").split("\n")]


def _inline(members: Any) -> str:
    if not isinstance(members, dict):
        return _scalar(members)
    return " ".join(f"{name}={_quoted(value)}" for name, value in members.items())


def _scalar(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_listed(member) for member in value)
    return value if isinstance(value, str) else _json(value)


def _listed(value: Any) -> str:
    """Return a member of a list; in quotes when one could take it for two."""
    plain = isinstance(value, str) and value and not any(mark in value for mark in ',\n"')
    return value if plain else _json(value)


def _quoted(value: Any) -> str:
    plain = isinstance(value, str) and value and not any(mark in value for mark in " \n\"'=")
    return value if plain else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
