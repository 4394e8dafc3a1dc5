"""Evidence bundles: one archive with a manifest, which anybody can check without a server.

The archive is a plain tar (POSIX ustar, not compressed), of which every byte is given by its files:
the same files are the same archive. Reading is therefore strict. A header that this module would
not have written is refused: links, devices, paths, sparse files and extensions cannot be said.
"""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from debug_mcp.errors import DebugMcpError, InvalidInput

FORMAT = "debug-mcp evidence 1"
MANIFEST = "manifest.json"
# A field of eleven octal digits.
MOST_BYTES = 8**11 - 1
MANIFEST_BYTES = 16 << 20
MOST_FILES = 100_000
_BLOCK = 512
_CHUNK = 1 << 20
_NAME = re.compile(r"[a-z0-9_]+(?:/[a-z0-9_]+)*(?:\.[a-z0-9]+)?")
_NAME_BYTES = 100
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Refused(InvalidInput):
    """An archive that is none of ours, or made to do harm."""


@dataclass(frozen=True, slots=True)
class Part:
    """A file of a bundle: its name there, and its content, or where that is."""

    name: str
    content: bytes | Path


@dataclass(frozen=True, slots=True)
class Sum:
    """What a manifest says of a file."""

    size: int
    sha256: str


@dataclass(slots=True)
class Checked:
    """What a look at a bundle found. ``about`` is what the manifest says of all of it."""

    about: dict[str, Any]
    files: int = 0
    missing: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Whether it is as it was made."""
        return not (self.missing or self.changed or self.extra)


def write(target: IO[bytes], about: dict[str, Any], parts: Sequence[Part]) -> None:
    """Write a bundle.

    Args:
        target: Where to.
        about: What the manifest says of all of it, besides its files.
        parts: The files, which nobody writes to any more.

    Raises:
        DebugMcpError: A file changed while it was read.
    """
    ordered = sorted(parts, key=lambda part: part.name)
    sums = [_summed(part) for part in ordered]
    files = [
        {"name": part.name, "size": found.size, "sha256": found.sha256}
        for part, found in zip(ordered, sums, strict=True)
    ]
    manifest = json_bytes({"format": FORMAT, **about, "files": files})
    _add(target, MANIFEST, len(manifest), [manifest])
    for part, found in zip(ordered, sums, strict=True):
        if _add(target, part.name, found.size, _blocks(part)) != found:
            raise DebugMcpError(f"{part.name} changed while it was read: ask again")
    target.write(bytes(2 * _BLOCK))


def json_bytes(value: object) -> bytes:
    """Return JSON that is the same for the same value."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode(
        "utf-8", "surrogatepass"
    )


def check(source: IO[bytes]) -> Checked:
    """Compare a bundle with its manifest.

    Raises:
        Refused: It is no bundle, or one that was made by something else.
    """
    members = _members(source)
    first = next(members, None)
    if first is None or first[0] != MANIFEST or first[1] > MANIFEST_BYTES:
        raise Refused("this is no evidence bundle: it does not begin with its manifest")
    about, expected = _manifest(b"".join(first[2]))
    checked = Checked(about)
    seen: set[str] = {MANIFEST}
    for name, size, blocks in members:
        if name in seen:
            raise Refused(f"{name} is in it twice")
        if len(seen) > MOST_FILES:
            raise Refused(f"it has more than {MOST_FILES} files")
        seen.add(name)
        digest = hashlib.sha256()
        for block in blocks:
            digest.update(block)
        if name not in expected:
            checked.extra.append(name)
        elif expected[name] != Sum(size, digest.hexdigest()):
            checked.changed.append(name)
        checked.files += 1
    checked.missing = [name for name in expected if name not in seen]
    return checked


def _manifest(data: bytes) -> tuple[dict[str, Any], dict[str, Sum]]:
    try:
        about = json.loads(data)
        files = about.pop("files")
        if about["format"] != FORMAT:
            raise Refused(f"its format is {about['format']!r}; this reads {FORMAT!r}")
        expected = {}
        for each in files:
            name, size, sha256 = each["name"], each["size"], each["sha256"]
            if not (_is_name(name) and type(size) is int and _DIGEST.fullmatch(sha256)):
                raise Refused("its manifest names a file as no bundle does")
            if name in expected or name == MANIFEST:
                raise Refused(f"its manifest names {name} twice")
            expected[name] = Sum(size, sha256)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refused("its manifest cannot be read") from error
    return about, expected


def _members(source: IO[bytes]) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Yield name, size and content of each file; a content that is not taken is read over."""
    while True:
        header = source.read(_BLOCK)
        if header == bytes(_BLOCK):
            break
        name, size = _read_header(header)
        content = _content(source, size)
        yield name, size, content
        for _ in content:
            pass
        padding = source.read(-size % _BLOCK)
        if padding != bytes(-size % _BLOCK):
            raise Refused(f"something is hidden after {name}")
    if source.read(_BLOCK + 1) != bytes(_BLOCK):
        raise Refused("it does not end as a bundle does")


def _read_header(header: bytes) -> tuple[str, int]:
    """Return the name and size of a file, if its header is the one that we would write."""
    name = header[:_NAME_BYTES].rstrip(b"\0").decode("ascii", "replace")
    digits = header[124:135]
    if len(header) == _BLOCK and _is_name(name) and re.fullmatch(rb"[0-7]{11}", digits):
        size = int(digits, 8)
        if _header(name, size) == header:
            return name, size
    raise Refused("it is cut off, or an archive that debug-mcp did not make")


def _content(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size:
        block = source.read(min(size, _CHUNK))
        if not block:
            raise Refused("it is cut off")
        size -= len(block)
        yield block


def _is_name(name: object) -> bool:
    return isinstance(name, str) and len(name) <= _NAME_BYTES and bool(_NAME.fullmatch(name))


def _header(name: str, size: int) -> bytes:
    """Return the only header that a file of this name and size has."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)


def _add(target: IO[bytes], name: str, size: int, blocks: Iterator[bytes] | list[bytes]) -> Sum:
    """Write a file; return what was written."""
    target.write(_header(name, size))
    digest, written = hashlib.sha256(), 0
    for block in blocks:
        digest.update(block)
        written += len(block)
        target.write(block)
    target.write(bytes(-size % _BLOCK))
    return Sum(written, digest.hexdigest())


def _summed(part: Part) -> Sum:
    if not _is_name(part.name):
        raise ValueError(f"{part.name!r} is no name for a file of a bundle")
    digest, size = hashlib.sha256(), 0
    for block in _blocks(part):
        digest.update(block)
        size += len(block)
    if size > MOST_BYTES:
        raise InvalidInput(f"{part.name} has {size} bytes; {MOST_BYTES} fit")
    return Sum(size, digest.hexdigest())


def _blocks(part: Part) -> Iterator[bytes]:
    if isinstance(part.content, bytes):
        yield part.content
        return
    with part.content.open("rb") as file:
        while block := file.read(_CHUNK):
            yield block
