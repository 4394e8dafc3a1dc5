"""A supervisor for one command. It outlives the server that started it.

Started as ``python -I -S shim.py DIRECTORY``. The files of the command's directory are the whole
interface: ``spec``, ``options`` in, ``state``, ``output``, ``exit`` out. ``-I -S`` and modules in C
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
STATUS_FD, OPTIONS_FD = 3, 4  # the sandbox's: where it reports, and reads its options
PR_SET_CHILD_SUBREAPER = 36
SWEEP_PAUSE_SECONDS = 0.001
WRITE = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
EXIT_BYTES = 4096
LONGEST_POLL_SECONDS = 3600  # poll(2) counts milliseconds in an int


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
    os.ftruncate(fd, os.write(fd, data.encode("utf-8", "surrogateescape")))
    if durable:
        os.fsync(fd)
    os.close(fd)
    os.rename(name + ".tmp", name, src_dir_fd=directory, dst_dir_fd=directory)
    if durable:
        os.fsync(directory)


def reserve(directory: int, name: str) -> None:
    """Take room for a file that ``publish`` will write, so that a full disk cannot prevent it."""
    fd = os.open(name + ".tmp", WRITE, 0o600, dir_fd=directory)
    try:
        os.posix_fallocate(fd, 0, EXIT_BYTES)
    except OSError:
        pass  # not every file system can
    os.close(fd)


class Output:
    """Everything that the command writes, moved from one pipe into one file.

    Past the limit, or on a full disk, it reads on and drops: no program hangs or gets SIGPIPE.
    """

    def __init__(self, directory: int, limit: int) -> None:
        self.file = os.open("output", WRITE, 0o600, dir_fd=directory)
        self.limit = limit
        self.kept = self.dropped = 0
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
            moved = os.splice(self.pipe, self.file, room, flags=os.SPLICE_F_NONBLOCK)
        except OSError as error:
            if isinstance(error, BlockingIOError):
                raise
            self.full = True  # the disk is full or broken, or a quota is reached
            return self._drop()
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
        self.cpu, self.memory = 0.0, 0

    def reported(self, key: bytes) -> int | None:
        """Return a number from the JSON lines that the sandbox says of itself, or None."""
        try:
            self.report += b"" if self.status is None else os.read(self.status, 65536)
        except BlockingIOError:
            pass
        _, found, rest = self.report.partition(b'"' + key + b'":')
        return int(rest.split(b",")[0].split(b"}")[0]) if found else None

    def reap(self) -> int:
        """Collect every child that has ended; return how many the command left behind."""
        others, first = 0, self.reported(b"child-pid")
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return others
            if pid == 0:
                return others
            # The sandbox's first process did the work for it, and may end after it.
            self.cpu += usage.ru_utime + usage.ru_stime
            self.memory = max(self.memory, usage.ru_maxrss * 1024)
            if pid == self.pid:
                self.code = os.waitstatus_to_exitcode(status)
            elif pid != first:
                others += 1

    def ask_to_stop(self) -> bool:
        """Send SIGTERM to the command's process group; return False when there is nobody to ask.

        Never to the sandbox itself: it would die at once, and the command inside with SIGKILL.
        Until the sandbox's first process has a child, the command has not begun, and a signal
        would be lost.
        """
        target = self.pid
        if self.status is not None:
            first = self.reported(b"child-pid")
            if first is None or children_of(first) == []:
                return False
            target = first
        try_kill(target, signal.SIGTERM, group=True)
        return True

    def sweep(self) -> int:
        """Kill and reap until no descendant is left; return how many were left behind.

        Killing a process hands its children to us, so the list is read again until it is empty.
        """
        swept, pause = self.reap(), SWEEP_PAUSE_SECONDS
        while True:
            # The main process goes first: with a PID namespace all else goes with it.
            if self.code is None:
                try_kill(self.pid, signal.SIGKILL, group=True)
            for pid in children_of(os.getpid()) or ():
                try_kill(pid, signal.SIGKILL)
            swept += self.reap()
            try:
                if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    time.sleep(pause)
                    pause = min(pause * 2, 50 * SWEEP_PAUSE_SECONDS)
            except ChildProcessError:
                return swept


def children_of(pid: int) -> list[int] | None:
    """Return a process's children; None when it is gone, or when this kernel does not tell."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children", "rb") as children:
            return [int(child) for child in children.read().split()]
    except OSError:
        return None


def try_kill(pid: int, number: int, group: bool = False) -> None:
    """Send a signal to what may be gone already."""
    try:
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
    output.writer = high(output.writer)
    actions: list[tuple[object, ...]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_DUP2, output.writer, 1),
        (os.POSIX_SPAWN_DUP2, output.writer, 2),
    ]
    status = reports = None
    if spec.fields[b"sandbox"] == b"bwrap":
        status, reports = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        reports = high(reports)
        actions.append((os.POSIX_SPAWN_DUP2, reports, STATUS_FD))
        actions.append((os.POSIX_SPAWN_OPEN, OPTIONS_FD, sys.argv[1] + "/options", os.O_RDONLY, 0))
    pid = os.posix_spawnp(
        spec.arguments[0],
        spec.arguments,
        spec.environment,
        file_actions=actions,
        setsid=True,
        setsigmask=[],
        # An ignored signal is inherited: ours, Python's own, and those of the server's parent.
        setsigdef=[n for n in range(1, 32) if n not in (signal.SIGKILL, signal.SIGSTOP)],
    )
    os.close(output.writer)
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

    def run(self) -> str:
        """Return why it ended: exit, timeout, idle_timeout or cancel."""
        while True:
            reason = self._due()
            if reason is not None:
                self._stop()
                return reason
            idle_at = self.deadline if self.idle is None else self.output.last + self.idle
            self._step(min(self.deadline, idle_at))
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

    def _stop(self) -> None:
        end = time.monotonic() + (self.grace if self.child.ask_to_stop() else 0)
        while self.child.code is None and time.monotonic() < end:
            self._step(end)

    def _step(self, until: float) -> None:
        """Handle one round of events."""
        left = min(max(until - time.monotonic(), 0), LONGEST_POLL_SECONDS)
        for fd, _ in self.poll.poll(left * 1000 + 1):
            if fd == self.wakeups:
                self.cancelled |= signal.SIGTERM in os.read(fd, 4096)
                self.child.reap()
            elif not self.output.drain():
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
    reserve(directory, "exit")
    began, clock = time.time(), time.monotonic()
    publish(directory, "state", {"format": FORMAT, "shim": os.getpid(), "started": began})

    reason, code, message, swept = "spawn_failed", None, "", 0
    try:
        child = spawn(spec, output)
    except OSError as error:
        child = Child(0, None)
        message = f"{os.fsdecode(error.filename or b'posix_spawn')}: {error.strerror}"
    else:
        try:
            reason = Watch(spec, child, output, wakeups).run()
        finally:  # even a fault of ours must leave no process behind
            swept = child.sweep()
        output.drain(DRAIN_CHUNKS**2)
        reason, code = verdict(child, reason)

    end = {
        "format": FORMAT,
        "reason": reason,
        "code": "" if code is None else code,
        "ended": time.time(),
        "elapsed": time.monotonic() - clock,
        "cpu": child.cpu,
        "memory": child.memory,
        "swept": swept,
        "output": output.kept,
        "dropped": output.dropped,
        "disk_full": int(output.full),
        "message": message.replace("\n", " "),
    }
    publish(directory, "exit", end, durable=True)


if __name__ == "__main__":
    main()
    os._exit(0)  # everything is on the disk; the interpreter's clean-up would take 2 ms
