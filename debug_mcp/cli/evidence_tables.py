"""Evidence as a person reads it: what it comes to first, then why."""

import textwrap
from collections.abc import Callable, Sequence

from debug_mcp.cli.place import Facts
from debug_mcp.cli.showing import plain
from debug_mcp.cli.table import table

_ERROR_LINES = 6
_SIDE = (
    *("commit", "patch", "outcome", "exit_code", "passed", "failed", "seconds"),
    *("command_id", "session_id"),
)


def text_of(kind: str, view: Facts) -> str:
    """Return the text of a view that is done.

    Args:
        kind: ``compare``, ``flaky`` or ``bisect``.
        view: The structured answer of its operation.
    """
    parts = [f"{view[f'{kind}_id']}: {view['verdict']}", *_PARTS[kind](view)]
    if "hint" in view:
        parts.append(plain(view["hint"]))
    # Only the lines are ours: what they say comes from the tests.
    return "\n\n".join(part for part in parts if part)


def _compare(view: Facts) -> list[str]:
    base, head = view.get("base", {}), view.get("head", {})
    more = view.get("more", {})
    still = view.get("still_failing", {})
    changed = [
        f"{plain(each['test'])}\n{_indented('base: ' + each['base'])}\n"
        f"{_indented('head: ' + each['head'])}"
        for each in still.get("error_changed", ())
    ]
    failing = still.get("count", 0)
    return [
        table(
            ("", "BASE", "HEAD"),
            [
                [name.removesuffix("_id"), _cell(base, name), _cell(head, name)]
                for name in _SIDE
                if name in base or name in head
            ],
        ),
        _groups("newly failing", view.get("newly_failing", ()), more.get("newly_failing", 0)),
        *(
            _names(word.replace("_", " "), view.get(word, ()), more.get(word, 0))
            for word in ("newly_passing", "only_in_base", "only_in_head", "unstable")
        ),
        _listed("still failing, with another error", changed, more.get("error_changed", 0)),
        "\n".join(
            f"{word}: {count}"
            for word, count in (
                ("still failing", failing),
                ("still passing", view.get("still_passing", 0)),
            )
            if count
        ),
        _plain_lines(view["output_differs"]) if "output_differs" in view else "",
    ]


def _flaky(view: Facts) -> list[str]:
    runs = view["runs"]
    more = view.get("more", {})
    unstable = view.get("unstable", ())
    rows = [
        (str(each.get("passed", 0)), str(each.get("failed", 0)), _rate(each), plain(each["test"]))
        for each in unstable
    ]
    firsts = [
        f"{plain(each['test'])}  ({each.get('command_id', 'no command')}{_seed(each)})\n"
        + _indented(each.get("error", ""))
        for each in unstable
    ]
    ends = f"{runs.get('succeeded', 0)} succeeded, {runs.get('failed', 0)} failed"
    return [
        f"{runs['done']} runs of {runs.get('seconds', 0)} s each: {ends}",
        table(("PASSED", "FAILED", "PASS RATE", "TEST"), rows) if rows else "",
        _listed("first failures", firsts, more.get("unstable", 0)),
        _groups("always failing", view.get("always_failing", ()), more.get("always_failing", 0)),
        f"always passing: {view['always_passing']}" if "always_passing" in view else "",
    ]


def _bisect(view: Facts) -> list[str]:
    steps = [
        (step["commit"][:12], step["judgement"], step.get("command_id", ""), plain(_first(step)))
        for step in view.get("log", ())
    ]
    found = []
    if "first_bad" in view:
        first = view["first_bad"]
        found = [
            f"first bad commit: {first['commit']} {plain(first['subject'])}",
            f"{plain(first['author'])}, {plain(first['date'])}\n{_plain_lines(first['stat'])}",
            f"its patch: debug-mcp get {first['artifact_id']}",
        ]
    return [
        "\n".join(found),
        _names("suspects", view.get("suspects", ()), view.get("more_suspects", 0)),
        table(("COMMIT", "JUDGEMENT", "COMMAND", "WHY"), steps) if steps else "",
    ]


_PARTS: dict[str, Callable[[Facts], list[str]]] = {
    "compare": _compare,
    "flaky": _flaky,
    "bisect": _bisect,
}


def _cell(side: Facts, name: str) -> str:
    return plain(str(side.get(name, "")))


def _rate(test: Facts) -> str:
    low, high = test["interval"]
    return f"{test['pass_rate']:.0%} ({low:.0%} to {high:.0%})"


def _seed(test: Facts) -> str:
    return f", seed {test['seed']}" if "seed" in test else ""


def _first(step: Facts) -> str:
    return str(step.get("why", "")).split("\n", 1)[0]


def _groups(title: str, groups: Sequence[Facts], more: int) -> str:
    shown = []
    for group in groups:
        tests = "\n".join(plain(test) for test in group["tests"])
        rest = f"\n… and {group['more']} more" if "more" in group else ""
        place = f"{group['at']}  {group.get('code', '')}\n" if "at" in group else ""
        shown.append(f"{tests}{rest}\n{_indented(place + group['error'])}")
    return _listed(title, shown, more)


def _names(title: str, names: Sequence[str], more: int) -> str:
    return _listed(title, [plain(name) for name in names], more)


def _listed(title: str, shown: Sequence[str], more: int) -> str:
    if not shown:
        return ""
    rest = [f"… and {more} more"] if more else []
    return f"{title}:\n" + textwrap.indent("\n".join([*shown, *rest]), "  ")


def _indented(text: str) -> str:
    lines = text.rstrip().splitlines()
    cut = ["…"] if len(lines) > _ERROR_LINES else []
    return "\n".join(f"    {plain(line)}".rstrip() for line in [*lines[:_ERROR_LINES], *cut])


def _plain_lines(text: str) -> str:
    return "\n".join(plain(line) for line in text.rstrip().splitlines())
