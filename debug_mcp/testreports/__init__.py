"""Structured test results: written by our pytest plugin, or read from JUnit files."""

from pathlib import Path


def injected_folder() -> Path:
    """Return the folder that goes on PYTHONPATH, so that pytest finds our plugin in it."""
    return Path(__file__).parent / "injected"
