"""Bundles of evidence: what was asked, what ran where, and what came of it, in one archive."""

import dataclasses
import hashlib
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import anyio

from debug_mcp import __version__
from debug_mcp.artifacts import bundle
from debug_mcp.artifacts.bundle import Part, json_bytes
from debug_mcp.auth.principal import Principal, Scope
from debug_mcp.errors import Conflict, InvalidInput, NotFound
from debug_mcp.models.bundles import BundleView, EvidenceBundle
from debug_mcp.models.commands import Command, CommandState
from debug_mcp.models.evidence import EvidenceRow, EvidenceState
from debug_mcp.models.sessions import WorkSession
from debug_mcp.service.artifacts import ArtifactService
from debug_mcp.service.commands import CommandService
from debug_mcp.service.reports import read_report
from debug_mcp.service.sessions import SessionService
from debug_mcp.store.artifacts import Artifacts
from debug_mcp.store.evidence import Evidence

MOST_BYTES = 2 << 30
ARTIFACTS = 1000
# Variables may hold secrets: their names are shown, and nothing of their values.
_SECRET = ("env", "session_env")
_APART = {"patch", "wait_seconds", "idempotency_key"}
_LINE = ("command", "cwd", "timeout_seconds", "tty", "network", "streams")
_END = (
    "kind", "outcome", "exit_code", "elapsed_seconds", "cpu_seconds", "memory_bytes", "accepted_at",
    "started_at", "ended_at", "output_bytes", "output_dropped", "message",
)  # fmt: skip


class BundleService:
    """Makes bundles, which are artifacts of the first session that ran for them."""

    def __init__(
        self,
        rows: Evidence,
        artifact_rows: Artifacts,
        sessions: SessionService,
        commands: CommandService,
        artifacts: ArtifactService,
        folder: Path,
    ) -> None:
        self._rows = rows
        self._artifact_rows = artifact_rows
        self._sessions = sessions
        self._commands = commands
        self._artifacts = artifacts
        self._folder = folder

    async def make(self, principal: Principal, args: EvidenceBundle) -> BundleView:
        """Make a bundle, or find the one that was made of the same before.

        Raises:
            NotFound: The principal has nothing of this id.
            Conflict: It has not ended.
            InvalidInput: There is too much for one bundle.
        """
        principal.require(Scope.SESSION_READ)
        principal.require(Scope.ARTIFACT_READ)
        row, commands = await self._found(principal, args.evidence_id)
        sessions = await self._sessions_of(principal, commands)
        parts = _asked(args.evidence_id, row, commands, sessions)
        for command in commands:
            parts += await self._ran(principal, command)
        _check_size(parts)
        about = {"id": args.evidence_id, "debug_mcp": __version__}
        with tempfile.NamedTemporaryFile(dir=self._folder) as file:
            await anyio.to_thread.run_sync(_write, file, about, parts)
            name = f"evidence-{args.evidence_id}.tar"
            kept = await self._artifacts.keep_file(sessions[0], name, Path(file.name))
        return BundleView(
            evidence_id=args.evidence_id,
            artifact_id=kept.id,
            name=kept.name,
            size=kept.size,
            sha256=kept.sha256,
            commands=len(commands),
        )

    async def _found(
        self, principal: Principal, name: str
    ) -> tuple[EvidenceRow | None, list[Command]]:
        """Return the evidence of an id, None for a command, and the commands that it is made of."""
        row = await self._rows.owned_of_any_kind(name, principal.owner)
        if row is None and name.startswith("x_"):
            raise NotFound(f"no evidence {name!r} of yours", field="evidence_id")
        if row is not None and row.state is EvidenceState.RUNNING:
            raise Conflict(f"{name} is not done yet", field="evidence_id")
        names = [name] if row is None else await self._rows.command_ids(row)
        commands = [await self._commands.owned(principal, each) for each in names]
        if not commands:
            raise Conflict(f"nothing ran for {name}", field="evidence_id")
        for command in commands:
            if command.state is not CommandState.FINISHED:
                raise Conflict(f"command {command.id} has not ended yet", field="evidence_id")
        return row, commands

    async def _sessions_of(
        self, principal: Principal, commands: Sequence[Command]
    ) -> list[WorkSession]:
        names = dict.fromkeys(command.session_id for command in commands)
        return [await self._sessions.owned(principal, name) for name in names]

    async def _ran(self, principal: Principal, command: Command) -> list[Part]:
        """Return what a command left: as it was written, and what its tests said."""
        _, output = await self._commands.file(principal, command.id)
        folder = f"commands/{command.id}"
        parts = [Part(f"{folder}/command.json", json_bytes(_command(command)))]
        parts += [Part(f"{folder}/{name}", output.with_name(name)) for name in ("output", "stderr")]
        report = await anyio.to_thread.run_sync(read_report, output.parent)
        if report is not None:
            told = dataclasses.asdict(dataclasses.replace(report, current_since=None))
            parts.append(Part(f"{folder}/tests.json", json_bytes(told)))
        kept = await self._artifact_rows.of_command(command.id, ARTIFACTS)
        names = {each.id: each.name for each in kept}
        if names:
            parts.append(Part(f"{folder}/artifacts.json", json_bytes(names)))
        parts += [Part(f"{folder}/{each.id}", self._artifacts.path(each)) for each in kept]
        return [part for part in parts if isinstance(part.content, bytes) or part.content.exists()]


