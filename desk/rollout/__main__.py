"""`python -m desk.rollout`."""

import sys

from desk.rollout.command import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
