"""Does a patch mend what it claims, and which commit broke it? Asked at a command line."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

VERSIONS = [
    "def total(prices):\n    return sum(prices)\n",
    "def total(prices):\n    return round(sum(prices))\n",
    "def total(prices):\n    # In whole units.\n    return round(sum(prices))\n",
]
TESTS = (
    "from prices import total\n\n\n"
    "def test_cents():\n    assert total([0.5, 0.25]) == 0.75\n\n\n"
    "def test_nothing():\n    assert total([]) == 0\n"
)
PATCH = """\
--- a/prices.py
+++ b/prices.py
@@ -1,3 +1,2 @@
 def total(prices):
-    # In whole units.
-    return round(sum(prices))
+    return sum(prices) or None
"""


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=example", "-c", "user.email=example@localhost")
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.rstrip()


def asks(folder: Path, *words: str, fed: str | None = None) -> "subprocess.CompletedProcess[str]":
    """Say a line as a person in this folder would, and show the answer."""
    print(f"$ debug-mcp {' '.join(words)}")
    scripts = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", "debug_mcp", *words],
        cwd=folder,
        env={**os.environ, "PATH": scripts, "DEBUG_MCP_DATA_DIR": str(folder.parent / "data")},
        input=fed,
        capture_output=True,
        text=True,
        check=False,
    )
    print(f"{done.stdout or done.stderr}exit code {done.returncode}\n")
    return done


def main(folder: Path) -> None:
    shop = folder / "shop"
    shop.mkdir()
    git(shop, "init", "-q", "-b", "main")
    (shop / "test_prices.py").write_text(TESTS)
    for number, text in enumerate(VERSIONS):
        (shop / "prices.py").write_text(text)
        git(shop, "add", "--all")
        git(shop, "commit", "-qm", f"Version {number}")
    git(shop, "tag", "v0", "HEAD~2")
    broke = git(shop, "rev-parse", "--short=12", "HEAD~1")

    # Which commit broke it?
    found = asks(shop, "bisect", "--good", "v0", "--test", "test_prices.py::test_cents")
    assert (found.returncode, f"first bad commit: {broke}" in found.stdout) == (0, True)

    # A patch that mends it, and breaks something else.
    compared = asks(shop, "compare", "--patch", "-", "--", "pytest", "-q", fed=PATCH)
    assert compared.returncode == 1
    assert "newly passing:\n  test_prices.py::test_cents" in compared.stdout
    assert "newly failing:\n  test_prices.py::test_nothing" in compared.stdout

    # Does it fail always, or at times only? Here with what is not committed.
    git(shop, "apply", "--quiet", str(_written(folder / "fix.diff", PATCH)))
    repeated = asks(shop, "flaky", "--repeats", "4", "--", "pytest", "-q")
    assert repeated.returncode == 1
    assert "always failing:\n  test_prices.py::test_nothing" in repeated.stdout


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        main(Path(scratch))
