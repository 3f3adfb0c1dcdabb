"""`python -m tests.chaos.saboteurs [--quick] [NAME...]`: switch off guards of the delivery promise, one by one, and see
that a story notices. `./run chaos saboteurs` does the same as a run."""

import argparse
import asyncio
import sys

from tests.chaos.saboteurs import prove


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.saboteurs", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these saboteurs")
    parser.add_argument("--quick", action="store_true", help="only those that CI proves")
    parser.add_argument("--processes", type=int, default=prove.PROCESSES, help="how many stories run at once")
    given = parser.parse_args()
    return asyncio.run(prove.main(given.names, quick=given.quick, processes=given.processes))


if __name__ == "__main__":
    sys.exit(main())
