"""When the output grew to where."""

import os

from debug_mcp.runner.shim.files import WRITE

PAUSE_SECONDS = 0.1
NUMBER_BYTES = 8
ENTRY_BYTES = 2 * NUMBER_BYTES


class Timeline:
    """A file of entries of one size: milliseconds since the start, and bytes written by then.

    At most one in each pause while output flows, whatever its rate, so a second of it costs ten
    small writes. The last one before a silence is kept until that is over, or the end: so that what
    came just before the silence does not seem to have come after it.
    """

    def __init__(self, directory: int, name: str, began: float) -> None:
        self.directory = directory
        self.name = name
        self.began = began
        self.file: int | None = None
        self.next = began
        self.kept: tuple[float, int] | None = None

    def note(self, now: float, offset: int) -> None:
        """Note how much has been written by now, on the monotonic clock."""
        if now < self.next:
            self.kept = now, offset
            return
        if self.kept is not None and now - self.kept[0] > PAUSE_SECONDS:
            self._write(*self.kept)
        self._write(now, offset)
        self.kept, self.next = None, now + PAUSE_SECONDS

    def end(self) -> None:
        """Write what is kept."""
        if self.kept is not None:
            self._write(*self.kept)

    def _write(self, now: float, offset: int) -> None:
        numbers = int((now - self.began) * 1000), offset
        entry = b"".join(number.to_bytes(NUMBER_BYTES, "little") for number in numbers)
        try:
            if self.file is None:  # a command that prints nothing has none
                self.file = os.open(self.name, WRITE, 0o600, dir_fd=self.directory)
            if os.write(self.file, entry) < ENTRY_BYTES:
                self.next = float("inf")  # the disk is full, and the rest would be read wrongly
        except OSError:
            pass
