"""Run the command line as ``python -m debug_mcp``."""

import sys

from debug_mcp.cli import main

if __name__ == "__main__":
    sys.exit(main())
