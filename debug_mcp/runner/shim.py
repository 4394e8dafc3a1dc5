"""A supervisor for one command. It outlives the server that started it.

Started as ``python -I -S shim.py DIRECTORY``. The files of the command's directory are the whole
interface: ``spec`` in, ``state``, ``output`` and ``exit`` out. ``-I -S`` and modules written in C
alone make it start in milliseconds (``signal`` and ``ctypes`` would double that: ``_signal`` and
``_ctypes`` are what they wrap), and keep every module of the working tree out of the supervisor.

* It holds ``lock`` for exactly as long as it lives; the server took the ``flock`` and passed on the
  descriptor. So nobody ever has to trust a process id.
* ``state`` is there before the command is started: no ``state`` means that nothing ran.
* ``exit`` appears by rename after an fsync, once no process of the command is left. Its presence is
  the truth.
* As a subreaper (``prctl(2)``) it inherits whatever the command leaves behind, and kills and reaps
  until nothing is left.
* It enforces the deadlines itself. SIGTERM asks it to cancel the command.

It imports nothing of the package and raises nothing: what fails is written to ``exit``.
"""

import _ctypes
import _signal as signal  # type: ignore[import-not-found]
import errno
import fcntl
import os
import select
import sys
import time

FORMAT = 1
CHUNK = 1 << 20
DRAIN_CHUNKS = 16
PIPE_BYTES = 1 << 20
LOCK_FD = 3  # held by us, from the server
STATUS_FD = 3  # held by the sandbox: where it reports, named in its arguments
PR_SET_CHILD_SUBREAPER = 36
SWEEP_PAUSE_SECONDS = 0.001
WRITE = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class Spec:
    """What to run. NUL-separated ``name=value`` fields; ``arg`` and ``env`` repeat."""

    def __init__(self, data: bytes) -> None:
        self.arguments: list[bytes] = []
        self.environment: dict[bytes, bytes] = {}
        self.fields: dict[bytes, bytes] = {}
        for field in data.split(b"\0"):
            name, _, value = field.partition(b"=")
            if name == b"arg":
                self.arguments.append(value)
            elif name == b"env":
                key, _, content = value.partition(b"=")
                self.environment[key] = content
            elif name:
                self.fields[name] = value


def publish(directory: int, name: str, fields: dict[str, object], durable: bool = False) -> None:
    """Write a file that is either absent or complete."""
    fd = os.open(name + ".tmp", WRITE, 0o600, dir_fd=directory)
    data = "".join(f"{key}={value}\n" for key, value in fields.items())
    os.write(fd, data.encode("utf-8", "surrogateescape"))
    if durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(name + ".tmp", name, src_dir_fd=directory, dst_dir_fd=directory)
    if durable:
        os.fsync(directory)


