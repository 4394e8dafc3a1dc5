"""What a program of a session gets to see: the arguments of bubblewrap, or those of Landlock.

An allow-listed root: what is not named is not there. A hide-list would not do, because a unix
socket on a read-only mount can still be connected to.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.errors import Unavailable
from debug_mcp.models.sessions import WORKSPACE, Isolation
from debug_mcp.runner.boundary import BWRAP_PATH, CONTROL, NAMESPACES, PROC, Boundary
from debug_mcp.runner.etc import current_etc
from debug_mcp.runner.landlock.options import LAUNCHER, access
from debug_mcp.runner.shim.spec import STATUS_FD
from debug_mcp.runner.toolchains import SYSTEM_ROOTS, Toolchains

HOME = "/home/agent"
SCRIPTS = "/run/debug-mcp/bin"
# What a command may write, as it sees it.
_SESSION_ROOTS = (Path(WORKSPACE), Path(HOME), Path("/tmp"))  # noqa: S108


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one session on the host. ``objects`` is the mirror's, borrowed read-only."""

    tree: Path
    home: Path
    temporary: Path
    objects: Path


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder of the host that one command sees at a place of its own, beside its session's.

    ``target`` is /env or below /run, where nothing of the host's is.
    """

    source: Path
    target: str
    writable: bool = False

    @property
    def options(self) -> tuple[str, str, str]:
        """The options of bubblewrap for it."""
        return "--bind" if self.writable else "--ro-bind", str(self.source), self.target


@dataclass(frozen=True, slots=True)
class Confined:
    """A program ready to start: the arguments, environment and folder that go to the kernel.

    ``name`` is the program that was asked for, whatever is wrapped around it. ``launcher`` is what
    is, with ``options`` that it reads from a descriptor: everybody may see a process's arguments,
    and a variable may be a secret.
    """

    name: str
    arguments: tuple[str, ...]
    environment: dict[str, str]
    cwd: str
    isolation: Isolation
    launcher: tuple[str, ...] = ()
    options: tuple[str, ...] = ()

    def command(self, options_fd: int) -> tuple[str, ...]:
        """Return all arguments, where the options can be read from ``options_fd``."""
        if not self.launcher:
            return self.arguments
        return *self.launcher, "--args", str(options_fd), "--", *self.arguments

    @property
    def encoded_options(self) -> bytes:
        """The options as bubblewrap reads them: each ends with a NUL."""
        return b"".join(os.fsencode(option) + b"\0" for option in self.options)


class Sandbox:
    """Wraps programs so that they see one session and the system's tools, and nothing else."""

    def __init__(self, boundary: Boundary, toolchains: Toolchains, data_dir: Path) -> None:
        self.boundary = boundary
        self.toolchains = toolchains
        self._data_dir = data_dir.resolve()

    def home(self, folders: Folders) -> str:
        """Return the home folder as a command sees it."""
        return HOME if self.boundary.bwrap else str(folders.home)

    def temporary(self, folders: Folders) -> str:
        """Return the temporary folder as a command sees it."""
        return "/tmp" if self.boundary.bwrap else str(folders.temporary)  # noqa: S108

    def scripts(self, folder: Path | None) -> str | None:
        """Return the folder of scripts as a command sees it."""
        if folder is None:
            return None
        return SCRIPTS if self.boundary.bwrap else str(folder)

    def workspace(self, folders: Folders) -> str:
        """Return the tree's root as a command sees it."""
        return WORKSPACE if self.boundary.bwrap else str(folders.tree)

    def seen(self, bind: Bind) -> str:
        """Return a bound folder as the command sees it."""
        return bind.target if self.boundary.bwrap else str(bind.source)

    def confine(
        self,
        folders: Folders,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        cwd: str = ".",
        network: bool = False,
        entering: tuple[str, ...] = (),
        readable: Sequence[Path] = (),
        scripts: Path | None = None,
        binds: Sequence[Bind] = (),
        supervised: bool = True,
        terminal: bool = False,
    ) -> Confined:
        """Return what to start so that ``arguments`` run in the session's view.

        Args:
            folders: The session's folders.
            arguments: The program and its arguments.
            environment: All of the program's environment.
            cwd: Relative to the tree's root; checked by the caller.
            network: Share the host's network.
            entering: What enters the session's own network (``runner.network``). Without it and
                without ``network``, the program has a network of its own.
            readable: Further files and folders that it may read.
            scripts: A folder of programs that it finds at ``SCRIPTS``.
            binds: Further folders that the program sees.
            supervised: The shim reads the sandbox's reports; else there is nobody to read them.
            terminal: Its input is a terminal, which it is to control; Unavailable without setsid.
        """
        name = arguments[0]
        where = os.path.normpath(f"{self.workspace(folders)}/{cwd}")
        if self.boundary.isolation is Isolation.NONE:
            return Confined(name, tuple(arguments), dict(environment), where, Isolation.NONE)
        if self.boundary.bwrap is None:
            given = (
                *self._access(folders, readable, scripts, binds),
                *_setting(environment, where),
            )
            given += ("--network",) if network else ()
            given += () if supervised else ("--die-with-parent",)
            return Confined(name, tuple(arguments), {}, "/", Isolation.LANDLOCK, LAUNCHER, given)
        arguments = [*(_taking_terminal() if terminal else ()), *arguments]
        options = [*NAMESPACES, *CONTROL]
        options += [] if network or entering else ["--unshare-net"]
        options += ["--json-status-fd", str(STATUS_FD)] if supervised else []
        options += self._mounts(folders, readable, scripts, binds)
        options += _setting(environment, where)
        return Confined(
            name,
            tuple(arguments),
            environment={},
            cwd="/",
            isolation=Isolation.BWRAP,
            launcher=(*([] if network else entering), self.boundary.bwrap),
            options=(*options, "--remount-ro", "/"),
        )

    def _mounts(
        self,
        folders: Folders,
        readable: Sequence[Path],
        scripts: Path | None,
        binds: Sequence[Bind],
    ) -> list[str]:
        """Return the options of bubblewrap for what a program sees."""
        # Later mounts cover earlier ones: toolchains may lie below /tmp, and the mirror anywhere.
        bound = self._readable((*self.toolchains.folders, *readable))
        options = [*_system(current_etc(self._data_dir / "etc")), *_session(folders)]
        options += _guarded(*bound, folders.objects)
        for place in bound:
            options += ["--ro-bind-try", str(place), str(place)]
        options += [*self._covered(bound), *_borrowed(folders)]
        options += ["--ro-bind", str(scripts), SCRIPTS] if scripts else []
        return [*options, *(option for bind in binds for option in bind.options)]

    def _access(
        self,
        folders: Folders,
        readable: Sequence[Path],
        scripts: Path | None,
        binds: Sequence[Bind],
    ) -> list[str]:
        """Return the options of Landlock for what a program may open."""
        own = [bind.source for bind in binds if not bind.writable]
        own += [folders.objects, *([] if scripts is None else [scripts])]
        written = [bind.source for bind in binds if bind.writable]
        written += [folders.tree, folders.home, folders.temporary]
        bound = self._readable((*self.toolchains.folders, *readable))
        return access(bound, self._data_dir, own, written)

    def _readable(self, places: Sequence[Path]) -> list[Path]:
        """Return those that are no part of the data directory and do not hide the session."""
        return [
            folder
            for folder in places
            if not folder.resolve().is_relative_to(self._data_dir)
            and not any(root.is_relative_to(folder) for root in _SESSION_ROOTS)
        ]

    def _covered(self, readable: Sequence[Path]) -> list[str]:
        """Hide the data directory again in whatever was bound around it."""
        options: list[str] = []
        for folder in (*SYSTEM_ROOTS, *readable):
            real = folder.resolve()
            if self._data_dir.is_relative_to(real):
                options += ["--tmpfs", str(folder / self._data_dir.relative_to(real))]
        return options


