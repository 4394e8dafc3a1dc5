"""Attempts to get out, made by a command: ``python3 attempts.py '<targets as JSON>'``.

Prints one JSON object: for each attempt what it reached, or null. Nothing here harms a machine that
does not block it. The standard library only, since it runs in whatever session it is copied into.
"""

import ctypes
import fcntl
import json
import os
import socket
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Attempt = Callable[[dict[str, Any]], object]

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
MS_REMOUNT, MS_BIND, MNT_DETACH = 0x20, 0x1000, 2
PTRACE_ATTACH, PTRACE_DETACH = 16, 17
PR_GET_NO_NEW_PRIVS = 39
TIOCSTI = 0x5412
KEYCTL_SEARCH, KEYCTL_READ, KEY_SPEC_SESSION_KEYRING = 10, 11, -3
SYS_KEYCTL = {"x86_64": 250, "aarch64": 219}
FIRST_OTHER_FD = 3
HARMLESS_DEVICES = {
    "console", "full", "fuse", "null", "ptmx", "random", "tty", "urandom", "zero",
}  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    """Raise the error of a call into the C library that failed."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def in_a_child(act: Callable[[], object]) -> str | None:
    """Do what cannot be taken back in a process of its own."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            act()
            code = 0
        finally:
            os._exit(code)
    return "done" if os.waitpid(child, 0)[1] == 0 else None


def containing(secret: str, paths: list[str]) -> str | None:
    """Return the first of these files that holds the secret."""
    for path in paths:
        try:
            if secret in Path(path).read_bytes().decode("utf-8", "replace"):
                return path
        except OSError:
            continue
    return None


def listed(folder: str) -> list[str]:
    """Return the names in a folder."""
    return [path.name for path in Path(folder).iterdir()]


def of_every_process(name: str) -> list[str]:
    """Return a file's path below ``/proc`` for each process that is seen."""
    return [f"/proc/{pid}/{name}" for pid in listed("/proc") if pid.isdigit()]


def can_open_for_writing(path: str) -> bool:
    """Tell whether the kernel lets us; nothing is written."""
    try:
        os.close(os.open(path, os.O_WRONLY))
    except OSError:
        return False
    return True


def read_the_ledger(to: dict[str, Any]) -> object:
    return Path(to["ledger"]).read_bytes()[:16].decode()


def read_the_tree_of_another_session(to: dict[str, Any]) -> object:
    return Path(to["other_tree"], "calculator.py").read_text()[:10]


def read_a_file_of_the_person(to: dict[str, Any]) -> object:
    return Path(to["file"]).read_text()


def read_the_servers_environment(to: dict[str, Any]) -> object:
    return containing(to["secret"], of_every_process("environ"))


def see_the_server_among_the_processes(to: dict[str, Any]) -> object:
    return containing(to["data"], of_every_process("cmdline"))


def read_through_the_root_of_a_process(to: dict[str, Any]) -> object:
    return containing(to["secret"], of_every_process("root" + to["file"]))


def signal_the_server(to: dict[str, Any]) -> object:
    os.kill(to["pid"], 0)
    return "signalled"


def trace_the_server(to: dict[str, Any]) -> object:
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    libc.ptrace.restype = ctypes.c_long
    checked(libc.ptrace(PTRACE_ATTACH, to["pid"], None, None))
    os.waitpid(to["pid"], 0x40000000)
    checked(libc.ptrace(PTRACE_DETACH, to["pid"], None, None))
    return "attached"


def connect_to_a_socket_in_the_file_system(to: dict[str, Any]) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(to["socket"])
    return "connected"


def connect_to_an_abstract_socket(to: dict[str, Any]) -> object:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + to["abstract"])
    return "connected"


def connect_to_the_loopback_of_the_host(to: dict[str, Any]) -> object:
    with socket.create_connection(("127.0.0.1", to["port"]), 5):
        return "connected"


def read_a_key_of_the_session_keyring(to: dict[str, Any]) -> object:
    call = SYS_KEYCTL[os.uname().machine]
    name = to["key"].encode()
    key = checked(libc.syscall(call, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, b"user", name, 0))
    held = ctypes.create_string_buffer(100)
    checked(libc.syscall(call, KEYCTL_READ, key, held, 100))
    return held.value.decode()


def read_shared_memory_of_the_host(to: dict[str, Any]) -> object:
    return Path(to["shared"]).read_text()


def use_a_descriptor_that_was_left_open(to: dict[str, Any]) -> object:
    # The listing's own descriptor is closed again when it is asked for.
    fds = [Path("/proc/self/fd", fd) for fd in listed("/proc/self/fd")]
    return [
        str(fd.readlink()) for fd in fds if int(fd.name) >= FIRST_OTHER_FD and fd.exists()
    ] or None


