"""What a program says, from its source: the texts that it raises, prints and hands to a person, holes filled."""

from __future__ import annotations

import ast
import itertools
import re
import string
from collections.abc import Iterator, Sequence
from pathlib import Path

FILLED = "7"
_ALTERNATIVES_MAX = 8


def said_by(path: Path, sayers: str) -> list[str]:
    """Texts with a word in them among the arguments of calls whose name fits `sayers`, and those yielded or returned
    beside them where `sayers` says "yield" or "return"."""
    tree = ast.parse(path.read_text("utf-8"))
    everywhere = _assigned(tree.body)
    inside = [(node, everywhere | _assigned([*ast.walk(node)])) for node in ast.walk(tree) if _is_scope(node)]
    outside = [(one, everywhere) for one in tree.body if not _is_scope(one) and not isinstance(one, ast.ClassDef)]
    found = []
    for scope, constants in [*outside, *inside]:
        for node in ast.walk(scope):
            for expression in _handed(node, sayers):
                found += [text for text in _texts(expression, constants) if re.search(r"[a-z]{2,} ", text)]
    return list(dict.fromkeys(found))


def _is_scope(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _handed(node: ast.AST, sayers: str) -> Iterator[ast.expr]:
    if isinstance(node, ast.Call) and re.search(sayers, ast.unparse(node.func)):
        yield from _parts([*node.args, *(one.value for one in node.keywords)])
    elif isinstance(node, ast.Yield | ast.Return) and node.value is not None:
        if re.search(sayers, type(node).__name__.lower()):
            yield from _parts([node.value])
    elif isinstance(node, ast.AugAssign) and re.search(sayers, f"{ast.unparse(node.target)}.augmented"):
        yield from _parts([node.value])


def _parts(expressions: Sequence[ast.expr]) -> Iterator[ast.expr]:
    for one in expressions:
        if isinstance(one, ast.Tuple | ast.List):
            yield from _parts(one.elts)
        elif isinstance(one, ast.IfExp):
            yield from _parts([one.body, one.orelse])
        elif isinstance(one, ast.ListComp):
            yield from _parts([one.elt])
        else:
            yield one


def _assigned(nodes: Sequence[ast.AST]) -> dict[str, list[ast.expr]]:
    """What the names of a scope stand for."""
    found: dict[str, list[ast.expr]] = {}
    for node in nodes:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                    pairs += zip(target.elts, node.value.elts, strict=False)
                else:
                    pairs.append((target, node.value))
        for target, value in pairs:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
    return found


def _texts(node: ast.expr, constants: dict[str, list[ast.expr]], depth: int = 0) -> list[str]:
    """What an expression can be as a text; an unknown value is FILLED."""
    if isinstance(node, ast.Constant):
        return [node.value if isinstance(node.value, str) else FILLED]
    if isinstance(node, ast.JoinedStr):
        values = [one.value if isinstance(one, ast.FormattedValue) else one for one in node.values]
        pieces = [_texts(one, constants, depth) for one in values]
        return ["".join(one) for one in itertools.islice(itertools.product(*pieces), _ALTERNATIVES_MAX)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        sides = _texts(node.left, constants, depth), _texts(node.right, constants, depth)
        return ["".join(one) for one in itertools.islice(itertools.product(*sides), _ALTERNATIVES_MAX)]
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod):
        return [re.sub(r"%[sdr]", FILLED, text).replace("%%", "%") for text in _texts(node.left, constants, depth)]
    if isinstance(node, ast.IfExp):
        return _texts(node.body, constants, depth) + _texts(node.orelse, constants, depth)
    if isinstance(node, ast.Name) and depth < 3 and node.id in constants:
        found = [text for one in constants[node.id] for text in _texts(one, constants, depth + 1)]
        return [text for text in found if " " in text] or [FILLED]
    return [FILLED]


def all_texts(path: Path, within: str = "") -> set[str]:
    """Every text with a word in it that stands in a source, or in one function of it, holes filled, whoever says it."""
    tree: ast.AST = ast.parse(path.read_text("utf-8"))
    everywhere, found = _assigned([*ast.walk(tree)]), set[str]()
    if within:
        tree = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == within)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr | ast.BinOp | ast.Constant):
            found.update(text for text in _texts(node, everywhere) if re.search("[A-Za-z]{2,}", text))
    return found | {re.sub(r"%(\(\w+\))?[sdr]", FILLED, text) for text in found}


def docstrings(path: Path) -> set[str]:
    tree = ast.parse(path.read_text("utf-8"))
    spoken = (node for node in ast.walk(tree) if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef))
    return {ast.get_docstring(node, clean=False) or "" for node in spoken}


def fields(text: str) -> set[str]:
    """The names of a sentence's holes."""
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
