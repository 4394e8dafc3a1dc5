"""Which boundary really works on this machine."""

import shutil
import subprocess
from dataclasses import dataclass

from debug_mcp.config import IsolationPolicy
from debug_mcp.errors import Unavailable
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.landlock.options import holes, probe

PROBE_SECONDS = 10
# By absolute path: a bwrap that somebody put on PATH is not the one to trust.
BWRAP_PATH = "/usr/bin:/usr/local/bin:/bin"

NAMESPACES = (
    "--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
    # Without it a command could open another user namespace and gain capabilities there.
    "--disable-userns",
)  # fmt: skip

CONTROL = (
    "--die-with-parent", "--new-session",
    # As root the sandbox is open without it: umount and remount work.
    "--cap-drop", "ALL",
    "--hostname", "sandbox",
)  # fmt: skip

# bwrap leaves /proc/sys as it is, and its files ask for uid 0 instead of a capability: run by root,
# a command could set core_pattern and with it start programs outside.
PROC = ("--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys")

_REMEDY = (
    "install bubblewrap (apt install bubblewrap, dnf install bubblewrap); on Ubuntu 24.04 also "
    "install apparmor-profiles, copy /usr/share/apparmor/extra-profiles/bwrap-userns-restrict to "
    "/etc/apparmor.d/ and load it with apparmor_parser -r; in a container allow user namespaces, "
    "debug-mcp doctor says how; or accept running without a boundary with --isolation none"
)

_APART = (
    "each command has a network of its own here, because nsenter (of util-linux) does not work: "
    "a server that one command starts does not answer the next"
)


@dataclass(frozen=True, slots=True)
class Boundary:
    """What this machine offers: the level, and where it is less than the best, why.

    Without ``nsenter`` each command has a network of its own, instead of the session's.
    """

    isolation: Isolation
    bwrap: str | None = None
    why: str | None = None
    nsenter: str | None = None


def choose_boundary(policy: IsolationPolicy) -> Boundary:
    """Return the best level that really works here, as far as the policy allows.

    Blocks for some milliseconds: call it in a thread.

    Raises:
        Unavailable: The policy requires a level that does not work; the message names the remedy.
    """
    if policy is IsolationPolicy.NONE:
        return Boundary(Isolation.NONE, why="chosen by the setting isolation=none")
    bwrap = shutil.which("bwrap", path=BWRAP_PATH)
    problem = "bwrap is not installed" if bwrap is None else _probe(bwrap)
    if bwrap is not None and problem is None:
        nsenter = _find_nsenter(bwrap)
        return Boundary(Isolation.BWRAP, bwrap, None if nsenter else _APART, nsenter)
    lacking = probe()
    if policy is IsolationPolicy.REQUIRE_BWRAP:
        less = "" if lacking else f", or Landlock's with --isolation require:landlock: {holes()}"
        raise Unavailable(f"no sandbox: {problem}; {_REMEDY}{less}")
    if lacking is None:
        said = f"{problem}; Landlock confines commands instead: {holes()}"
        return Boundary(Isolation.LANDLOCK, why=f"{said}; for more, {_REMEDY}")
    if policy is IsolationPolicy.REQUIRE_LANDLOCK:
        raise Unavailable(f"no sandbox: {problem}; {lacking}; {_REMEDY}")
    return Boundary(Isolation.NONE, why=f"{problem}; {lacking}; {_REMEDY}")


def holding(bwrap: str) -> tuple[str, ...]:
    """Return what starts a program in a network namespace of its own, and otherwise outside."""
    outside = ("--dev-bind", "/", "/", "--chdir", "/")
    return (bwrap, "--unshare-user", "--unshare-net", *outside, "--")


def entering(nsenter: str, pid: int) -> tuple[str, ...]:
    """Return what starts a program in another process's network namespace."""
    return (nsenter, "--target", str(pid), "--user", "--net", "--preserve-credentials")


def _probe(bwrap: str, *before: str) -> str | None:
    """Start the smallest full sandbox; its version number alone proves nothing."""
    arguments = [*before, bwrap, *NAMESPACES, *([] if before else ["--unshare-net"]), *CONTROL]
    arguments += ["--ro-bind", "/", "/", *PROC, "--dev", "/dev", "--", "/bin/true"]
    try:
        done = subprocess.run(
            arguments, capture_output=True, env={}, timeout=PROBE_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bwrap did not start: {error}"
    if done.returncode == 0:
        return None
    return f"bwrap does not work here: {done.stderr.decode('utf-8', 'replace').strip()}"


def _find_nsenter(bwrap: str) -> str | None:
    """Return what really enters another sandbox's network from here, if there is such a thing."""
    nsenter = shutil.which("nsenter", path=BWRAP_PATH)
    if nsenter is None:
        return None
    waits = ("/bin/sh", "-c", "echo $$; read end")
    with subprocess.Popen(
        (*holding(bwrap), *waits),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={},
    ) as holder:
        pid = b"" if holder.stdout is None else holder.stdout.readline()
        works = pid and _probe(bwrap, *entering(nsenter, int(pid))) is None
        holder.kill()
    return nsenter if works else None