def gain_rights_by_a_setuid_program(to: dict[str, Any]) -> object:
    return "they are given" if libc.prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 else None


def hold_a_capability(to: dict[str, Any]) -> object:
    status = Path("/proc/self/status").read_text()
    held = {
        line.split()[1]
        for line in status.splitlines()
        if line[:6] in ("CapPrm", "CapEff", "CapInh")
    }
    return sorted(held - {"0" * 16}) or None


def open_a_user_namespace(to: dict[str, Any]) -> object:
    return in_a_child(lambda: checked(libc.unshare(CLONE_NEWUSER)))


def open_a_mount_namespace(to: dict[str, Any]) -> object:
    return in_a_child(lambda: checked(libc.unshare(CLONE_NEWNS)))


def make_the_system_writable_again(to: dict[str, Any]) -> object:
    if to["boundary"] is False:
        return "not tried, because it would change the host"
    return in_a_child(lambda: checked(libc.mount(None, b"/usr", None, MS_REMOUNT | MS_BIND, None)))


def uncover_what_a_mount_hides(to: dict[str, Any]) -> object:
    if to["boundary"] is False:
        return "not tried, because it would change the host"
    return in_a_child(lambda: checked(libc.umount2(b"/run", MNT_DETACH)))


def write_to_the_system(to: dict[str, Any]) -> object:
    places = ("/", "/usr", "/usr/bin", "/etc", "/etc/passwd", "/opt", to["python"])
    return [place for place in places if os.access(place, os.W_OK)] or None


def write_to_the_settings_of_the_kernel(to: dict[str, Any]) -> object:
    places = [
        "/proc/sys/kernel/core_pattern", "/proc/sys/kernel/modprobe", "/proc/sysrq-trigger",
        "/proc/sys/fs/binfmt_misc/register", "/sys/kernel/uevent_helper", "/proc/mtrr",
        "/proc/irq/default_smp_affinity",
    ]  # fmt: skip
    return [place for place in places if can_open_for_writing(place)] or None


def write_to_a_control_group(to: dict[str, Any]) -> object:
    return "writable" if os.access("/sys/fs/cgroup", os.W_OK) else None


def read_sys(to: dict[str, Any]) -> object:
    return listed("/sys") or None


def open_a_device_of_the_machine(to: dict[str, Any]) -> object:
    found = []
    for folder, folders, files in os.walk("/dev"):
        # What people keep in memory, and may be anything.
        folders[:] = [name for name in folders if name != "shm"]
        for name in files:
            path = f"{folder}/{name}"
            mode = os.lstat(path).st_mode
            harmless = name in HARMLESS_DEVICES or folder == "/dev/pts"
            if stat.S_ISBLK(mode) or (stat.S_ISCHR(mode) and not harmless):
                found += [path] if os.access(path, os.R_OK) else []
    return found or None


def make_a_device(to: dict[str, Any]) -> object:
    os.mknod("device", 0o600 | stat.S_IFBLK, os.makedev(7, 0))
    Path("device").unlink()
    return "made"


def type_into_the_terminal_of_the_server(to: dict[str, Any]) -> object:
    with Path("/dev/tty").open("wb") as terminal:
        fcntl.ioctl(terminal, TIOCSTI, b"x")
    return "typed"


ATTEMPTS: tuple[Attempt, ...] = (
    read_the_ledger,
    read_the_tree_of_another_session,
    read_a_file_of_the_person,
    read_the_servers_environment,
    see_the_server_among_the_processes,
    read_through_the_root_of_a_process,
    signal_the_server,
    trace_the_server,
    connect_to_a_socket_in_the_file_system,
    connect_to_an_abstract_socket,
    connect_to_the_loopback_of_the_host,
    read_a_key_of_the_session_keyring,
    read_shared_memory_of_the_host,
    use_a_descriptor_that_was_left_open,
    gain_rights_by_a_setuid_program,
    hold_a_capability,
    open_a_user_namespace,
    open_a_mount_namespace,
    make_the_system_writable_again,
    uncover_what_a_mount_hides,
    write_to_the_system,
    write_to_the_settings_of_the_kernel,
    write_to_a_control_group,
    read_sys,
    open_a_device_of_the_machine,
    make_a_device,
    type_into_the_terminal_of_the_server,
)


def tried(attempt: Attempt, to: dict[str, Any]) -> object:
    """Return what an attempt reached; None where it was stopped."""
    try:
        return attempt(to)
    except OSError:
        return None


if __name__ == "__main__":
    targets = json.loads(sys.argv[1])
    print(json.dumps({attempt.__name__: tried(attempt, targets) for attempt in ATTEMPTS}))
