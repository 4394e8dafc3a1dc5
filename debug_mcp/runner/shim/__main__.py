"""Starts a shim in an interpreter of its own: ``python -I -S __main__.py DIRECTORY [channel]``.

The compiled modules beside it are what makes that quick; this file alone is compiled at each start.
"""

import os
import sys

# Last, so that nothing beside the package stands before the standard library.
sys.path.append(__file__.rpartition("/debug_mcp/")[0])

from debug_mcp.runner.shim.main import run
from debug_mcp.runner.shim.spec import CHANNEL_FD, LOCK_FD

if __name__ == "__main__":
    run(sys.argv[1], LOCK_FD, CHANNEL_FD if "channel" in sys.argv[2:] else None)
    os._exit(0)  # everything is on the disk; the interpreter's clean-up would take 2 ms
