"""What a file is, told from its first bytes and never from what its name claims to be."""

import codecs
import re
from pathlib import Path

from debug_mcp.models.artifacts import XML, ArtifactKind

FIRST_BYTES = 4096
_COVERAGE_NAMES = frozenset({"coverage.xml", ".coverage", "lcov.info"})
# Cobertura; LCOV; the JSON of coverage.py, which begins with its own version.
_COVERAGE = re.compile(
    rb"<coverage[\s>]|\A(TN:.*\n)?SF:|\A\s*\{\s*\"meta\":\s*\{[^{}]*\"branch_coverage\":"
)

_ELF_CORE = (b"\x04\0", b"\0\x04")  # the kind of file, in either byte order


def kind_of(name: str, first: bytes) -> ArtifactKind:
    """Guess what a file is good for from its name and first bytes."""
    if first.lstrip().startswith(b"<") and re.search(rb"<testsuites?[\s/>]", first):
        return ArtifactKind.JUNIT
    if Path(name).name in _COVERAGE_NAMES or _COVERAGE.search(first):
        return ArtifactKind.COVERAGE
    if first.startswith(b"\x7fELF") and first[16:18] in _ELF_CORE:
        return ArtifactKind.CORE
    if name.endswith((".patch", ".diff")):
        return ArtifactKind.PATCH
    return ArtifactKind.BUNDLE if first.startswith(b"# v2 git bundle") else ArtifactKind.OTHER


_MAGIC = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"%PDF-": "application/pdf",
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b": "application/gzip",
    b"\x7fELF": "application/octet-stream",
}


def media_type_of(first: bytes) -> str:
    """Return the type that the bytes show, never what the name claims."""
    for magic, media_type in _MAGIC.items():
        if first.startswith(magic):
            return media_type
    if _is_xml(first):
        return XML
    try:
        # The last character may be cut: an incremental decoder waits for the rest of it.
        codecs.getincrementaldecoder("utf-8")().decode(first, final=len(first) < FIRST_BYTES)
    except UnicodeDecodeError:
        return "application/octet-stream"
    return "application/octet-stream" if b"\0" in first else "text/plain"


def _is_xml(first: bytes) -> bool:
    """Return whether it says so, or is a test report, which some tools write without saying so."""
    start = first.removeprefix(codecs.BOM_UTF8).lstrip()
    declared = start.startswith((b"<?xml", b"<testsuite", b"<coverage "))
    return declared and b"\0" not in first
