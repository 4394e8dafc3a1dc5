"""Structured test results: written by our pytest plugin, or read from JUnit files."""

from pathlib import Path

STOP_PLUGIN = "debug_mcp_stop"
"""The plugin that stops a debugger at failures; it is beside the other, and must be asked for."""


def injected_folder() -> Path:
    """Return the folder that goes on PYTHONPATH, so that pytest finds our plugin in it."""
    return Path(__file__).parent / "injected"
