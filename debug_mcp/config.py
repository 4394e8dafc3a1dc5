"""Settings, read once: command line over ``DEBUG_MCP_*`` over ``config.toml`` over defaults.

The only module that reads the environment.
"""

import difflib
import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import platformdirs
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from debug_mcp.errors import InvalidInput
from debug_mcp.models.destinations import Destination
from debug_mcp.models.network import NetworkPolicy
from debug_mcp.models.numbers import Bytes, Count, Days, Rate, Seconds, WholeSeconds

MIB = 1024 * 1024

# Of the person's variables, those that say how git connects and not what it works on.
CONNECTION_VARIABLES = frozenset({
    "GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
    "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_SSL_NO_VERIFY", "GIT_PROXY_SSL_CAINFO",
    "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM",
})  # fmt: skip

# Settings that belong in the file alone.
REFUSED_VARIABLES = ("DEBUG_MCP_CREDENTIALS",)

# Where clients keep their token, `debug-mcp call --url` among them.
TOKEN_VARIABLE = "DEBUG_MCP_TOKEN"  # noqa: S105  # a name

# Where the file is; what a command in a session is told of itself, for a server started there; and
# the name under which clients keep their token.
_OTHER_VARIABLES = (
    "DEBUG_MCP_CONFIG",
    "DEBUG_MCP_SESSION",
    "DEBUG_MCP_COMMAND",
    "DEBUG_MCP_ENV",
    "DEBUG_MCP_REPORT",
    "DEBUG_MCP_TREE",
    TOKEN_VARIABLE,
)


class IsolationPolicy(StrEnum):
    """Which boundary to use, and what to do when it cannot be had."""

    AUTO = "auto"
    NONE = "none"
    REQUIRE_BWRAP = "require:bwrap"
    REQUIRE_LANDLOCK = "require:landlock"


class LogFormat(StrEnum):
    """How a server writes what it logs."""

    TEXT = "text"
    JSON = "json"


