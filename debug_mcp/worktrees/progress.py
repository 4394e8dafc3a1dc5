"""What a clone says of its progress, read with GitPython's ``RemoteProgress``.

Importing GitPython takes 80 ms, so this module is imported when a clone is first looked at; call it
in a thread.
"""

import re
from typing import NamedTuple

from git import RemoteProgress

# Where each stage lies on the way from 0 to 100: receiving takes most of the time.
_STAGES = {
    RemoteProgress.COUNTING: ("counting objects", 0, 3),
    RemoteProgress.COMPRESSING: ("compressing objects", 3, 10),
    RemoteProgress.RECEIVING: ("receiving objects", 10, 80),
    RemoteProgress.RESOLVING: ("resolving deltas", 80, 100),
}


class Progress(NamedTuple):
    """``percent`` of the whole clone, and what it does in words."""

    percent: int
    text: str


class _Last(RemoteProgress):
    """Keeps the newest message."""

    def __init__(self) -> None:
        super().__init__()
        self.progress: Progress | None = None

    def update(
        self,
        op_code: int,
        cur_count: str | float,
        max_count: str | float | None = None,
        message: str = "",
    ) -> None:
        stage = _STAGES.get(op_code & self.OP_MASK)
        if stage is None:
            return
        name, begin, end = stage
        done, total = float(cur_count or 0), float(max_count or 0)
        share = min(done / total, 1) if total else 0
        counts = f" {share:.0%} ({done:.0f} of {total:.0f})" if total else ""
        rate = f", {message}" if message else ""
        self.progress = Progress(int(begin + (end - begin) * share), f"{name}{counts}{rate}")


def last_progress(output: str) -> Progress | None:
    """Return the newest progress in what git wrote, or None when there is none yet."""
    parser = _Last()
    handle = parser.new_message_handler()
    for line in re.split(r"[\r\n]+", output):
        handle(line)
    return parser.progress
