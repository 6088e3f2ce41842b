"""The demo as one program beside the others: `python -m ftportal.commands.demo_step [--exit]`."""

import sys

from ftportal.environment import load


def main() -> int:
    from ftportal import demo

    return int(demo.run(load(), exit_when_done="--exit" in sys.argv[1:]) or 0)


if __name__ == "__main__":
    sys.exit(main())
