"""`python -m desk`."""

import sys

from desk import command

sys.exit(command.main(sys.argv[1:]))
