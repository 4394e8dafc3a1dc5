"""What commands run: it notes its start and its end durably, apart from the ledger.

``work.py JOURNAL TOKEN KIND``. The journal is the oracle: one line a fact, each fsynced.
"""

import os
import signal
import sys
import time
from pathlib import Path

LINES = 20


def note(journal: str, token: str, fact: str) -> None:
    fd = os.open(journal, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(fd, f"{fact} {token}\n".encode())
    os.fsync(fd)
    os.close(fd)


def leave_a_daemon() -> None:
    """Fork twice into a session of its own: nothing but an end of the whole tree reaches it."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        os._exit(0)
    os.wait()


def main(journal: str, token: str, kind: str) -> int:
    note(journal, token, "start")
    if kind == "daemon":
        leave_a_daemon()
    if kind == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(600)
    for number in range(LINES):
        print(token, number, flush=True)
        if kind == "slow":
            time.sleep(0.03)
    if kind == "keep":
        Path("kept-" + token).write_text(token)
    note(journal, token, "end")
    return 7 if kind == "fail" else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
