"""Confines itself and becomes a command: ``python -I -S __main__.py --args FD -- PROGRAM …``.

Its options come from a descriptor, each ended by a NUL, as bubblewrap reads them:

* ``--read PATH``, ``--write PATH``: what may be opened, with all that is below;
* ``--network``: the host's network;
* ``--setenv NAME VALUE``, ``--chdir PATH``: of the program;
* ``--die-with-parent``: have the kernel end it with whoever started it.

Exit codes of its own: 1 where it cannot confine itself, 126 and 127 as a shell's.
"""

import os
import sys

# Last, so that nothing beside the package stands before the standard library.
sys.path.append(__file__.rpartition("/debug_mcp/")[0])

from debug_mcp.runner.landlock import calls, rules
from debug_mcp.runner.shim.processes import die_with

# How many values each option has.
_VALUES = {
    "--read": 1, "--write": 1, "--network": 0, "--setenv": 2, "--chdir": 1, "--die-with-parent": 0,
}  # fmt: skip


class Options:
    """What was asked for."""

    def __init__(self, data: bytes) -> None:
        self.readable: list[str] = []
        self.writable: list[str] = []
        self.environment: dict[str, str] = {}
        self.folder = "/"
        self.network = self.dies = False
        words = iter(os.fsdecode(data).split("\0")[:-1])
        for word in words:
            values = [next(words) for _ in range(_VALUES[word])]
            match word:
                case "--read":
                    self.readable += values
                case "--write":
                    self.writable += values
                case "--setenv":
                    self.environment[values[0]] = values[1]
                case "--chdir":
                    self.folder = values[0]
                case "--network":
                    self.network = True
                case "--die-with-parent":
                    self.dies = True


def confine(options: Options) -> None:
    """Give up everything that the options do not name.

    Raises:
        OSError: The kernel does not let us, or offers too little.
    """
    abi = rules.version()
    if abi < rules.LEAST_ABI:
        raise OSError(0, f"version {abi} of the kernel's Landlock is too old")
    if os.isatty(0):
        options.writable.append(os.ttyname(0))
    rules.restrict(
        abi, readable=options.readable, writable=options.writable, network=options.network
    )
    calls.restrict(network=options.network)


def become(options: Options, arguments: list[str]) -> int:
    """Replace this process by the program; return an exit code where that cannot be."""
    try:
        os.chdir(options.folder)
        os.execvpe(arguments[0], arguments, options.environment)  # noqa: S606
    except OSError as error:
        # As bubblewrap says it.
        _say(f"execvp {arguments[0]}: {error.strerror}")
        return 127 if isinstance(error, FileNotFoundError) else 126


def main(words: list[str]) -> int:
    """Do all of it."""
    fd = int(words[words.index("--args") + 1])
    with open(fd, "rb") as given:
        options = Options(given.read())
    try:
        if options.dies:
            die_with(os.getppid())
        confine(options)
    except OSError as error:
        _say(str(error.strerror))
        return 1
    return become(options, words[words.index("--") + 1 :])


def _say(what: str) -> None:
    os.write(2, os.fsencode(f"landlock: {what}\n"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
