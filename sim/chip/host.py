"""What the simulated chip needs from the interpreter that it runs on."""

import sys

if sys.implementation.name == "micropython":
    from .host_micropython import *  # noqa: F403
else:
    from .cpython.host import *  # type: ignore[assignment]  # noqa: F403
