"""How much disk a session takes, without reading its tree all the time."""

import os
import stat
import time

from debug_mcp.runner.shim.files import publish

NOTE = "disk"
# What takes no room on the disk may have been made by removing something else meanwhile.
ANEW_SECONDS = 5.0
# Measuring takes at most this part of a processor.
SHARE = 0.02


class Disk:
    """Whether a session takes more than it may.

    A session cannot have grown by more than the file system lost. So its files are only counted
    when that is as much as it had left, and every few seconds, since others may free some. What was
    counted last, and what was free then, is ``kept`` beside the session's folders for its next
    command.
    """

    def __init__(self, folder: bytes, limit: float, kept: bool = True) -> None:
        self.folder = folder
        self.limit = limit
        self.kept = kept
        self.used, self.free = self._noted() or (0.0, self._free())
        self.next = 0.0
        self.latest = time.monotonic() + ANEW_SECONDS
        self.noted = False

    def exceeded(self) -> bool:
        """Return whether the session takes more than its limit."""
        now = time.monotonic()
        lost = self.free - self._free()
        if now < self.next or (self.used + lost <= self.limit and now < self.latest):
            self._note()
            return False
        spent = time.process_time()
        self.used, self.free = float(_size(self.folder)), self._free()
        pause = (time.process_time() - spent) / SHARE
        self.next, self.latest = now + pause, now + max(pause, ANEW_SECONDS)
        self.noted = False
        self._note()
        return self.used > self.limit

    def _free(self) -> float:
        try:
            seen = os.statvfs(self.folder)
        except OSError:
            return 0.0
        return float(seen.f_bfree * seen.f_frsize)

    def _noted(self) -> tuple[float, float] | None:
        if not self.kept:
            return None
        try:
            with open(os.path.join(self.folder, NOTE.encode()), "rb") as note:
                used, free = (float(line.partition(b"=")[2]) for line in note.read().split())
        except (OSError, ValueError):
            return None
        return used, free

    def _note(self) -> None:
        if self.noted or not self.kept:
            return
        self.noted = True
        try:
            directory = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        try:
            publish(directory, NOTE, {"used": self.used, "free": self.free})
        except OSError:
            pass  # a full disk: then nobody writes any more either
        finally:
            os.close(directory)


def _size(folder: bytes) -> int:
    """Return the bytes on disk of everything below a folder, which may change meanwhile."""
    total, waiting, seen = 0, [folder], set()
    while waiting:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    try:
                        found = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue  # it has just gone
                    if stat.S_ISDIR(found.st_mode):
                        waiting.append(entry.path)
                    elif found.st_nlink > 1:
                        if found.st_ino in seen:
                            continue
                        seen.add(found.st_ino)
                    total += found.st_blocks * 512
        except OSError:
            continue
    return total