def _setting(environment: Mapping[str, str], folder: str) -> list[str]:
    """Return the options for a program's folder and variables.

    Not as the launcher's own environment: a caller's LD_PRELOAD must not reach that.
    """
    variables = [part for item in environment.items() for part in ("--setenv", *item)]
    return ["--chdir", folder, *variables]


def _taking_terminal() -> tuple[str, ...]:
    """Return what gives a program its terminal in a session of its own, inside the sandbox.

    Not outside: there an interrupt would reach bwrap as well, and with it end everything.

    Raises:
        Unavailable: It is not installed.
    """
    setsid = shutil.which("setsid", path=BWRAP_PATH)
    if setsid is None:
        raise Unavailable("tty needs setsid, of util-linux, which is not installed")
    return (setsid, "--ctty")


def _system(etc: Path) -> list[str]:
    options = ["--ro-bind", str(etc), "/etc"]
    for root in SYSTEM_ROOTS:
        # On merged systems /bin and its like are links into /usr.
        if root.is_symlink():
            options += ["--symlink", str(root.readlink()), str(root)]
        else:
            options += ["--ro-bind-try", str(root), str(root)]
    options += ["--dev", "/dev", *PROC, "--tmpfs", "/run", "--tmpfs", "/var"]
    return [*options, "--symlink", "../tmp", "/var/tmp"]  # noqa: S108


def _session(folders: Folders) -> list[str]:
    return [
        "--bind", str(folders.tree), WORKSPACE,
        "--bind", str(folders.home), HOME,
        "--bind", str(folders.temporary), "/tmp",  # noqa: S108
    ]  # fmt: skip


def _guarded(*places: Path) -> list[str]:
    """Cover what is to be mounted below the session's own folders, at the topmost name.

    bwrap makes missing mount points, and follows links: one that a command planted on the way
    would lead it out, to make folders on the host. A mount point cannot be replaced from inside.
    """
    tops = {
        root / place.relative_to(root).parts[0]
        for place in places
        for root in _SESSION_ROOTS
        if place != root and place.is_relative_to(root)
    }
    return [option for top in sorted(tops) for option in ("--tmpfs", str(top))]


def _borrowed(folders: Folders) -> list[str]:
    """Bind the mirror's objects at their own path, which the tree's alternates file names."""
    return ["--ro-bind", str(folders.objects), str(folders.objects)]
