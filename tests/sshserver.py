"""A real sshd on a port of this machine, where one key gives git and nothing else."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = None if SSHD else "no sshd here: install openssh-server"
_STARTS_SECONDS = 20
# It drops its rights there; a service manager makes it, and none runs here.
_PRIVILEGES = Path("/run/sshd")

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile none
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin forced-commands-only
# Not the home of who runs the tests, whose .bashrc may do anything.
SetEnv HOME={folder}
"""


class SshServer:
    """One sshd.

    Attributes:
        key: The private key that it lets in.
        stranger: One that it does not know.
        known_hosts: Its own key, as clients have to know it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.key, self.stranger = _make_key(folder / "key"), _make_key(folder / "stranger")
        host = _make_key(folder / "host")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        public = self.key.with_suffix(".pub").read_text()
        only_git = 'restrict,command="git-shell -c \\"$SSH_ORIGINAL_COMMAND\\""'
        (folder / "authorized").write_text(f"{only_git} {public}")
        self.known_hosts = folder / "known_hosts"
        public = host.with_suffix(".pub").read_text()
        self.known_hosts.write_text(f"[127.0.0.1]:{self._port} {public}")

    def url(self, path: Path) -> str:
        """Return the address of a repository of this machine, there."""
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self._port}{path}"

    @contextlib.contextmanager
    def serving(self) -> Iterator["SshServer"]:
        """Run it."""
        assert SSHD is not None
        config = self._folder / "sshd_config"
        config.write_text(_CONFIG.format(port=self._port, folder=self._folder))
        if os.geteuid() == 0:
            _PRIVILEGES.mkdir(mode=0o755, exist_ok=True)
        log = self._folder / "log"
        with log.open("wb") as said:
            process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(config)], stderr=said)
        try:
            self._wait(process, log)
            yield self
        finally:
            process.terminate()
            process.wait()

    def _wait(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        deadline = time.monotonic() + _STARTS_SECONDS
        while True:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self._port)).close()
                return
            time.sleep(0.02)


def _make_key(path: Path) -> Path:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True
    )
    return path
