"""Starting the command."""

import _signal as signal  # type: ignore[import-not-found]
import fcntl
import os

from debug_mcp.runner.shim.child import Child
from debug_mcp.runner.shim.limits import limit_process
from debug_mcp.runner.shim.output import Output
from debug_mcp.runner.shim.processes import die_with, high
from debug_mcp.runner.shim.spec import OPTIONS_FD, STATUS_FD, Spec
from debug_mcp.runner.shim.stdin import Stdin

ERROR_BYTES = 4096
OOM_SCORE = "500"
NICE = 5
TIOCSCTTY = 0x540E


def spawn(directory: int, spec: Spec, output: Output, stdin: Stdin) -> Child:
    """Start the command in a new session, writing to the pipes or the terminal of ``output``.

    One pipe for stdout and stderr keeps the bytes as they were written; two lose the order. It is
    never a plain file: ``echo x > /dev/stderr`` would truncate that.

    Raises:
        OSError: It cannot be started.
    """
    taken = {0: stdin.end, 1: output.stdout.writer, 2: output.stderr.writer}
    if stdin.hangup is not None:
        taken[1] = stdin.end
    status = None
    if spec.fields[b"sandbox"] == b"bwrap":
        status, reports = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        taken[STATUS_FD] = high(reports)
    if spec.fields[b"sandbox"] != b"none":
        options = os.open("options", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        taken[OPTIONS_FD] = high(options)
    failed, failing = os.pipe2(os.O_CLOEXEC)
    failing = high(failing)
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        try:
            _become(spec, taken, parent, terminal=stdin.terminal and status is None)
        except OSError as error:
            name = os.fsencode(error.filename or "exec")
            os.write(failing, b"%d\0" % (error.errno or 0) + name[-ERROR_BYTES // 2 :])
        finally:
            os._exit(127)
    for fd in {failing, *taken.values()} - ({output.stdout.writer} if stdin.terminal else set()):
        os.close(fd)
    # The end comes with the exec, which closes the other end.
    said = os.read(failed, ERROR_BYTES)
    os.close(failed)
    if said:
        os.waitpid(pid, 0)
        number, _, name = said.partition(b"\0")
        raise OSError(int(number), os.strerror(int(number)), name)
    return Child(pid, status, stdin.terminal)


def _become(spec: Spec, taken: dict[int, int], parent: int, terminal: bool) -> None:
    """Turn this fork of the shim into the command; returns only by an error."""
    # An ignored signal is inherited: ours, Python's own, and those of the server's parent.
    signal.set_wakeup_fd(-1)
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    # From here on: a sandbox asks for the same only later, and until then nothing would end it.
    die_with(parent)
    os.setsid()
    for fd, source in taken.items():
        os.dup2(source, fd)
    if terminal:  # inside a sandbox another session takes it
        fcntl.ioctl(0, TIOCSCTTY, 0)
    os.chdir(spec.fields[b"cwd"])
    limit_process(spec)
    # However many they become, the shim that ends them and the server have their turn.
    os.nice(NICE)
    # Where memory is short, the kernel is to take the command and not its shim or the server.
    with open("/proc/self/oom_score_adj", "w") as score:
        score.write(OOM_SCORE)
    path = spec.environment.get(b"PATH", b"/usr/bin:/bin")
    _execute(spec.arguments, spec.environment, path)


def _execute(arguments: list[bytes], environment: dict[bytes, bytes], path: bytes) -> None:
    """Replace this process by the program, found as a shell finds it.

    Raises:
        OSError: It is nowhere, or is no program.
    """
    name = arguments[0]
    places = [b""] if b"/" in name else [folder or b"." for folder in path.split(b":")]
    refused: OSError | None = None
    for place in places:
        try:
            os.execve(os.path.join(place, name), arguments, environment)  # noqa: S606
        except (FileNotFoundError, NotADirectoryError) as error:
            refused = refused or FileNotFoundError(error.errno, error.strerror, name)
        except OSError as error:
            refused = error
            if not isinstance(error, PermissionError):
                break
    raise refused or FileNotFoundError(2, os.strerror(2), name)