class Credential(BaseModel):
    """How the server logs in to one host, for principals that are not the person at the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: SecretStr | None = Field(default=None, description="password or access token for https")
    username: str | None = Field(default=None, description="beside the token; default oauth2")
    ssh_key: Path | None = Field(default=None, description="private key without a passphrase")
    known_hosts: Path | None = Field(default=None, description="the host's ssh key")
    ca_file: Path | None = Field(default=None, description="certificate authority of the host")


class Settings(BaseSettings):
    """Every setting, with its default and its unit."""

    model_config = SettingsConfigDict(
        env_prefix="DEBUG_MCP_", extra="forbid", frozen=True, allow_inf_nan=False
    )

    data_dir: Path = Field(
        default=Path(platformdirs.user_data_dir("debug-mcp")),
        description="where everything is kept; a local file system",
    )
    isolation: IsolationPolicy = Field(
        default=IsolationPolicy.AUTO,
        description="auto: bwrap where it works, else landlock, else none; require:bwrap fails "
        "closed, require:landlock takes the best of both",
    )
    network: NetworkPolicy = Field(
        default=NetworkPolicy.AUTO,
        description="the host's network for commands. ask: those that say network: true, and the "
        "set-up of sessions; setup: that alone; off: none; on: all; auto: ask on stdio, over HTTP "
        "what the token says, or off. No token gets more than a setting other than auto",
    )
    pass_variables: list[str] = Field(
        default=[],
        description="variables of the server that commands with the network get too, by name, such "
        "as PIP_INDEX_URL; proxies and certificates are passed anyway",
    )
    running_commands: int = Field(
        default=8, ge=1, le=1000, description="commands that run at once, over all sessions"
    )
    queued_commands: int = Field(
        default=20, ge=1, le=10_000, description="commands that may wait in one session"
    )
    output_bytes: Bytes = Field(
        default=256 * MIB, ge=1024, description="output kept of one command; the rest is dropped"
    )
    command_memory_bytes: Bytes | None = Field(
        default=None,
        ge=0,
        description="memory of a command and all that it starts; 0: no limit; by default three "
        "quarters of the machine's",
    )
    command_processes: Count = Field(
        default=2048, ge=0, description="processes of a command at once; 0: no limit"
    )
    command_cpu_seconds: Seconds = Field(
        default=0, ge=0, description="processor time of all its processes; 0: no limit"
    )
    command_file_bytes: Bytes = Field(
        default=0, ge=0, description="largest file that it can write; 0: no limit"
    )
    command_open_files: Count = Field(
        default=0,
        ge=0,
        description="files that each of its processes can have open; 0: as many as the server",
    )
    session_disk_bytes: Bytes = Field(
        default=20 * 1024 * MIB, ge=0, description="disk that a session may take; 0: no limit"
    )
    session_seconds: WholeSeconds = Field(
        default=7 * 24 * 3600, ge=1, description="a session is closed after this long, work saved"
    )
    session_idle_seconds: WholeSeconds = Field(
        default=24 * 3600,
        ge=1,
        description="and when no call named it and none of its commands ran for this long",
    )
    artifact_bytes: Bytes = Field(
        default=64 * MIB, ge=1024, description="largest file kept as an artifact"
    )
    grace_seconds: float = Field(
        default=5, ge=0, le=60, description="between asking a command to end and killing it"
    )
    default_wait: float | None = Field(
        default=None,
        ge=0,
        le=50,
        description="seconds that calls wait at most which name no wait_seconds; for clients that "
        "cut calls early",
    )
    credentials: dict[str, Credential] = Field(
        default={}, description="by host, in config.toml alone: see the how-to on repositories"
    )
    allowed_upstreams: list[Destination] = Field(
        default=[],
        description="hosts and networks beside public ones that principals over HTTP may name as "
        'upstreams, such as "git.internal" or "10.0.0.0/8"',
    )
    repository_bytes: Bytes = Field(
        default=20 * 1024 * MIB, ge=0, description="disk that a mirror may take; 0: no limit"
    )
    clone_seconds: Seconds = Field(
        default=6 * 3600, ge=1, description="a clone that takes longer is ended"
    )
    fetch_seconds: Seconds = Field(default=1800, ge=1, description="and a fetch")
    tree_files: Count = Field(
        default=1_000_000,
        ge=0,
        description="files and folders of a commit that is checked out; 0: no limit",
    )
    pool_trees: int = Field(
        default=2, ge=0, le=20, description="trees prepared for each repository; 0: none"
    )
    pool_bytes: Bytes = Field(
        default=2048 * MIB, ge=0, description="disk that all prepared trees may take"
    )
    retention_days: Days = Field(
        default=30,
        ge=0,
        description="how long evidence stays, and outputs and artifacts of sessions that ended",
    )
    retention_bytes: Bytes = Field(
        default=20 * 1024 * MIB,
        ge=0,
        description="outputs and artifacts kept; beyond that the oldest of sessions that ended go",
    )
    environment_bytes: Bytes = Field(
        default=20 * 1024 * MIB,
        ge=0,
        description="disk that built environments take; beyond that those go that were not used "
        "for longest, never one that an open session has",
    )
    audit_days: Days = Field(
        default=90, ge=0, description="how long the audit log keeps who did what"
    )
    bind: list[Path] = Field(
        default=[], description="further folders that commands may read, such as a toolchain's"
    )
    http_host: str = Field(
        default="127.0.0.1", description="where `serve` listens; elsewhere only with a token"
    )
    http_port: int = Field(default=8321, ge=0, le=65_535, description="0 takes a free one")
    http_allowed_hosts: list[str] = Field(
        default=[], description="further names, without port, that the server answers to"
    )
    http_allowed_origins: list[str] = Field(
        default=[], description="origins of pages in browsers that may ask the server"
    )
    http_proxies: list[IPvAnyNetwork] = Field(
        default=[],
        description="addresses or networks of proxies whose X-Forwarded-For names the client",
    )
    http_connections: Count = Field(default=1000, ge=1, description="connections at once")
    http_request_seconds: Seconds = Field(
        default=30, gt=0, description="for the head of a request, and again for its body"
    )
    http_body_bytes: Bytes = Field(
        default=4 * MIB, ge=1024, description="largest body of a request"
    )
    http_requests_per_second: Rate = Field(
        default=50, gt=0, description="requests of one principal, in the long run"
    )
    http_requests_burst: Count = Field(
        default=200, ge=1, description="requests of one principal in short succession"
    )
    http_requests_at_once: Count = Field(
        default=100,
        ge=1,
        description="requests of one principal under way, open streams among them",
    )
    http_failures: Count = Field(
        default=20, ge=1, description="wrong tokens from one address in a minute"
    )
    log_format: LogFormat = Field(
        default=LogFormat.TEXT,
        description="of what `serve` says on standard error. text: what is out of order; json: "
        "each call and each end of a command too, one object a line",
    )
    http_metrics_open: bool = Field(
        default=False,
        description="/metrics for everybody who reaches the server; else with the scope admin",
    )
    ready_disk_bytes: Bytes = Field(
        default=256 * MIB, ge=0, description="disk that must be free for /readyz to say so"
    )
    bootstrap_token: SecretStr | None = Field(
        default=None, description="a token with every scope, for a server that starts without any"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the command line first, then the environment, then the file; no ``.env``."""
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, config_file())


