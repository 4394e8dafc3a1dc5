"""Finding files in a session's tree by glob, and keeping them by content.

Never ``glob`` and then ``open``: the tree may change in between. The walk goes from descriptor to
descriptor, and every bound is on what is looked at, not on what is found.
"""

import contextlib
import hashlib
import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.artifacts.globs import Glob, Places
from debug_mcp.artifacts.kinds import FIRST_BYTES, kind_of, media_type_of
from debug_mcp.beneath import Refused, check_regular, open_beneath
from debug_mcp.models.artifacts import ArtifactKind

DEPTH = 32
_CHUNK = 1 << 20
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SKIPPED = frozenset({".git", "node_modules", "__pycache__"})


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is now in the store."""

    name: str
    kind: ArtifactKind
    media_type: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much one collection may look at and keep, and for how long."""

    files: int = 1000
    total_bytes: int = 1 << 30
    entries: int = 200_000
    seconds: float = 30

    def met_by(self, files: int, total_bytes: int) -> str | None:
        """Say which bound there is no more room below, if any."""
        if files >= self.files:
            return f"more than {self.files} files match"
        return (
            f"more than {self.total_bytes} bytes match" if total_bytes >= self.total_bytes else None
        )


ON_REQUEST = Bounds()


@dataclass(frozen=True, slots=True)
class Collection:
    """What a collection found, what it refused and why, and what ended it early."""

    kept: tuple[Kept, ...]
    refused: tuple[tuple[str, str], ...]
    truncated: str | None