def _asked(
    name: str, row: EvidenceRow | None, commands: Sequence[Command], sessions: Sequence[WorkSession]
) -> list[Part]:
    environment = {
        "debug_mcp": __version__,
        "machine": platform.machine(),
        "system": platform.system(),
        "kernel": platform.release(),
        "server_python": ".".join(map(str, sys.version_info[:3])),
        "isolation": sorted({str(session.isolation) for session in sessions}),
        "set_up": sorted({session.environment for session in sessions if session.environment}),
    }
    told = {
        "id": name,
        "kind": "command" if row is None else str(row.kind),
        "asked": {} if row is None else _without_secrets(row.asked),
        "result": None if row is None else row.result,
        "commands": [command.id for command in commands],
        "sessions": {session.id: _session(session) for session in sessions},
        "environment": environment,
        "environment_digest": hashlib.sha256(json_bytes(environment)).hexdigest(),
    }
    patch = None if row is None else row.asked.get("patch")
    parts = [Part("evidence.json", json_bytes(told))]
    return [*parts, Part("patch.diff", patch.encode())] if patch else parts


def _session(session: WorkSession) -> dict[str, Any]:
    return {
        "repository_id": session.repository_id,
        "ref": session.ref,
        "commit": session.base,
        "patch_sha256": session.patch_digest,
        "isolation": str(session.isolation),
        "environment": session.environment,
        "variables": sorted(session.env),
    }


def _command(command: Command) -> dict[str, Any]:
    request = command.request
    end = {name: getattr(command, name) for name in _END}
    return {
        **{name: getattr(request, name) for name in _LINE},
        "variables": sorted(request.env),
        "session_id": command.session_id,
        **{name: str(value) if name.endswith("_at") else value for name, value in end.items()},
    }


def _without_secrets(asked: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in asked.items() if name not in _APART}
    return {name: sorted(value) if name in _SECRET else value for name, value in shown.items()}


def _check_size(parts: Sequence[Part]) -> None:
    files = [part.content.stat().st_size for part in parts if isinstance(part.content, Path)]
    if sum(files) > MOST_BYTES:
        raise InvalidInput(
            f"its outputs and artifacts are {sum(files)} bytes; {MOST_BYTES} fit in a bundle",
            field="evidence_id",
        )


def _write(file: IO[bytes], about: dict[str, Any], parts: Sequence[Part]) -> None:
    bundle.write(file, about, parts)
    file.flush()
