"""Why a program did not start, and the call that would start the right one.

Shells and the sandbox say it in words of their own; what is really there says which is meant.
"""

import json
import os
import re
import shlex
from pathlib import PurePath

from debug_mcp.models.commands import Command, Outcome
from debug_mcp.service.calls import Advice, again, as_text, with_program
from debug_mcp.service.surroundings import Entry, Surroundings

_NOT_FOUND = re.compile(
    r"(?:^|: )(?P<shell>[^\s:]+): (?:command )?not found$"  # bash, sh
    r"|execvp (?P<sandbox>.+): No such file"  # bwrap
    r"|^(?:bash: line \d+: )?(?P<plain>[^\s:]+): No such file or directory$"
    r"|: (?P<interpreter>[^\s:]+): cannot execute: required file not found$"
    r"|: (?P<older>[^\s:]+): (?:[^\s:]+: )?bad interpreter: ",
    re.MULTILINE,
)
_DENIED = re.compile(
    r"execvp (?P<sandbox>.+): Permission denied"
    r"|(?:^|: )(?P<shell>[^\s:]+): (?:Permission denied|Is a directory)$",
    re.MULTILINE,
)
_OTHER_NAMES = {"python": "python3", "python3": "python", "pip": "pip3", "pip3": "pip"}
_BUILTINS = frozenset({"cd", "export", "source", ".", "set", "ulimit", "exec", "alias", "eval"})
_BY_SUFFIX = {".py": "python3", ".sh": "bash", ".bash": "bash", ".js": "node", ".rb": "ruby"}
_WITHOUT_SHELL = "an argv list runs without a shell"


def program_advice(command: Command, said: str, around: Surroundings | None) -> Advice | None:
    """Return why a program did not start, as far as ``said`` and what is there tell."""
    started = command.outcome is not Outcome.SPAWN_FAILED
    if command.exit_code == 126 or not started:
        denied = _last(_DENIED, said)
        if denied is not None:
            return _denied(command, denied, around)
    if command.exit_code == 127 or not started:
        missing = _last(_NOT_FOUND, said)
        if missing is not None:
            return _missing(command, missing, around)
    return None


def folder_advice(command: Command, around: Surroundings | None) -> Advice:
    """Say that the folder of a command is not there, with those that are."""
    cwd = command.request.cwd
    hint = f"cwd: there is no folder {cwd!r} in the tree"
    if around is None:
        return Advice(hint)
    found = around.entry(cwd)
    if found is not None and found.kind == "file":
        parent = str(PurePath(cwd).parent)
        return Advice(f"cwd: {cwd!r} is a file", again(command, cwd=parent))
    alike = around.near_paths(cwd)
    folders = [path for path in alike if (seen := around.entry(path)) and seen.kind == "folder"]
    if not folders:
        return Advice(hint)
    return Advice(f"{hint}; there is {', '.join(folders)}", again(command, cwd=folders[0]))


def _last(pattern: re.Pattern[str], said: str) -> str | None:
    """Return the program in the last match: what ended a script stands at its end."""
    found = list(pattern.finditer(said.strip()))
    return next(group for group in found[-1].groups() if group) if found else None


def _missing(command: Command, name: str, around: Surroundings | None) -> Advice:
    asked = command.request.command
    if isinstance(asked, str) and (listed := _written_as_text(asked)):
        return Advice("the command is a list written as text", again(command, command=listed))
    if not isinstance(asked, str) and asked[0] in _BUILTINS:
        return Advice(
            f"{name} is a word of the shell; {_WITHOUT_SHELL}, and a text runs in one",
            again(command, command=as_text(command)),
        )
    if around is not None and "/" in name:
        return _missing_file(command, name, around)
    if around is not None and not isinstance(asked, str) and " " in name:
        return Advice(
            f"program_not_found: {name!r} is taken for one name; {_WITHOUT_SHELL}",
            again(command, command=[*shlex.split(name), *asked[1:]]),
        )
    advice = _elsewhere(command, name, around) if around is not None else None
    return advice or Advice(
        f"program_not_found: {name} is neither in the tree nor on the server's PATH, which the "
        f"client's configuration sets{_listed(command)}"
    )


