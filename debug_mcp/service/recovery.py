"""What servers that are gone left unfinished is brought to a true state.

Running commands are followed again, those that ended meanwhile get their end, and what was claimed
but never begun is started. Nothing that may have run is run again. Half-made sessions are cleaned
up; half-closed ones are open again, with their work; half-made edits are finished.
"""

from anyio.abc import TaskGroup

from debug_mcp.auth.principal import LOCAL, Principal
from debug_mcp.models.sessions import SessionState, WorkSession
from debug_mcp.service.files import FileService
from debug_mcp.service.instance import Instance
from debug_mcp.service.pool import Pool
from debug_mcp.service.repositories import RepositoryService
from debug_mcp.service.scheduler import Scheduler
from debug_mcp.service.setup import Setup
from debug_mcp.service.trees import Trees
from debug_mcp.store.commands import Commands
from debug_mcp.store.sessions import Sessions

# Of so many looks one is whole, whatever is known of the other servers.
WHOLE_LOOK = 12


class Recovery:
    """Takes over from the dead."""

    def __init__(
        self,
        commands: Commands,
        rows: Sessions,
        trees: Trees,
        files: FileService,
        repositories: RepositoryService,
        setup: Setup,
        pool: Pool,
        scheduler: Scheduler,
        instance: Instance,
        tasks: TaskGroup,
    ) -> None:
        self._commands = commands
        self._rows = rows
        self._trees = trees
        self._files = files
        self._repositories = repositories
        self._setup = setup
        self._pool = pool
        self._scheduler = scheduler
        self._instance = instance
        self._tasks = tasks
        self._watched: set[str] = set()
        self._present: tuple[int, frozenset[tuple[str, bool]]] | None = None
        self._looks = 0

    async def recover(self) -> None:
        """Adopt every orphan, now and whenever the scheduler looks around.

        Where two servers try, one gets it.
        """
        await self._look()
        await self._set_up()
        self._scheduler.at_each_look(self._look)
        await self._pool.sweep()

    async def _look(self) -> None:
        """Adopt what was left. Where nothing changed and nobody died, there is nothing new."""
        present = self._commands.version(), self._instance.known()
        if present != self._present or self._looks % WHOLE_LOOK == 0:
            if await self._adopt():
                self._present = None
            else:
                # Only now: what failed, and what is under way, is looked at the next time again.
                self._present = present
                self._instance.forget_killed()
        self._looks += 1
        for other in self._instance.others() - self._watched:
            self._watched.add(other)
            self._tasks.start_soon(self._watch, other)

    async def _watch(self, other: str) -> None:
        """Look as soon as another server has ended."""
        await self._instance.gone(other)
        self._watched.discard(other)
        self._scheduler.look_now()

    async def _adopt(self) -> bool:
        """Adopt every orphan; return whether a clone or fetch is under way."""
        under_way = await self._repositories.look()
        for owner in await self._commands.owners():
            if not self._instance.lives(owner):
                for command in await self._commands.adopt(owner, self._instance.id):
                    self._scheduler.resume(command)
        await self._files.finish_left(await self._rows.in_state(SessionState.READY))
        for session in await self._rows.in_state(SessionState.PREPARING, SessionState.CLOSING):
            if not self._instance.lives(session.instance) and await self._rows.adopt(
                session.id, session.instance, self._instance.id
            ):
                await self._set_right(session)
        await self._setup.hand_on()
        return under_way

    async def _set_up(self) -> None:
        """Begin the set-up of sessions whose server died between making them and that."""
        for session in await self._rows.in_state(SessionState.READY):
            if not self._instance.lives(session.instance):
                # What the token of another allows is not known here: no network then.
                mine = session.principal == LOCAL.name
                principal = LOCAL if mine else Principal(session.principal, frozenset())
                await self._setup.make_up(principal, session)

    async def _set_right(self, session: WorkSession) -> None:
        if session.state is SessionState.CLOSING:
            await self._rows.advance(session.id, SessionState.READY)
            return
        # In this order: a server that dies in between leaves the rest to the next.
        await self._trees.remove(session)
        await self._rows.fail(session.id)