class Layout:
    """Where things are in the data directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.database = root / "debug-mcp.sqlite3"
        self.instances = root / "instances"
        self.repositories = root / "repositories"
        self.pool = root / "pool"
        self.environments = root / "environments"
        self.sessions = root / "sessions"
        self.commands = root / "commands"
        self.artifacts = root / "artifacts"

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that must be there before anything else."""
        return (
            self.instances,
            self.repositories,
            self.environments,
            self.sessions,
            self.commands,
            self.artifacts,
        )


def config_file() -> Path:
    """Return where ``config.toml`` is looked for."""
    named = os.environ.get("DEBUG_MCP_CONFIG")
    return Path(named) if named else Path(platformdirs.user_config_dir("debug-mcp"), "config.toml")


def load(**overrides: Any) -> Settings:
    """Read the settings; overrides that are None do not count.

    Raises:
        InvalidInput: A setting is unknown or malformed; the message names it.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    _check_environment()
    try:
        return Settings(**given)
    except ValidationError as error:
        raise _fault(error.errors()[0]) from error
    except (tomllib.TOMLDecodeError, OSError) as error:
        raise InvalidInput(f"{config_file()} cannot be read: {error}") from error


def _check_environment() -> None:
    """Refuse a misspelt variable: ``DEBUG_MCP_ISOLATON=require:bwrap`` must not fail open."""
    known = [f"DEBUG_MCP_{name.upper()}" for name in Settings.model_fields]
    for name in os.environ:
        if name in REFUSED_VARIABLES:
            raise InvalidInput(
                f"credentials belong in {config_file()}, where git reads them by itself: {name} "
                "would hand them to every program that the server starts",
                field=name,
            )
        if name.startswith("DEBUG_MCP_") and name not in (*known, *_OTHER_VARIABLES):
            near = difflib.get_close_matches(name, known, 1) or known
            raise InvalidInput(
                f"the environment has {name}, which is no setting; there is {', '.join(near)}",
                field=name,
                candidates=near,
            )


def _fault(first: ErrorDetails) -> InvalidInput:
    name = ".".join(str(part) for part in first["loc"])
    known = sorted(Settings.model_fields)
    if first["type"] == "extra_forbidden":
        if len(first["loc"]) > 1:  # a key of `[credentials."host"]`
            known = sorted(Credential.model_fields)
        near = difflib.get_close_matches(str(first["loc"][-1]), known, 1) or known
        return InvalidInput(
            f"there is no setting {name!r} (in {config_file()}); there is {', '.join(near)}",
            field=name,
            candidates=near,
        )
    return InvalidInput(f"setting {name}: {first['msg']}", field=name)


def user_environment() -> Mapping[str, str]:
    """Return the environment of the person who started the server, for their own git alone.

    It never reaches a session: see ``runner.environment``.
    """
    return dict(os.environ)


def forget_git_variables() -> None:
    """Drop every ``GIT_*`` variable that redirects git, before anything reads a repository.

    A server that is launched from a git hook inherits ``GIT_DIR`` and its like, which would turn
    every git call of ours to that repository.
    """
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        if name not in CONNECTION_VARIABLES:
            del os.environ[name]


def client_token() -> str:
    """Return the token with which a server elsewhere is asked, or an empty text."""
    return os.environ.get(TOKEN_VARIABLE, "")


def container_variable() -> str:
    """Return what a container manager says that this is, or an empty text."""
    return os.environ.get("container", "")  # noqa: SIM112  # its name is in small letters
