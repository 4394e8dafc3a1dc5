"""``make chaos``: seeded kills during a mixed load; exits with 1 when anything did not hold."""

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from debug_mcp.config import IsolationPolicy
from tests.chaos.run import chaos


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", default="1,2,3,4,5", help="default 1,2,3,4,5")
    parser.add_argument("--kills", type=int, default=200, help="kills of each seed; default 200")
    parser.add_argument("--servers", type=int, default=3, help="side by side; default 3")
    parser.add_argument(
        "--isolation",
        type=IsolationPolicy,
        default=IsolationPolicy.NONE,
        help="none (default), or require:bwrap",
    )
    parser.add_argument("--keep", action="store_true", help="keep the folders of what failed")
    options = parser.parse_args()
    failed = 0
    for seed in map(int, options.seeds.split(",")):
        folder = Path(tempfile.mkdtemp(prefix="debug-mcp-chaos-"))
        began = time.monotonic()
        verdict = chaos(folder, seed, options.kills, options.servers, options.isolation)
        print(f"seed {seed}: {verdict} ({time.monotonic() - began:.0f} s)", flush=True)
        for fault in verdict.faults:
            print(f"  {fault}", flush=True)
        failed += bool(verdict.faults)
        if verdict.faults and options.keep:
            print(f"  kept in {folder}", flush=True)
        else:
            shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
