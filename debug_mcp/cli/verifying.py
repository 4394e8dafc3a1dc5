"""``debug-mcp verify``: whether a bundle is as it was made. It needs no server."""

import argparse
import hashlib
import sys

from debug_mcp.artifacts.bundle import Refused, check
from debug_mcp.cli.showing import plain
from debug_mcp.errors import Unavailable

WRONG = 1


def run_verify(options: argparse.Namespace) -> int:
    """Check a bundle; return 0 when all of it is as its manifest says, else 1.

    Raises:
        Unavailable: The file cannot be read.
    """
    try:
        with options.file.open("rb") as file:
            checked = check(file)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except Refused as error:
        print(f"debug-mcp: {options.file}: {plain(error.message)}", file=sys.stderr)
        return WRONG
    except OSError as error:
        raise Unavailable(str(error)) from error
    for word in ("missing", "changed", "extra"):
        for name in getattr(checked, word):
            print(f"{word}: {name}")
    about = plain(f"{checked.about.get('id')}, made by debug-mcp {checked.about.get('debug_mcp')}")
    verdict = "as its manifest says" if checked.whole else "not as its manifest says"
    print(f"{options.file}: {verdict}; {checked.files} files of {about}")
    print(f"sha256: {digest}")
    return 0 if checked.whole else WRONG
