"""Starts a shim, or a starter of shims, in an interpreter of its own: ``python -I -S __main__.py``.

With a command's directory as argument it is that one's shim, with ``channel`` after it one that has
a channel. The compiled modules beside it are
what makes that quick; this file alone is compiled at each start.
"""

import os
import sys

# Last, so that nothing beside the package stands before the standard library.
sys.path.append(__file__.rpartition("/debug_mcp/")[0])

from debug_mcp.runner.shim.spec import CHANNEL_FD, LOCK_FD, TETHER_FD

if __name__ == "__main__":
    if len(sys.argv) > 1:
        from debug_mcp.runner.shim.main import run

        run(sys.argv[1], LOCK_FD, TETHER_FD, CHANNEL_FD if "channel" in sys.argv[2:] else None)
    else:
        from debug_mcp.runner.shim.starter import serve

        serve()
    os._exit(0)  # everything is on the disk; the interpreter's clean-up would take 2 ms
