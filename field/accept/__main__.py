import sys

from field.accept.command import main

if __name__ == "__main__":
    sys.exit(main())
