"""Device code on CPython: loaded from the flash image, with the chip's modules and built-ins instead of the host's.

What a chip does not have cannot be imported: an ImportError here is an ImportError in the street.
"""

import builtins
import importlib
import sys
import traceback
import types
from typing import Any

from . import files, small

# Modules of CPython that an ESP32 has too, under the same name and near enough the same.
_SHARED = "array asyncio binascii cmath collections hashlib heapq math random re struct _thread".split()

path = ["", ".frozen", "/lib"]
modules: dict[str, Any] = {}
_builtins: dict[str, Any] = {}


def print_exception(error: BaseException, file: Any = None) -> None:
    """MicroPython's: the traceback to `file` or the console, without the frames of the simulator."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith("/<")]
    lines = ["Traceback (most recent call last):\n"] if frames else []
    lines += [f'  File "{f.filename[2:-1]}", line {f.lineno}, in {f.name}\n' for f in frames]
    text = "".join(lines + traceback.format_exception_only(type(error), error))
    (file or sys.stdout).write(text)


def install(chip_modules: dict[str, Any]) -> None:
    """Make the built-ins for device code; `chip_modules`: name -> module of the chip itself."""
    modules.clear()
    modules.update({name: importlib.import_module(name) for name in _SHARED})
    modules.update(small.modules())
    modules.update(chip_modules)
    modules.update({"u" + name: module for name, module in list(modules.items())})
    _builtins.update(vars(builtins))
    _builtins.update({"open": files.open_file, "__import__": _import, "execfile": execfile})
    for host_only in ("input", "breakpoint", "help", "copyright", "credits", "license", "exit", "quit"):
        _builtins.pop(host_only, None)


def execfile(name: str, namespace: dict[str, Any] | None = None) -> None:
    namespace = modules["__main__"].__dict__ if namespace is None else namespace
    _execute(name, namespace)


def start_main() -> dict[str, Any]:
    """The namespace that boot.py and main.py share."""
    main = modules["__main__"] = types.ModuleType("__main__")
    main.__dict__["__builtins__"] = _builtins
    return main.__dict__


def _execute(name: str, namespace: dict[str, Any]) -> None:
    with files.open_file(name) as file:
        source = file.read()
    shown = name if name.startswith("/") else "/" + name
    exec(compile(source, f"/<{shown.lstrip('/')}>", "exec", dont_inherit=True), namespace)


def _import(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> types.ModuleType:
    if level:
        package = globals["__package__"].split(".")
        if level > 1:
            package = package[: 1 - level]
        name = ".".join([*package, name] if name else package)
    module = _load(name)
    if not fromlist:
        return modules[name.split(".")[0]]
    for item in fromlist:
        if item != "*" and not hasattr(module, item) and hasattr(module, "__path__"):
            _load(f"{name}.{item}")
    return module


def _load(name: str) -> Any:
    if name in modules:
        return modules[name]
    parent_name, _, own_name = name.rpartition(".")
    folders = _load(parent_name).__path__ if parent_name else path
    for folder in folders:
        base = f"{folder}/{own_name}" if folder else own_name
        if files.exists(f"{base}/__init__.py"):
            return _load_file(name, f"{base}/__init__.py", [base])
        if files.exists(f"{base}.py"):
            return _load_file(name, f"{base}.py", None)
        if files.exists(base):
            return _load_file(name, None, [base])
    raise ImportError(f"no module named '{name}'")


def _load_file(name: str, file: str | None, folders: list[str] | None) -> types.ModuleType:
    module = modules[name] = types.ModuleType(name)
    parent_name, _, own_name = name.rpartition(".")
    module.__dict__["__builtins__"] = _builtins
    module.__package__ = name if folders is not None else parent_name
    if folders is not None:
        module.__path__ = folders
    if file is not None:
        module.__file__ = file
        try:
            _execute(file, module.__dict__)
        except BaseException:
            del modules[name]
            raise
    if parent_name:
        setattr(modules[parent_name], own_name, module)
    return module