class Files:
    """The store of contents: one file for each sha256, written once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, sha256: str) -> Path:
        """Return where a content is."""
        return self._folder / sha256[:2] / sha256

    def contents(self, before: float) -> Iterator[str]:
        """Yield the sha256 of what was stored before a time, in seconds since 1970."""
        for path in self._folder.glob("??/*"):
            if path.name != path.stem:
                continue
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    yield path.name

    def discard(self, sha256: str, before: float) -> None:
        """Remove a content that nothing names, unless it was stored again since a time.

        It goes out of the way first: whoever stores it from now on does not find it and writes it
        anew, and who found it before has touched it.
        """
        path = self.path(sha256)
        aside = path.with_suffix(".gone")
        with contextlib.suppress(FileNotFoundError):
            path.rename(aside)
            if aside.stat().st_mtime < before or path.exists():
                aside.unlink()
            else:
                aside.rename(path)

    def collect(
        self,
        tree: Path,
        globs: Sequence[str],
        limit: int,
        bounds: Bounds = ON_REQUEST,
        *,
        since: float = 0,
        given_up: Callable[[], bool] = lambda: False,
    ) -> Collection:
        """Keep every file below ``tree`` that matches a glob. Blocks: call it in a thread.

        Args:
            tree: The root; its parent must be out of the session's reach.
            globs: Relative to the root; ``**`` stands for any number of folders.
            limit: Largest file in bytes.
            bounds: What ends the collection early.
            since: Skip files whose inode last changed before this time, in seconds since 1970.
            given_up: Asked now and then; when it says so the collection ends early.
        """
        search = _Search([Glob(glob) for glob in globs], bounds, given_up)
        kept: list[Kept] = []
        refused: list[tuple[str, str]] = []
        size = 0
        root = os.open(tree, _FOLDER)
        try:
            for path, is_folder in search.walk(root):
                search.ended = bounds.met_by(len(kept), size)
                if search.ended:
                    break
                try:
                    if is_folder:
                        raise Refused("a folder: end the glob with /** for what is in it")
                    file = self._keep(root, path, limit, since, search)
                except Refused as error:
                    refused.append((_shown(path), str(error)))
                else:
                    kept += [file] if file else []
                    size += file.size if file else 0
        finally:
            os.close(root)
        ended = search.ended and f"{search.ended}; use a narrower glob"
        return Collection(tuple(kept), tuple(refused), ended)

    def keep_bytes(self, name: str, data: bytes) -> Kept:
        """Keep a content that the server itself made."""
        return self._store(name, [data])

    def keep_file(self, name: str, path: Path) -> Kept:
        """Keep a file that the server itself made, however large."""
        with path.open("rb") as file:
            return self._store(name, iter(lambda: file.read(_CHUNK), b""))

    def _keep(
        self, root: int, path: str, limit: int, since: float, search: "_Search"
    ) -> Kept | None:
        fd = open_beneath(root, path)
        try:
            # The time of the inode: a program can set that of the content to anything.
            if check_regular(fd, limit).st_ctime < since:
                return None
            return self._store(_shown(path), _blocks(fd, limit, search))
        finally:
            os.close(fd)

    def _store(self, name: str, blocks: Iterator[bytes] | list[bytes]) -> Kept:
        digest, size, first = hashlib.sha256(), 0, b""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as copy:
            temporary = Path(copy.name)
            try:
                for block in blocks:
                    first = first or block[:FIRST_BYTES]
                    size += len(block)
                    digest.update(block)
                    copy.write(block)
                sha256 = digest.hexdigest()
                target = self.path(sha256)
                try:
                    os.utime(target)  # it is wanted: see ``discard``
                except FileNotFoundError:
                    copy.flush()
                    os.fsync(copy.fileno())
                    target.parent.mkdir(mode=0o700, exist_ok=True)
                    temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
        return Kept(name, kind_of(name, first), media_type_of(first), size, sha256)


class _Search:
    """A walk through a tree, bounded by what it looks at; ``ended`` says which bound it met."""

    def __init__(self, globs: Sequence[Glob], bounds: Bounds, given_up: Callable[[], bool]) -> None:
        self.ended: str | None = None
        self._globs = globs
        self._bounds = bounds
        self._given_up = given_up
        self._seen = 0
        self._deadline = time.monotonic() + bounds.seconds

    @property
    def is_late(self) -> bool:
        """Whether its time is over."""
        return time.monotonic() > self._deadline or self._given_up()

    def walk(self, root: int) -> Iterator[tuple[str, bool]]:
        """Yield the paths that match, sorted, and whether each is a folder named outright."""
        yield from self._folder(root, "", [glob.start for glob in self._globs], 0)

    def _folder(
        self, folder: int, prefix: str, places: list[Places], depth: int
    ) -> Iterator[tuple[str, bool]]:
        for name, is_folder in self._entries(folder):
            self._seen += 1
            if self._seen > self._bounds.entries or self.is_late:
                self.ended = f"stopped after {self._seen - 1} entries"
            if self.ended:
                return
            pairs = zip(self._globs, places, strict=True)
            inside = [glob.step(place, name) for glob, place in pairs]
            found = zip(self._globs, inside, strict=True)
            if any(
                glob.matches(place) and (glob.is_literal or not is_folder) for glob, place in found
            ):
                yield prefix + name, is_folder
            if is_folder and depth < DEPTH and self._is_entered(name, places, inside):
                yield from self._descend(folder, name, prefix, inside, depth + 1)

    def _entries(self, folder: int) -> list[tuple[str, bool]]:
        with os.scandir(folder) as entries:
            # One folder may hold more names than memory should.
            some = itertools.islice(entries, self._bounds.entries + 1)
            return sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in some)

    def _is_entered(self, name: str, places: list[Places], inside: list[Places]) -> bool:
        """Return whether something in a folder can match; some must be asked for by name."""
        pairs = zip(self._globs, places, strict=True)
        asked = name not in _SKIPPED or any(glob.names(place, name) for glob, place in pairs)
        return asked and any(inside)

    def _descend(
        self, parent: int, name: str, prefix: str, places: list[Places], depth: int
    ) -> Iterator[tuple[str, bool]]:
        try:
            folder = os.open(name, _FOLDER, dir_fd=parent)
        except OSError:
            return  # gone, or turned into a link, since we saw it
        try:
            yield from self._folder(folder, f"{prefix}{name}/", places, depth)
        finally:
            os.close(folder)


def _blocks(fd: int, limit: int, search: _Search) -> Iterator[bytes]:
    """Read at most one byte more than the limit: the file may grow meanwhile."""
    size = 0
    while block := os.read(fd, min(_CHUNK, limit + 1 - size)):
        size += len(block)
        if size > limit:
            raise Refused(f"grew over {limit} bytes while it was read")
        if search.is_late:
            raise Refused("there was no time left to read it")
        yield block


def _shown(path: str) -> str:
    """Return a name that can be stored and shown: file names are bytes."""
    return os.fsencode(path).decode("utf-8", "replace")
