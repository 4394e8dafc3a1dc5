"""What may be named as an upstream: a repository on this machine, or one behind https or ssh.

Whatever git could take for an option, a program to run or a secret to keep is refused here, before
anything is stored.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from debug_mcp.errors import InvalidInput

NAME_CHARACTERS = 90  # leaves room for a number
_FILE = "file://"
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9+.-]*::")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
# As git reads `host:path`: the colon comes before any slash.
_SCP = re.compile(
    r"(?:(?P<user>[A-Za-z0-9_][^@:/\s]*)@)?(?P<host>[A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])"
    r":(?P<path>[^\s].*)"
)
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*|[0-9A-Fa-f:.]+")
# Behind these, programs do not agree where the host begins.
_UNCLEAR = frozenset("@\\#?")
_FORMS = ("/absolute/path", "https://host/path.git", "ssh://git@host/path.git", "git@host:path.git")
# What stands where a name is meant, as `https://TOKEN@host` is written.
_TOKEN = re.compile(r"(?:gh[a-z]_|github_pat_|glpat-|x-token-auth$).*|[A-Za-z0-9_-]{32,}")


@dataclass(frozen=True, slots=True)
class Upstream:
    """A repository to follow. ``url`` is what git gets; ``host`` is None on this machine.

    ``port`` is None where the URL names none.
    """

    url: str
    scheme: str
    host: str | None = None
    port: int | None = None

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return self.host is None

    @property
    def name(self) -> str:
        """The last part of the URL, as a repository may be called."""
        last = re.split(r"[/:]", self.url.rstrip("/"))[-1].removesuffix(".git")
        cleaned = re.sub(r"[^A-Za-z0-9._-]+", "-", last).strip("-._")
        return cleaned[:NAME_CHARACTERS] or "repository"

    def same(self, url: str) -> bool:
        """Return whether a registered URL means this repository, however either is written."""
        if not self.is_local:
            return _bare(url) == _bare(self.url)
        try:
            return url == self.url or (is_local(url) and Path(url).samefile(self.url))
        except OSError:
            return False


def is_local(url: str) -> bool:
    """Return whether a registered URL is a folder of this machine."""
    return url.startswith("/")


def registered(url: str) -> Upstream:
    """Return the upstream that a registered URL names; it has been parsed before."""
    if is_local(url):
        return Upstream(url, "file")
    return parse_upstream(url, "url", local=False)


def parse_upstream(url: str, field: str, *, local: bool) -> Upstream:
    """Return the upstream that a URL or an absolute path names.

    A folder inside of a repository on this machine stands for that repository: this looks at the
    file system, so call it in a thread.

    Args:
        url: What the caller wrote.
        field: The argument it stood in, for the error.
        local: Whether the caller may name repositories on this machine.

    Raises:
        InvalidInput: It is none of the forms, holds a password, or there is no repository.
    """
    if url.startswith("-"):
        raise InvalidInput("a URL does not start with a dash", field=field, candidates=_FORMS)
    if _HELPER.match(url):
        raise InvalidInput(
            f"{_shown(url)}: transport helpers such as ext:: run programs and are refused",
            field=field,
            candidates=_FORMS,
        )
    if "\0" not in url and not url.isprintable():
        raise InvalidInput(f"{_shown(url)}: unprintable characters", field=field)
    if url.lower().startswith(_FILE):
        return _local(unquote(url[len(_FILE) :]), url, field, allowed=local)
    scheme = _SCHEME.match(url)
    if scheme:
        return _with_scheme(scheme[1].lower(), url, field)
    address = None if url.startswith(("/", "~", ".")) else _SCP.fullmatch(url)
    if address:
        if address["path"].startswith("-"):
            raise InvalidInput(f"{_shown(url)}: a path does not start with a dash", field=field)
        return Upstream(url, "ssh", address["host"].strip("[]").lower())
    return _local(url, url, field, allowed=local)


def _with_scheme(scheme: str, url: str, field: str) -> Upstream:
    if scheme == "git":
        raise InvalidInput(
            f"{_shown(url)}: git:// tells nobody who answers, so anybody on the way could change "
            "the code; use https:// or ssh://",
            field=field,
        )
    if scheme not in ("https", "http", "ssh"):
        raise InvalidInput(f"{scheme}:// is not supported", field=field, candidates=_FORMS)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidInput(f"{_shown(url)} is not a URL: {error}", field=field) from error
    user = parts.username or ""
    if not host or not _HOST.fullmatch(host) or user.startswith("-") or _UNCLEAR & set(user):
        raise InvalidInput(f"{_shown(url)} names no host", field=field)
    if not parts.path.strip("/"):
        raise InvalidInput(f"{_shown(url)} names no repository on {host}", field=field)
    _refuse_secrets(parts, scheme, field)
    return Upstream(urlunsplit(parts._replace(scheme=scheme)), scheme, host, port)


def _refuse_secrets(parts: SplitResult, scheme: str, field: str) -> None:
    """Refuse a URL with a password, a token or a query in it: it is stored, and shown."""
    secret = parts.password is not None
    if scheme != "ssh":
        secret = secret or bool(parts.query) or bool(_TOKEN.fullmatch(parts.username or ""))
    if not secret:
        return
    host = parts.netloc.rpartition("@")[2]
    clean = urlunsplit(parts._replace(netloc=host, query="", fragment=""))
    raise InvalidInput(
        f"the URL holds a password or token, which would be stored and shown: give {clean}, and "
        f"let git log in by itself (over stdio with your own credential helper or ssh key, over "
        f'HTTP with [credentials."{parts.hostname}"] in config.toml)',
        field=field,
        candidates=(clean,),
    )


def _local(name: str, url: str, field: str, *, allowed: bool) -> Upstream:
    """Return the repository at a path; a folder inside one will do."""
    if not allowed:
        raise InvalidInput(
            "a path names a repository of the machine that the server runs on, which is not "
            "yours to name: give an https or ssh URL",
            field=field,
            candidates=_FORMS[1:],
        )
    try:
        path = Path(name).expanduser()
        if "\0" in name or not path.is_absolute():
            raise InvalidInput(
                f"{url!r} is not an absolute path nor a URL", field=field, candidates=_FORMS
            )
        path = Path(os.path.normpath(path))
        if not path.exists():
            raise InvalidInput(f"{path} does not exist", field=field)
        found = next((folder for folder in (path, *path.parents) if _is_repository(folder)), None)
    except (OSError, RuntimeError) as error:  # no right to look, or a home of nobody
        raise InvalidInput(f"{url!r} cannot be looked at: {error}", field=field) from error
    if found is None:
        raise InvalidInput(f"{path} is not in a git repository", field=field)
    return Upstream(str(found.parent if found.name == ".git" else found), "file")


def _is_repository(folder: Path) -> bool:
    bare = (folder / "HEAD").is_file() and (folder / "objects").is_dir()
    return bare or (folder / ".git").exists()


def _bare(url: str) -> str:
    """Return a remote URL without what makes no difference."""
    if url.startswith(("https://", "http://", "ssh://")):
        parts = urlsplit(url)
        url = urlunsplit(parts._replace(netloc=parts.netloc.lower(), fragment=""))
    return url.rstrip("/").removesuffix(".git")


def _shown(url: str) -> str:
    return repr(without_credentials(url)[:200])


def without_credentials(text: str) -> str:
    """Return a text without what stands before the host in URLs."""
    return re.sub(r"://[^/@\s]+@", "://", text)
