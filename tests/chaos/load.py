"""A mixed load from several clients, each with a server of its own on one data directory.

Everything that a client decides comes from its seeded generator; what the kernel makes of it does
not, so that a seed repeats a load and not a schedule. A client whose server was killed does what a
real one does: it starts another and sends the same call again, with the same idempotency key.
"""

import random
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from debug_mcp.config import Settings
from tests.chaos.servers import Died, Refused, Server
from tests.chaos.sniper import Sniper

KINDS = ("quick", "quick", "quick", "slow", "fail", "daemon", "stubborn", "keep")
STUBBORN_SECONDS = 0.3
SESSIONS = 6
# How long after a call was sent, or a server started, its end comes: most calls take 5 to 60 ms.
FUSE_SECONDS = 0.08
FUSES = 0.35
# What a client may be told that raced with another: the session was closed, or its queue is full.
RACES = {"busy", "conflict", "not_found", "unavailable"}


@dataclass
class Asked:
    """A command that was asked for, under a token that is its idempotency key too."""

    token: str
    kind: str
    arguments: dict[str, Any]
    ids: set[str] = field(default_factory=set)
    cancelled: bool = False
    refused: bool = False


class Plan:
    """What all clients share: how many kills are left, what was asked for, what is open.

    ``journal`` is where commands note what they did, outside the data directory; in a sandbox,
    which reaches nothing there, it is relative to each session's tree, and no session is closed.
    ``shot`` are the commands whose supervisor was killed: their end may be lost, and nothing else.
    """

    def __init__(self, settings: Settings, repository: str, journal: str, kills: int) -> None:
        self.settings = settings
        self.repository = repository
        self.journal = journal
        self.errors = str(settings.data_dir.parent / "servers.log")
        self.asked: dict[str, Asked] = {}
        self.sessions: dict[str, str] = {}
        self.exported: dict[str, list[str]] = {}
        self.kills = 0
        self.shot: set[str] = set()
        self.faults: list[str] = []
        self._left = kills
        self._lock = threading.Lock()

    def take_a_kill(self) -> bool:
        """Return whether there is a kill left to do, and count it."""
        with self._lock:
            if self._left == 0:
                return False
            self._left -= 1
            self.kills += 1
            return True

    @property
    def closes(self) -> bool:
        return Path(self.journal).is_absolute()

    @property
    def goes_on(self) -> bool:
        return self._left > 0


class Client(threading.Thread):
    """One client: asks, has its server killed, asks again."""

    def __init__(self, plan: Plan, name: str, seed: int) -> None:
        super().__init__(name=name)
        self._plan = plan
        self._random = random.Random(f"{seed}-{name}")
        self._number = 0
        self._server: Server | None = None

    def run(self) -> None:
        choices = [
            (self._run, 10),
            (self._open, 2),
            (self._again, 3),
            (self._wait, 4),
            (self._cancel, 2),
            (self._read, 2),
            (self._export, 1),
            (self._register, 1),
            (self._close, 1),
        ]
        steps, weights = zip(*choices, strict=True)
        try:
            self._open()
            while self._plan.goes_on:
                self._random.choices(steps, weights)[0]()
        except Exception as error:  # noqa: BLE001  # the verdict names it
            self._plan.faults.append(f"{self.name} stopped: {error!r}")
        finally:
            if self._server is not None:
                self._server.bury()

    def ask(self, tool: str, **arguments: Any) -> dict[str, Any] | None:
        """Call until somebody answers; None where another client's step came in between."""
        while True:
            server = self._living()
            fuse = self._fuse(server)
            try:
                return server.call(tool, arguments)
            except Died:
                continue
            except Refused as refused:
                if refused.fault.get("error", {}).get("code") not in RACES:
                    self._plan.faults.append(f"{tool} {arguments}: {refused.fault}")
                return None
            finally:
                if fuse is not None:
                    fuse.join()

    def _living(self) -> Server:
        if self._server is not None and self._server.is_dead:
            self._server.bury()
            self._server = None
        if self._server is None:
            self._server = Server(self._plan.settings, self._plan.errors)
        return self._server

    def _fuse(self, server: Server) -> threading.Timer | None:
        burns = self._random.random() < FUSES
        seconds = self._random.uniform(0, FUSE_SECONDS)
        if not burns or not self._plan.take_a_kill():
            return None
        fuse = threading.Timer(seconds, server.kill)
        fuse.start()
        return fuse

    def _token(self, kind: str) -> str:
        self._number += 1
        return f"{self.name}-{self._number}-{kind}"

    def _open(self) -> None:
        if len(self._plan.sessions) >= SESSIONS:
            return
        token = self._token("session")
        view = self.ask("session_create", repository=self._plan.repository, idempotency_key=token)
        if view is not None:
            self._plan.sessions[view["session_id"]] = token

    def _run(self) -> None:
        if not self._plan.sessions:
            return
        kind = self._random.choice(KINDS)
        token = self._token(kind)
        arguments = {
            "session_id": self._random.choice(list(self._plan.sessions)),
            "command": ["python3", "-I", "-S", "work.py", self._plan.journal, token, kind],
            "parallel": self._random.random() < 0.3,
            "wait_seconds": self._random.choice((0, 0, 0.2)),
            "idempotency_key": token,
        }
        if kind == "stubborn":
            arguments["timeout_seconds"] = STUBBORN_SECONDS
        if kind == "keep":
            arguments["artifacts"] = [f"kept-{token}"]
        self._plan.asked[token] = Asked(token, kind, arguments)
        self._send(self._plan.asked[token])

    def _send(self, asked: Asked) -> None:
        view = self.ask("command_run", **asked.arguments)
        if view is None:
            asked.refused = True
        else:
            asked.ids.add(view["command_id"])

    def _some(self) -> Asked | None:
        known = [asked for asked in list(self._plan.asked.values())[-40:] if asked.ids]
        return self._random.choice(known) if known else None

    def _again(self) -> None:
        """Send what any client has sent, or is just sending, once more."""
        recent = list(self._plan.asked.values())[-10:]
        if recent:
            self._send(self._random.choice(recent))

    def _wait(self) -> None:
        if asked := self._some():
            self.ask("command_wait", command_id=min(asked.ids), wait_seconds=0.3)

    def _cancel(self) -> None:
        if asked := self._some():
            asked.cancelled = True
            self.ask("command_cancel", command_id=min(asked.ids))

    def _read(self) -> None:
        if asked := self._some():
            self.ask("command_output", command_id=min(asked.ids))

    def _export(self) -> None:
        if self._plan.sessions:
            self.ask("session_export", session_id=self._random.choice(list(self._plan.sessions)))

    def _register(self) -> None:
        name = self._token("repository")
        self.ask("repository_init", url=self._plan.repository, name=name)

    def _close(self) -> None:
        if len(self._plan.sessions) < SESSIONS or not self._plan.closes:
            return
        session = self._random.choice(list(self._plan.sessions))
        # Nobody asks for more in it; what is queued and running there is cancelled.
        if self._plan.sessions.pop(session, None) is None:
            return
        for asked in list(self._plan.asked.values()):
            if asked.arguments["session_id"] == session:
                asked.cancelled = True
        self.ask("session_close", session_id=session)


def run_load(plan: Plan, clients: int, seed: int) -> None:
    """Let clients ask until the kills are used up, and wait for all of them."""
    sniper = Sniper(plan.settings.data_dir / "commands", seed)
    sniper.start()
    threads = [Client(plan, f"client{number}", seed) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sniper.stop()
    plan.shot = sniper.shot
