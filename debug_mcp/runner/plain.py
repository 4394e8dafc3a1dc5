"""Output as a reader wants it: no escape codes, and of a progress bar the last state.

The bytes that are kept never change, and offsets are always those of the kept bytes. Escape
sequences are those of ECMA-48: control sequences (colours, cursor), strings (titles, links), and
single functions.
"""

import re
from bisect import bisect_right

_SEQUENCE = (
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # control sequences
    r"|\][^\x07\x1b]*(?:\x07|\x1b\\)"  # operating system commands
    r"|[PX^_][^\x1b]*\x1b\\"  # other strings
    r"|[ -/]*[0-~])"
)
_IN_TEXT = re.compile(_SEQUENCE)
_IN_BYTES = re.compile(_SEQUENCE.encode("ascii"))
# What a carriage return leaves to be overwritten, unless the line ends there.
_OVERWRITTEN = re.compile(r"[^\r\n]*\r+(?=[^\r\n])")


def plain(text: str) -> str:
    r"""Return a text as a terminal would leave it, roughly: the last state of each line.

    >>> plain("\x1b[32mok\x1b[0m\r\n10%\r100%\n")
    'ok\n100%\n'
    """
    if "\x1b" in text:
        text = _IN_TEXT.sub("", text)
    if "\r" in text:
        text = _OVERWRITTEN.sub("", text).replace("\r", "")
    return text


class Searchable:
    """Bytes to search in, and where they came from.

    Escape sequences are taken out and each carriage return ends a line, so that a pattern meets
    what a reader is shown.
    """

    def __init__(self, data: bytes) -> None:
        self._cuts: list[tuple[int, int]] = [(0, 0)]  # from this position on, that much was cut
        if b"\x1b" in data:
            parts, end, cut = [], 0, 0
            for found in _IN_BYTES.finditer(data):
                parts.append(data[end : found.start()])
                end = found.end()
                cut += end - found.start()
                self._cuts.append((end - cut, cut))
            data = b"".join([*parts, data[end:]])
        self.data = data.replace(b"\r", b"\n")

    def origin(self, position: int) -> int:
        """Return where the byte at a position stood before."""
        index = bisect_right(self._cuts, position, key=lambda cut: cut[0]) - 1
        return position + self._cuts[index][1]
