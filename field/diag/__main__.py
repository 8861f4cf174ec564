import sys

from field.diag.command import main

if __name__ == "__main__":
    sys.exit(main())
