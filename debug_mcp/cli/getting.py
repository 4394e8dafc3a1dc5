"""``debug-mcp get``: an artifact as a file, checked, and gone on with where it was cut off.

``debug-mcp evidence`` has a bundle made first, which is an artifact then.
"""

import argparse
import hashlib
from pathlib import Path

from debug_mcp.cli.answers import print_refusal
from debug_mcp.cli.place import File, Place
from debug_mcp.cli.showing import READER_GONE, Output, Progress, ReaderGone, say
from debug_mcp.cli.sizes import size_text
from debug_mcp.errors import DebugMcpError, InvalidInput, ToolFailed, Unavailable
from debug_mcp.operations.bundles import evidence_bundle

_READ_BYTES = 1 << 20


async def run_get(place: Place, options: argparse.Namespace) -> int:
    """Write an artifact to a file, or to standard output; return 0, or 1 or 2 as a call does."""
    try:
        return await _get(place, options.artifact, options.output)
    except DebugMcpError as error:
        return print_refusal(error, as_json=False)
    except OSError as error:
        return print_refusal(Unavailable(str(error)), as_json=False)


async def run_evidence(place: Place, options: argparse.Namespace) -> int:
    """Write a bundle of evidence to a file; return 0, or 1 or 2 as a call does."""
    try:
        made = await place.ask(evidence_bundle, evidence_id=options.id)
        return await _get(place, made["artifact_id"], options.output)
    except DebugMcpError as error:
        return print_refusal(error, as_json=False)
    except OSError as error:
        return print_refusal(Unavailable(str(error)), as_json=False)


async def _get(place: Place, artifact: str, output: str | None) -> int:
    """Download an artifact to where it was asked for.

    Raises:
        DebugMcpError: It cannot be had.
        OSError: It cannot be written.
    """
    found = await place.file("artifact", artifact)
    if output == "-":
        return await _to_standard_output(place, artifact)
    target = _target(output, found)
    await _download(place, artifact, found, target)
    say(f"{target} has {size_text(found.size)}")
    return 0


async def _to_standard_output(place: Place, artifact: str) -> int:
    out = Output()
    try:
        await place.read("artifact", artifact, 0, out.show)
    except ReaderGone:
        return READER_GONE
    return 0


def _target(given: str | None, found: File) -> Path:
    """Return the file to write.

    Raises:
        InvalidInput: It is there already, or only the artifact names a hidden one.
    """
    target = Path(given) if given is not None else Path()
    if target.is_dir():
        # The name was chosen by what ran in the session.
        if "/" in found.name or found.name.startswith(".") or not found.name.isprintable():
            raise InvalidInput(f"the artifact is called {found.name!r}: name a file with -o")
        target /= found.name
    if target.exists():
        raise InvalidInput(f"{target} is there already: name another file with -o")
    return target


async def _download(place: Place, artifact: str, found: File, target: Path) -> None:
    """Write the artifact beside its place first, and there only when all of it is right.

    Raises:
        DebugMcpError: It cannot be had.
        OSError: It cannot be written.
    """
    part = target.with_name(f"{target.name}.{artifact}.part")
    digest = hashlib.sha256()
    # What an earlier attempt left; the id in its name says of what.
    with part.open("a+b") as file:
        file.seek(0)
        while data := file.read(_READ_BYTES):
            digest.update(data)
        progress = Progress(target.name, found.size, file.tell())

        async def keep(data: bytes) -> None:
            file.write(data)
            digest.update(data)
            progress.advance(len(data))

        try:
            if progress.done < found.size:
                await place.read("artifact", artifact, progress.done, keep)
        finally:
            progress.clear()
    if digest.hexdigest() != found.sha256:
        part.unlink()
        raise ToolFailed(f"what came of {artifact} is not what was kept: its SHA-256 differs")
    part.rename(target)