class Output:
    """Everything that the command writes, moved from one pipe into one file.

    Past the limit, or when the disk is full, it goes on reading and drops: a program never hangs
    and never gets SIGPIPE because of us.
    """

    def __init__(self, directory: int, limit: int) -> None:
        self.file = os.open("output", WRITE, 0o600, dir_fd=directory)
        self.limit = limit
        self.kept = 0
        self.dropped = 0
        self.full = False
        self.last = time.monotonic()
        self.pipe, self.writer = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.pipe, False)
        try:
            fcntl.fcntl(self.pipe, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        except OSError:
            pass  # an unprivileged user may be over the system's limit: the small pipe works too

    def drain(self, chunks: int = DRAIN_CHUNKS) -> bool:
        """Move what is there, up to a bound; return False at the end of the pipe.

        Without the bound a program that writes without end would keep us from every deadline.
        """
        for _ in range(chunks):
            room = 0 if self.full else self.limit - self.kept
            try:
                moved = self._keep(min(CHUNK, room)) if room > 0 else self._drop()
            except BlockingIOError:
                return True
            if moved == 0:
                return False
            self.last = time.monotonic()
        return True

    def _keep(self, room: int) -> int:
        try:
            moved = os.splice(self.pipe, self.file, room)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                self.full = True
                return self._drop()
            raise
        self.kept += moved
        return moved

    def _drop(self) -> int:
        dropped = len(os.read(self.pipe, CHUNK))
        self.dropped += dropped
        return dropped


class Child:
    """The command's main process, or the sandbox around it."""

    def __init__(self, pid: int, status: int | None) -> None:
        self.pid = pid
        self.status = status  # the read end of the sandbox's reports
        self.report = b""
        self.code: int | None = None
        self.cpu = 0.0
        self.memory = 0

    def read_report(self) -> None:
        """Take in what the sandbox says of itself."""
        if self.status is not None:
            try:
                self.report += os.read(self.status, 65536)
            except BlockingIOError:
                pass

    def reported(self, key: bytes) -> int | None:
        """Return a number from the sandbox's JSON lines, or None."""
        _, found, rest = self.report.partition(b'"' + key + b'":')
        if not found:
            return None
        digits = rest.lstrip().split(b",")[0].split(b"}")[0].strip()
        return int(digits)

    def reap(self) -> int:
        """Collect every child that has ended; return how many besides the main one."""
        others = 0
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return others
            if pid == 0:
                return others
            if pid == self.pid:
                self.code = os.waitstatus_to_exitcode(status)
                self.cpu = usage.ru_utime + usage.ru_stime
                self.memory = usage.ru_maxrss * 1024
            else:
                others += 1

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the command's process group, never to the sandbox itself.

        The sandbox would die of it at once, and the command inside with SIGKILL.
        """
        target: int | None = self.pid
        if self.status is not None:
            self.read_report()
            target = self.reported(b"child-pid")
        try_kill(target, signal.SIGTERM, group=True)

    def sweep(self) -> int:
        """Kill and reap until no descendant is left; return how many besides the main one.

        Killing a process hands its children to us, so the list is read again until it is empty.
        """
        swept, pause = self.reap(), SWEEP_PAUSE_SECONDS
        with_children = f"/proc/self/task/{os.getpid()}/children"
        while True:
            # The main process goes first: with a PID namespace all else goes with it.
            if self.code is None:
                try_kill(self.pid, signal.SIGKILL, group=True)
            try:
                with open(with_children, "rb") as children:
                    for pid in children.read().split():
                        try_kill(int(pid), signal.SIGKILL)
            except OSError:
                pass  # no such file on this kernel: the loop still reaps what it adopted
            swept += self.reap()
            try:
                if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    time.sleep(pause)
                    pause = min(pause * 2, 50 * SWEEP_PAUSE_SECONDS)
            except ChildProcessError:
                return swept


def try_kill(pid: int | None, number: int, group: bool = False) -> None:
    """Send a signal to what may be gone already."""
    try:
        if pid is not None:
            os.killpg(pid, number) if group else os.kill(pid, number)
    except OSError:
        pass


def high(fd: int) -> int:
    """Move a descriptor out of the way of those that the child gets."""
    moved = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(fd)
    return moved


def spawn(spec: Spec, output: Output) -> Child:
    """Start the command in a new session, with one pipe as both stdout and stderr.

    One pipe keeps the bytes as they were written; two lose the order. It is never a plain file:
    ``echo x > /dev/stderr`` would truncate that.
    """
    os.chdir(spec.fields[b"cwd"])
    os.putenv(b"PATH", spec.environment.get(b"PATH", b"/usr/bin:/bin"))  # where spawnp looks
    nothing = high(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    output.writer = high(output.writer)
    actions = [
        (os.POSIX_SPAWN_DUP2, nothing, 0),
        (os.POSIX_SPAWN_DUP2, output.writer, 1),
        (os.POSIX_SPAWN_DUP2, output.writer, 2),
    ]
    status = reports = None
    if spec.fields[b"sandbox"] == b"bwrap":
        status, reports = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        reports = high(reports)
        actions.append((os.POSIX_SPAWN_DUP2, reports, STATUS_FD))
    pid = os.posix_spawnp(
        spec.arguments[0],
        spec.arguments,
        spec.environment,
        file_actions=actions,
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD],
    )
    os.close(output.writer)
    os.close(nothing)
    if reports is not None:
        os.close(reports)
    return Child(pid, status)


class Watch:
    """Waits until the main process ends, a deadline passes or a cancel arrives."""

    def __init__(self, spec: Spec, child: Child, output: Output, wakeups: int) -> None:
        self.child = child
        self.output = output
        self.wakeups = wakeups
        self.cancelled = False
        self.deadline = time.monotonic() + float(spec.fields[b"timeout"])
        idle = spec.fields.get(b"idle_timeout")
        self.idle = None if idle is None else float(idle)
        self.grace = float(spec.fields[b"grace"])
        self.poll = select.poll()
        self.poll.register(wakeups, select.POLLIN)
        self.poll.register(output.pipe, select.POLLIN)
        if child.status is not None:
            self.poll.register(child.status, select.POLLIN)

    def run(self) -> str:
        """Return why it ended: exit, timeout, idle_timeout or cancel."""
        while True:
            reason = self._due()
            if reason is not None:
                self._stop()
                return reason
            self._step(self._next())
            if self.child.code is not None:
                return "exit"

    def _due(self) -> str | None:
        now = time.monotonic()
        if self.cancelled:
            return "cancel"
        if now >= self.deadline:
            return "timeout"
        if self.idle is not None and now >= self.output.last + self.idle:
            return "idle_timeout"
        return None

    def _next(self) -> float:
        if self.idle is None:
            return self.deadline
        return min(self.deadline, self.output.last + self.idle)

    def _stop(self) -> None:
        self.child.ask_to_stop()
        end = time.monotonic() + self.grace
        while self.child.code is None and time.monotonic() < end:
            self._step(end)

    def _step(self, until: float) -> None:
        """Handle one round of events."""
        left = max(until - time.monotonic(), 0)
        for fd, _ in self.poll.poll(left * 1000 + 1):
            if fd == self.wakeups:
                self.cancelled |= signal.SIGTERM in os.read(fd, 4096)
                self.child.reap()
            elif fd == self.output.pipe:
                if not self.output.drain():
                    self.poll.unregister(fd)
            else:
                before = len(self.child.report)
                self.child.read_report()
                if len(self.child.report) == before:
                    self.poll.unregister(fd)


def catch_signals() -> int:
    """Turn signals into bytes on a pipe, so that one poll waits for everything."""
    wakeups, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(high(writer), warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    return wakeups


def become_subreaper() -> None:
    """Adopt whatever the command leaves behind."""
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    _ctypes.call_function(prctl, (PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))


def verdict(child: Child, reason: str) -> tuple[str, int | None]:
    """Return (reason, code): what the command did, not what the sandbox around it did.

    The sandbox exits with 1 also when it could not start the command; only its report tells.
    """
    if child.status is None:
        return reason, child.code
    child.read_report()
    code = child.reported(b"exit-code")
    if code is None and reason == "exit" and child.code is not None and child.code >= 0:
        return "spawn_failed", None
    return reason, child.code if code is None else code


def main() -> None:
    """Run the command that ``spec`` in the given directory describes."""
    os.set_inheritable(LOCK_FD, False)
    os.closerange(LOCK_FD + 1, 1 << 16)  # whatever else came along is not for the command
    directory = os.open(sys.argv[1], os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    fd = os.open("spec", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
    spec = Spec(os.read(fd, os.fstat(fd).st_size))
    os.close(fd)
    wakeups = catch_signals()
    become_subreaper()
    output = Output(directory, int(spec.fields[b"output_limit"]))
    began, clock = time.time(), time.monotonic()
    publish(directory, "state", {"format": FORMAT, "shim": os.getpid(), "started": began})

    child, message, swept = None, "", 0
    reason, code = "spawn_failed", None
    try:
        child = spawn(spec, output)
    except OSError as error:
        message = f"{os.fsdecode(error.filename or b'posix_spawn')}: {error.strerror}"
    if child is not None:
        reason = Watch(spec, child, output, wakeups).run()
        swept = child.sweep()
        output.drain(DRAIN_CHUNKS**2)
        reason, code = verdict(child, reason)

    end = {
        "format": FORMAT,
        "reason": reason,
        "code": "" if code is None else code,
        "ended": time.time(),
        "elapsed": time.monotonic() - clock,
        "cpu": 0 if child is None else child.cpu,
        "memory": 0 if child is None else child.memory,
        "swept": swept,
        "output": output.kept,
        "dropped": output.dropped,
        "disk_full": int(output.full),
        "message": message.replace("\n", " "),
    }
    publish(directory, "exit", end, durable=True)


if __name__ == "__main__":
    main()
