"""How git is called: the hardened command line and environments, and what may be named.

This package builds argument lists and reads results; the processes are started by the ``run`` that
the service hands in. On a mirror it is the host's git; on a session's tree it is git inside that
session's sandbox, because after its first command a tree is hostile input.
"""

import re
import shlex
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from debug_mcp.config import CONNECTION_VARIABLES
from debug_mcp.errors import InvalidInput, ToolFailed
from debug_mcp.worktrees.upstreams import without_credentials

# Only what decides about code, prompts and repeatable output. Repository configuration cannot
# override what stands on the command line.
_OPTIONS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.excludesFile": "/dev/null",
    "core.untrackedCache": "false",
    "core.protectNTFS": "true",
    "core.protectHFS": "true",
    "core.quotePath": "false",
    "init.templateDir": "",
    "diff.external": "",
    "filter.lfs.smudge": "",
    "filter.lfs.clean": "",
    "filter.lfs.process": "",
    "filter.lfs.required": "false",
    "protocol.allow": "never",
    # Paths that the service has checked, and bundles that it wrote itself.
    "protocol.file.allow": "always",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "diff.ignoreSubmodules": "all",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "log.showSignature": "false",
    "advice.detachedHead": "false",
    "advice.addEmptyPathspec": "false",
    "fetch.fsckObjects": "true",
    # Faults that old and well-known repositories have in their history.
    **{
        f"fetch.fsck.{fault}": "warn"
        for fault in (
            "badTimezone", "badTimezoneOverflow", "badDate", "badDateOverflow", "missingEmail",
            "badEmail", "missingNameBeforeEmail", "missingSpaceBeforeDate",
            "missingSpaceBeforeEmail", "zeroPaddedDate", "zeroPaddedFilemode",
        )
    },
}  # fmt: skip

_SCRUBBED = {
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "/bin/false",
    "SSH_ASKPASS": "/bin/false",
    # Without it ssh asks on a terminal, if it finds one.
    "SSH_ASKPASS_REQUIRE": "force",
    "GCM_INTERACTIVE": "never",
    "GIT_PROTOCOL_FROM_USER": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_NO_REPLACE_OBJECTS": "1",
    # As the objects say it, and nobody else: no other parents, and no objects from elsewhere.
    "GIT_GRAFT_FILE": "/nonexistent",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "/bin/false",
}

REF_CHARACTERS = 250
# What `git check-ref-format` allows, without what starts like an option or could hide in a listing.
_REF = re.compile(
    r"(?!-|\.|/|@$|HEAD$)"
    r"(?!.*(?:\.\.|@\{|//|/\.|\.lock(?:/|$)|[/.]$))"
    rf"[^\x00-\x20\x7f-\xa0~^:?*\[\\\u2028\u2029]{{1,{REF_CHARACTERS}}}"
)
_SHOWN = 80
FULL_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


class Result(Protocol):
    """What a finished git wrote."""

    @property
    def exit_code(self) -> int:
        """Zero when it did what it was asked."""

    @property
    def output(self) -> bytes:
        """Standard output."""

    @property
    def message(self) -> str:
        """Standard error, as text."""


@dataclass(frozen=True, slots=True)
class GitCall:
    """One call: the arguments after ``git``, and what to feed it."""

    arguments: tuple[str, ...]
    stdin: bytes = b""
    # Configuration on top of what is always forced.
    options: tuple[tuple[str, str], ...] = ()
    # An open file for its output, which may be large and take long.
    into: int | None = None
    # A program that reads the output and says what is wanted of it, where it may have no end.
    through: tuple[str, ...] = ()

    @property
    def command(self) -> list[str]:
        """The whole hardened command line."""
        settings = (*_OPTIONS.items(), *self.options)
        options = [part for key, value in settings for part in ("-c", f"{key}={value}")]
        command = ["git", *options, "--no-pager", *self.arguments]
        if self.through:
            return ["sh", "-c", f"{shlex.join(command)} | {shlex.join(self.through)}"]
        return command


Run = Callable[[GitCall], Awaitable[Result]]


async def git(run: Run, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git with these arguments; as ``git_call``."""
    return await git_call(run, GitCall(arguments, stdin))


async def git_call(run: Run, call: GitCall) -> bytes:
    """Make a call and return its output.

    Raises:
        ToolFailed: It failed; the message is git's own.
    """
    result = await run(call)
    if result.exit_code != 0:
        verb = next((word for word in call.arguments if not word.startswith("-")), "")
        raise ToolFailed(
            f"git {verb} failed: {plain(result.message) or 'it did not say why'}",
            exit_code=result.exit_code,
        )
    return result.output


def plain(message: str) -> str:
    """Return git's message without credentials in URLs, in one line."""
    text = without_credentials(message)
    joined = " ".join(line.strip() for line in text.splitlines() if line.strip())
    return re.sub(r"\.? (?=(?:fatal|error|warning|hint): )", "; ", joined)


def user_environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for the person's own git: theirs, without what redirects git.

    Their configuration, ownership exceptions and credentials count; nothing prompts.
    """
    kept = {
        name: value
        for name, value in inherited.items()
        if not name.startswith(("GIT_", "LD_", "DYLD_")) or name in CONNECTION_VARIABLES
    }
    return {**kept, **_SCRUBBED}


def service_environment(path: str) -> dict[str, str]:
    """Return the environment for git on behalf of somebody who is not the person: nobody's."""
    return {**sandbox_environment(path), "GIT_CONFIG_SYSTEM": "/dev/null"}


def sandbox_environment(path: str) -> dict[str, str]:
    """Return the environment for git inside a session's sandbox: nobody's configuration."""
    return {
        **_SCRUBBED,
        "PATH": path,
        "HOME": "/nonexistent",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_ATTR_NOSYSTEM": "1",
    }


def check_ref(ref: str, field: str) -> str:
    """Return a name that git cannot take for anything but a ref or a commit id.

    Raises:
        InvalidInput: It could be an option, a range or an expression.
    """
    if not _REF.fullmatch(ref):
        raise InvalidInput(
            f"{_short(ref)} cannot be the name of a branch, tag or commit: no expression (HEAD~1, "
            "a..b, x@{1}), no space, not starting with a dash",
            field=field,
        )
    return ref


def parse_commit(output: bytes) -> str:
    """Return a full commit id that git printed; a session's git could print anything.

    Raises:
        ToolFailed: It is not one.
    """
    text = output.decode("ascii", "replace").strip()
    if not FULL_COMMIT.fullmatch(text):
        raise ToolFailed(f"git printed {text[:80]!r} where a commit id was expected")
    return text


def _short(text: str) -> str:
    return repr(text) if len(text) <= _SHOWN else f"{text[:_SHOWN]!r}…"
