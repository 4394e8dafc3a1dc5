"""The pytest plugin that stops a debugger where a test failed: once for each failure.

pytest catches every exception, so no filter of a debugger tells a failure: "uncaught" never stops,
"raised" stops at each exception that some code expects. This plugin is loaded with ``-p`` by a run
under the debugger alone. The frames are unwound when it stops: there is no stepping on from there.

It also takes out of the way what cannot be debugged or would disturb: workers of xdist, the tracing
of pytest-cov, and time limits on tests, which would end a test while somebody looks at it.
"""

import sys
from typing import Any, Iterator

import pytest

# Which test it is, the other one says, also where plugins are not found by themselves.
pytest_plugins = ["debug_mcp_report"]


@pytest.hookimpl(hookwrapper=True)
def pytest_load_initial_conftests(early_config: Any) -> Iterator[None]:
    """Before pytest-cov starts, which takes over the interpreter's tracing."""
    known = early_config.known_args_namespace
    if getattr(known, "cov_source", None):
        known.cov_source = []
    yield


@pytest.hookimpl(hookwrapper=True)
def pytest_cmdline_main(config: Any) -> Iterator[None]:
    """Before xdist and pytest-timeout look at what they were asked."""
    for name, value in (("numprocesses", 0), ("dist", "no"), ("tx", []), ("timeout", 0)):
        if hasattr(config.option, name):
            setattr(config.option, name, value)
    yield


@pytest.hookimpl(trylast=True)
def pytest_exception_interact(call: Any) -> None:
    """Stop the debugger at an exception that made a test, a fixture or a collection fail."""
    pydevd = sys.modules.get("pydevd")
    debugger = pydevd.get_global_debugger() if pydevd else None
    if debugger is None:
        return
    error = call.excinfo.value
    # pytest wraps what a module raised at its import; that itself is what one wants to see.
    if type(error).__name__ == "CollectError" and error.__cause__ is not None:
        error = error.__cause__
    debugger.trigger_exception_handler((type(error), error, error.__traceback__), as_uncaught=False)
