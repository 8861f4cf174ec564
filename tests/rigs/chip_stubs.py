"""Compares a virtual module with the stub of the chip's: what the stub refuses, the virtual module must refuse too.

One direction only: a virtual module may lack what the chip has (its use fails loudly in a simulation), but whatever
it offers must exist on the chip, under the same names and with no more arguments.
"""

import ast
import inspect
import re
from pathlib import Path
from types import ModuleType
from typing import Any

STUBS = Path(__file__).resolve().parents[2] / ".tools" / "stubs"

# On the chip (MicroPython 1.26: ports/esp32, and its documentation), but not in the stubs.
BEYOND_STUBS = {
    "network.LAN.__init__": {"mdc", "mdio", "reset", "power", "spi", "cs", "int", "ref_clk"},
    "network.LAN": {"ipconfig"},
    "esp32": {"mcu_temperature"},
}

_Signatures = list[ast.arguments]
_INHERITED = vars(object)


class Stub:
    """Names, constants and signatures of one `.pyi` file."""

    def __init__(self, text: str) -> None:
        tree = ast.parse(text)
        self.constants: dict[str, Any] = {}
        self.functions: dict[str, _Signatures] = {}
        self.classes: dict[str, Stub] = {}
        self._take(tree.body)

    @classmethod
    def load(cls, name: str) -> "Stub":
        return cls((STUBS / f"{name}.pyi").read_text(encoding="utf-8"))

    def _take(self, body: list[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, ast.FunctionDef):
                self.functions.setdefault(node.name, []).append(node.args)
            elif isinstance(node, ast.ClassDef):
                self.classes.setdefault(node.name, Stub(""))._take(node.body)
            elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                value = node.value.value if isinstance(node.value, ast.Constant) else ...
                self.constants[node.target.id] = value


def differences(module: ModuleType, stub: Stub, prefix: str) -> list[str]:
    """Everything that `module` takes or offers and the chip does not, one sentence each."""
    found = []
    for name, member in vars(module).items():
        if name.startswith("_") or isinstance(member, ModuleType) or _is_foreign(member):
            continue
        found += _member(f"{prefix}.{name}", name, member, stub, prefix)
    return found


def _is_foreign(member: Any) -> bool:
    """Something that a virtual module imported for its own use from outside of the chip."""
    return not str(getattr(member, "__module__", "sim.chip")).startswith(("sim.chip", "fake"))


def _member(path: str, name: str, member: Any, stub: Stub, owner: str) -> list[str]:
    if name in BEYOND_STUBS.get(owner, set()):
        return []
    if inspect.isclass(member):
        return _class(path, member, stub.classes[name]) if name in stub.classes else [f"{path}: no such class"]
    if inspect.isroutine(member):
        if name not in stub.functions:
            return [f"{path}: no such function"]
        return _signature(path, member, stub.functions[name], is_method=owner.count(".") > 0)
    if name not in stub.constants:
        return [f"{path}: no such constant"]
    expected = stub.constants[name]
    return [] if expected in (..., member) else [f"{path}: is {member!r}, must be {expected!r}"]


def _class(path: str, member: type, stub: Stub) -> list[str]:
    found = []
    names = {name for base in member.__mro__ if base is not object for name in vars(base)}
    for name in sorted(names):
        is_special = name in ("__init__", "__call__")
        if name.startswith("_") and not is_special:
            continue
        if name == "__init__" and name not in stub.functions:
            continue
        found += _member(f"{path}.{name}", name, inspect.getattr_static(member, name), stub, path)
    return found


def _signature(path: str, function: Any, overloads: _Signatures, *, is_method: bool) -> list[str]:
    """An argument that no overload takes, by place or by name."""
    parameters = list(inspect.signature(function).parameters.values())[1 if is_method else 0 :]
    places = [len(o.posonlyargs) + len(o.args) - is_method for o in overloads]
    most = float("inf") if any(o.vararg for o in overloads) else max(places)
    any_name = any(o.kwarg for o in overloads)
    names = {a.arg for o in overloads for a in [*o.args, *o.kwonlyargs]} | BEYOND_STUBS.get(path, set())
    found = []
    by_place = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(by_place) > most:
        found.append(f"{path}: takes {len(by_place)} arguments by place, must take {most} at most")
    for parameter in parameters:
        if parameter.kind is parameter.VAR_POSITIONAL and most != float("inf"):
            found.append(f"{path}: takes any number of arguments, must take {most} at most")
        if parameter.kind is parameter.VAR_KEYWORD and not any_name:
            found.append(f"{path}: takes arguments of any name")
        if _has_name(parameter) and not any_name and parameter.name not in names:
            found.append(f"{path}: takes {parameter.name}=..., which the chip refuses")
    return found


def _has_name(parameter: inspect.Parameter) -> bool:
    """False for positional-only ones: by PEP 484's two underscores, as MicroPython has no other way to write them."""
    named = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    return named and not re.match(r"(_[A-Za-z]\w*?)?__\w", parameter.name)
