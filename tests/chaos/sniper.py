"""Kills the supervisors of commands at seeded moments after they have begun."""

import os
import random
import signal
import threading
from pathlib import Path

from debug_mcp.runner.supervisor import is_held, read_fields

CHANCE = 0.5
# How long after it was seen; in these moments the program is being started.
MOMENT_SECONDS = 0.03
LOOK_SECONDS = 0.001


class Sniper(threading.Thread):
    """Watches a folder of commands until it is stopped; ``shot`` are those whose shim it killed."""

    def __init__(self, commands: Path, seed: int) -> None:
        super().__init__(name="sniper")
        self.shot: set[str] = set()
        self._commands = commands
        self._random = random.Random(f"{seed}-sniper")
        self._seen: set[str] = set()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(LOOK_SECONDS):
            for directory in self._commands.iterdir() if self._commands.exists() else ():
                if directory.name not in self._seen:
                    self._look(directory)

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def _look(self, directory: Path) -> None:
        state = read_fields(directory / "state")
        if state is None:  # nothing runs yet
            return
        self._seen.add(directory.name)
        moment = self._random.uniform(0, MOMENT_SECONDS)
        if self._random.random() < CHANCE:
            self._stopped.wait(moment)
            if kill_shim(directory, int(state["shim"])):
                self.shot.add(directory.name)


def kill_shim(directory: Path, shim: int) -> bool:
    """Send SIGKILL to a command's supervisor; return False when it has ended."""
    try:
        process = os.pidfd_open(shim)
    except ProcessLookupError:
        return False
    try:
        # Held still: so the number was not given to another process meanwhile.
        if is_held(directory):
            signal.pidfd_send_signal(process, signal.SIGKILL)
            return True
    except ProcessLookupError:
        pass
    finally:
        os.close(process)
    return False
