"""What a person asks for, done in this process on the data directory."""

from pathlib import Path, PurePosixPath
from typing import Any

import anyio

from debug_mcp.auth.principal import LOCAL
from debug_mcp.cli.opening import opened
from debug_mcp.cli.place import Facts, File, Kind, Show
from debug_mcp.errors import NotFound
from debug_mcp.models.commands import CommandState
from debug_mcp.operations.commands import command_wait
from debug_mcp.operations.registry import Call, Operation
from debug_mcp.service.following import Following
from debug_mcp.service.services import Services

_CHUNK_BYTES = 256 << 10
_LOOK_SECONDS = 60.0


class Here:
    """The data directory of this machine, as the person who owns it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._call = Call(LOCAL, services)

    async def ask(self, operation: Operation, **arguments: Any) -> Facts:
        """Run an operation."""
        return (await operation.invoke(self._call, arguments)).compact()

    async def follow(self, command_id: str, offset: int, show: Show) -> Facts:
        """Show what a command writes to its end."""
        following = await self._services.commands.follow(LOCAL, command_id, offset)
        async with opened(anyio.create_task_group()) as tasks:
            tasks.start_soon(following.watch)
            try:
                await _show(following, show)
            finally:
                tasks.cancel_scope.cancel()
        return await self.ask(
            command_wait, command_id=command_id, wait_seconds=0, since=following.offset
        )

    async def file(self, kind: Kind, name: str) -> File:
        """Return what is known of a file."""
        if kind == "artifact":
            artifact, _ = await self._services.artifacts.file(LOCAL, name)
            return File(PurePosixPath(artifact.name).name, artifact.size, artifact.sha256)
        path = await self._path(kind, name)
        return File(f"{name}.txt", path.stat().st_size if path.exists() else 0)

    async def read(self, kind: Kind, name: str, offset: int, show: Show) -> None:
        """Show all bytes of a file from an offset on."""
        path = await self._path(kind, name)
        if kind == "output" and not path.exists():
            return  # one that has not begun has written nothing
        try:
            async with await anyio.open_file(path, "rb") as file:
                await file.seek(offset)
                while data := await file.read(_CHUNK_BYTES):
                    await show(data)
        except FileNotFoundError as error:
            raise NotFound("its content is not there any more") from error

    async def _path(self, kind: Kind, name: str) -> Path:
        if kind == "artifact":
            return (await self._services.artifacts.file(LOCAL, name))[1]
        return (await self._services.commands.file(LOCAL, name))[1]


async def _show(following: Following, show: Show) -> None:
    while True:
        ended = following.command.state is CommandState.FINISHED
        data = await following.part(0 if ended else _LOOK_SECONDS)
        if data:
            await show(data)
        elif ended:
            return
