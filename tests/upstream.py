"""A real git repository of a person's, for sessions to start from."""

import hashlib
import subprocess
import zlib
from collections.abc import Mapping
from pathlib import Path

CALCULATOR = {
    ".gitignore": "build/\n",
    "pytest.ini": "[pytest]\n",
    "calculator.py": "def add(a, b):\n    return a - b\n",
    "test_calculator.py": (
        "from calculator import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n"
    ),
}

FIX = """\
--- a/calculator.py
+++ b/calculator.py
@@ -1,2 +1,2 @@
 def add(a, b):
-    return a - b
+    return a + b
"""


class Upstream:
    """A checkout with history; ``git`` runs git in it and returns what it printed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, message: str, files: Mapping[str, str]) -> str:
        """Write files, commit them, and return the commit's id."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", f"--message={message}")
        return self.git("rev-parse", "HEAD")


def write_object(upstream: Upstream, kind: str, content: bytes) -> bytes:
    """Write any object into a repository, also one that git would not; return its id."""
    whole = b"%b %d\0%b" % (kind.encode(), len(content), content)
    name = hashlib.sha1(whole, usedforsecurity=False).hexdigest()
    file = upstream.path / ".git/objects" / name[:2] / name[2:]
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(zlib.compress(whole, 1))
    return bytes.fromhex(name)


def everything(path: Path) -> dict[str, tuple[int, int, bytes]]:
    """Return mode, time and content of everything in a folder, git's own files too."""
    found = {}
    for entry in path.rglob("*"):
        seen = entry.lstat()
        content = b"" if entry.is_dir() and not entry.is_symlink() else _content(entry)
        found[str(entry.relative_to(path))] = (seen.st_mode, seen.st_mtime_ns, content)
    return found


def _content(file: Path) -> bytes:
    return str(file.readlink()).encode() if file.is_symlink() else file.read_bytes()