def _elsewhere(command: Command, name: str, around: Surroundings) -> Advice | None:
    """Return the program as it can be started: in the project, as a module, by its right name."""
    inside = around.in_project(name)
    if inside is not None:
        start = _from(command.request.cwd, inside)
        return Advice(
            f"program_not_found: {name}; in the tree, not on PATH: {inside}{_listed(command)}",
            with_program(command, name, [start]),
        )
    if around.has_module(name):
        return Advice(
            f"program_not_found: {name}; it is a module: python -m {name}{_listed(command)}",
            with_program(command, name, ["python", "-m", name]),
        )
    programs = around.programs()
    other = _OTHER_NAMES.get(name)
    known = [other] if other in programs else around.near_programs(name)
    if not known:
        return None
    hint = f"program_not_found: {name}; on PATH: {', '.join(str(found) for found in known)}"
    return Advice(f"{hint}{_listed(command)}", with_program(command, name, [str(known[0])]))


def _missing_file(command: Command, name: str, around: Surroundings) -> Advice:
    """Tell a script that is not there from one whose first line names what is not."""
    path = around.inside(name, command.request.cwd)
    found = None if path is None else around.entry(path)
    if found is not None and found.kind == "file" and found.head.startswith(b"#!"):
        return _bad_interpreter(command, name, found, around)
    alike = around.near_paths(path) if path is not None else []
    if not alike:
        return Advice(f"program_not_found: {name}{_listed(command)}")
    nearest = _from(command.request.cwd, alike[0])
    return Advice(
        f"program_not_found: {name}; in the tree: {', '.join(alike)}{_listed(command)}",
        with_program(command, name, [nearest]),
    )


def _bad_interpreter(command: Command, name: str, found: Entry, around: Surroundings) -> Advice:
    first = found.head.partition(b"\n")[0]
    if first.endswith(b"\r"):
        mend = f"sed -i 's/\\r$//' {shlex.quote(name)}"
        return Advice(
            f"bad_interpreter: the lines of {name} end as on Windows (CR LF), so its interpreter "
            "is not found",
            again(command, command=f"{mend} && {as_text(command)}"),
        )
    words = _interpreter(found.head)
    known = words is not None and words[0] in around.programs()
    return Advice(
        f"bad_interpreter: {name} begins with {first.decode('utf-8', 'replace')!r}, and that "
        "program is not there",
        with_program(command, name, [*words, name]) if known and words else None,
    )


def _denied(command: Command, name: str, around: Surroundings | None) -> Advice | None:
    path = around.inside(name, command.request.cwd) if around is not None else None
    found = around.entry(path) if around is not None and path is not None else None
    if found is None:
        return Advice(f"permission_denied: {name}")
    if found.kind == "folder":
        return Advice(f"is_a_folder: {name} is no program; a folder to work in is the argument cwd")
    if found.executable:
        return Advice(f"permission_denied: {name} may be run, but its interpreter may not")
    words = _interpreter(found.head) or _by_suffix(name)
    hint = f"permission_denied: {name} has no x bit (chmod +x)"
    if words is not None:
        return Advice(hint, with_program(command, name, [*words, name]))
    text = f"chmod +x {shlex.quote(name)} && {as_text(command)}"
    return Advice(hint, again(command, command=text))


def _interpreter(head: bytes) -> list[str] | None:
    """Return the program that a first line names, by its name alone, with its options."""
    if not head.startswith(b"#!"):
        return None
    words = head[2:].partition(b"\n")[0].decode("utf-8", "replace").split()
    if words and PurePath(words[0]).name == "env":
        words = [word for word in words[1:] if word != "-S"]
    return [PurePath(words[0]).name, *words[1:]] if words else None


def _by_suffix(name: str) -> list[str] | None:
    program = _BY_SUFFIX.get(PurePath(name).suffix)
    return None if program is None else [program]


def _from(cwd: str, path: str) -> str:
    """Return a path of the tree as a shell in ``cwd`` would start it."""
    relative = os.path.relpath(path, cwd)
    return relative if "/" in relative else f"./{relative}"


def _listed(command: Command) -> str:
    return "" if isinstance(command.request.command, str) else f"; {_WITHOUT_SHELL}"


def _written_as_text(asked: str) -> list[str] | None:
    """Return the list that a model wrote as a text, which the shell then took for a program."""
    if not asked.startswith("["):
        return None
    try:
        found = json.loads(asked)
    except ValueError:
        return None
    return found if found and all(isinstance(part, str) for part in found) else None
