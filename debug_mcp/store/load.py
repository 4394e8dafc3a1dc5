"""How much there is of everything, in numbers alone."""

from debug_mcp.store.database import Database

_SESSIONS = "SELECT state, count(*) AS number FROM sessions GROUP BY state"
_REPOSITORIES = "SELECT state, count(*) AS number FROM repositories GROUP BY state"
# Finished ones are not counted: there may be very many.
_COMMANDS = (
    "SELECT state, count(*) AS number FROM commands WHERE state <> 'finished' GROUP BY state"
)


class Load:
    """Counts rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def commands(self) -> dict[str, int]:
        """Return how many commands have not ended, by state."""
        return {row["state"]: row["number"] for row in await self._database.read(_COMMANDS)}

    async def sessions(self) -> dict[str, int]:
        """Return how many sessions there are, by state."""
        return {row["state"]: row["number"] for row in await self._database.read(_SESSIONS)}

    async def repositories(self) -> dict[str, int]:
        """Return how many repositories there are, by state."""
        return {row["state"]: row["number"] for row in await self._database.read(_REPOSITORIES)}
