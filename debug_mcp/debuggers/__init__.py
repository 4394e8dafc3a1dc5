"""Debuggers, driven through the Debug Adapter Protocol (DAP).

The protocol: https://microsoft.github.io/debug-adapter-protocol/specification. An *adapter* is the
program that speaks it to us and controls a debugger; the *debuggee* is what is debugged. Adapter
and debuggee run inside a session, as any command of it; this package only talks to the adapter.
"""

from pathlib import Path


def injected_folder() -> Path:
    """Return the folder of what runs inside a session."""
    return Path(__file__).parent / "injected"
