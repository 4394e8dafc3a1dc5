"""The person's Python, and the virtual environment that each session gets on top of it.

A session's own environment is first on PATH, so ``pip install`` has a place to write to. It looks
on where the person's Python looks, so what they have installed is there without being copied. Their
console scripts start their Python and would not see what the session installed: so each has a twin
that starts whatever ``python3`` is first on PATH. ``python -m venv`` makes the same three files in
seconds (https://docs.python.org/3/library/venv.html).
"""

import contextlib
import errno
import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from debug_mcp.errors import ToolFailed
from debug_mcp.models.sessions import Isolation
from debug_mcp.runner.capture import capture
from debug_mcp.runner.environment import VIRTUAL_ENVIRONMENT
from debug_mcp.runner.sandbox import Confined

ASK_SECONDS = 10
_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_OBJECT = re.compile(r"[A-Za-z_][\w.]{0,199}:[A-Za-z_][\w.]{0,199}")

# Run by the interpreter itself: nobody else knows all of its rules. Works from Python 3.8 on.
_QUESTION = """
import glob, json, os, site, sys
from importlib import metadata
sites = [folder for folder in sys.path if folder.endswith(("-packages", "-packages" + os.sep))]
entries = [entry for found in metadata.distributions(path=sites) for entry in found.entry_points]
scripts = {}
for entry in entries:
    if entry.group == "console_scripts":
        scripts.setdefault(entry.name, entry.value.split("[")[0].strip())
if "pip" not in scripts:
    import ensurepip
    beside = os.path.join(os.path.dirname(ensurepip.__file__), "_bundled", "pip-*.whl")
    for wheel in (glob.glob(beside) + glob.glob("/usr/share/python-wheels/pip-*.whl"))[:1]:
        sites.append(wheel)
        scripts["pip"] = "pip._internal.cli.main:main"
print(json.dumps({
    "executable": getattr(sys, "_base_executable", None) or sys.executable,
    "version": "%d.%d.%d" % sys.version_info[:3],
    "prefixes": sorted({sys.prefix, sys.base_prefix}),
    "sites": sites,
    "scripts": scripts,
}))
"""

_SCRIPT = """\
#!/usr/bin/env python3
import sys

from {module} import {name}

sys.exit({call}())
"""


@dataclass(frozen=True, slots=True)
class Interpreter:
    """A Python that is there.

    Attributes:
        executable: The base interpreter; never one of a virtual environment.
        version: Such as ``3.13.1``.
        folders: What must be readable for it.
        sites: Where it looks for installed packages, in order.
        scripts: The console scripts of those packages: name, and ``module:object``.
    """

    executable: Path
    version: str
    folders: tuple[Path, ...]
    sites: tuple[Path, ...]
    scripts: Mapping[str, str]


async def find_interpreter(path: str, environment: Mapping[str, str]) -> Interpreter | None:
    """Ask the first Python on a PATH about itself; None when there is none that answers."""
    program = shutil.which("python3", path=path) or shutil.which("python", path=path)
    if program is None:
        return None
    kept = {name: value for name, value in environment.items() if not name.startswith("PYTHON")}
    asked = Confined(program, (program, "-c", _QUESTION), kept, "/", Isolation.NONE)
    try:
        said = await capture(asked, timeout=ASK_SECONDS)
        found = json.loads(said.output)
        return Interpreter(
            executable=Path(found["executable"]),
            version=found["version"],
            folders=tuple(Path(folder) for folder in (*found["prefixes"], *found["sites"])),
            sites=tuple(Path(folder) for folder in found["sites"]),
            scripts={
                name: value
                for name, value in sorted(found["scripts"].items())
                if _FILE.fullmatch(name) and _OBJECT.fullmatch(value)
            },
        )
    except (ToolFailed, ValueError, KeyError, TypeError):
        return None  # something else by that name, or a broken one: as if it were not there


def make_environment(
    interpreter: Interpreter, session: Path, home: Path, shared: str | None = None
) -> None:
    """Give a session's home its virtual environment, unless it has had one.

    Args:
        interpreter: What it stands on.
        session: The session's folder, which none of its commands can write to.
        home: The home inside it, in which anything may have been planted: nothing is opened there.
        shared: A built environment whose packages it sees, as its programs see its folder.
    """
    noted = session / "furnished"
    if noted.exists():
        return
    made = Path(tempfile.mkdtemp(prefix="venv.", dir=session))
    try:
        fill(made, interpreter, shared)
        made.chmod(0o755)
        made.rename(home / VIRTUAL_ENVIRONMENT)
    except OSError as error:
        shutil.rmtree(made, ignore_errors=True)
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
    noted.touch()


def fill(folder: Path, interpreter: Interpreter, shared: str | None = None) -> None:
    """Make an empty folder a virtual environment; ``shared`` as in ``make_environment``."""
    minor = ".".join(interpreter.version.split(".")[:2])
    libraries = f"lib/python{minor}/site-packages"
    packages = folder / libraries
    packages.mkdir(parents=True)
    (folder / "bin").mkdir()
    for name in ("python", "python3", f"python{minor}"):
        (folder / "bin" / name).symlink_to(interpreter.executable)
    (folder / "pyvenv.cfg").write_text(
        f"home = {interpreter.executable.parent}\n"
        "include-system-site-packages = false\n"
        f"version = {interpreter.version}\n"
    )
    # As `site` reads it: a line that imports is run, and reads the other folders' own .pth files.
    beneath = [] if shared is None else [f"{shared}/{libraries}"]
    sites = [*beneath, *map(str, interpreter.sites)]
    lines = [f"import site; site.addsitedir({site!r})\n" for site in sites]
    (packages / "debug_mcp_person.pth").write_text("".join(lines))


def make_scripts(interpreter: Interpreter, root: Path) -> Path:
    """Return a folder below ``root`` with a twin of each console script; made when it is missing.

    The folder's name tells what is in it, so servers share it, and a change makes another.
    """
    content = json.dumps(dict(interpreter.scripts)).encode()
    folder = root / hashlib.sha256(content).hexdigest()[:16]
    if folder.exists():
        return folder
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=root))
    for name, value in interpreter.scripts.items():
        module, _, called = value.partition(":")
        script = made / name
        script.write_text(_SCRIPT.format(module=module, name=called.split(".")[0], call=called))
        script.chmod(0o755)
    made.chmod(0o755)
    with contextlib.suppress(OSError):  # another server was faster
        made.rename(folder)
    shutil.rmtree(made, ignore_errors=True)
    return folder
