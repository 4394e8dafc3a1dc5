"""``make fuzz``: schemathesis against a real server, for longer than in the tests."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzz.run import fuzz


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="default 1")
    parser.add_argument("--examples", type=int, default=100, help="of each operation; default 100")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="debug-mcp-fuzz-") as folder:
        code, said = fuzz(Path(folder), seed=options.seed, examples=options.examples, seconds=60)
    print(said)
    return code


if __name__ == "__main__":
    sys.exit(main())
