"""Small faults that can be put into a module, each as a change of a few bytes of its source."""

from __future__ import annotations

import ast
import difflib
import random
from collections import defaultdict
from dataclasses import dataclass

#: What stands for what; more than one where a boundary and the whole comparison can be wrong.
COMPARISONS = {
    ast.Lt: ("<", ["<=", ">="]), ast.LtE: ("<=", ["<", ">"]), ast.Gt: (">", [">=", "<="]), ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]), ast.NotEq: ("!=", ["=="]), ast.Is: ("is", ["is not"]), ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]), ast.NotIn: ("not in", ["in"]),
}  # fmt: skip
ARITHMETIC = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"), ast.Pow: ("**", "*"),
    ast.FloorDiv: ("//", "*"), ast.Mod: ("%", "+"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"),
}  # fmt: skip
NAMES = [
    ("min", "max"), ("minimum", "maximum"), ("argmin", "argmax"), ("fmin", "fmax"), ("any", "all"), ("ones", "zeros"),
    ("floor", "ceil"), ("ones_like", "zeros_like"),
]  # fmt: skip
SWAPPED = dict(NAMES) | {b: a for a, b in NAMES}


@dataclass(frozen=True)
class Mutant:
    """A change of a module: some bytes of its source, and what stands there instead.

    Attributes
    ----------
    start, end : int
        The bytes.
    text : bytes
        What replaces them.
    first, last : int
        Lines of the statement, or of the head of a compound one.
    name : str
        What the statement defines, where it runs when the module is imported, names between bars; else empty.
    """

    start: int
    end: int
    text: bytes
    first: int
    last: int
    name: str

    def of(self, source: bytes) -> bytes:
        return source[: self.start] + self.text + source[self.end :]

    def change(self, source: bytes) -> tuple[str, str]:
        """The lines that differ, before and after, each as one line."""
        before, after = (text.decode().splitlines() for text in (source, self.of(source)))
        gone, come = [], []
        for line in difflib.unified_diff(before, after, n=0, lineterm=""):
            if line[:1] in "+-" and line[:3] not in ("+++", "---"):
                (gone if line[0] == "-" else come).append(line[1:].strip())
        return " ".join(gone), " ".join(come)


class Finder:
    """All mutants of a source."""

    def __init__(self, source: bytes) -> None:
        self.source = source
        self.offsets = [0]
        for line in source.splitlines(keepends=True):
            self.offsets.append(self.offsets[-1] + len(line))
        self.found: list[Mutant] = []
        self.first = self.last = 0
        self.name = ""
        self.final: set[ast.stmt] = set()
        self._body(ast.parse(source).body, "")

    def _span(self, node: ast.AST) -> tuple[int, int]:
        start = self.offsets[node.lineno - 1] + node.col_offset
        return start, self.offsets[node.end_lineno - 1] + node.end_col_offset

    def _add(self, start: int, end: int, text: str | bytes) -> None:
        text = text.encode() if isinstance(text, str) else text
        self.found.append(Mutant(start, end, text, self.first, self.last, self.name))

    def _between(self, left: ast.AST, right: ast.AST, old: str, new: str) -> None:
        """Another operator between two operands."""
        start, end = self._span(left)[1], self._span(right)[0]
        self._add(start, end, self.source[start:end].replace(old.encode(), new.encode(), 1))

    # -------------------------------------------------------------- statements

    def _body(self, body: list[ast.stmt], name: str) -> None:
        for statement in body:
            self._statement(statement, name)

    def _statement(self, node: ast.stmt, name: str) -> None:
        head = node.lineno, getattr(node, "body", None)
        self.first = head[0]
        self.last = node.end_lineno if not head[1] else max(head[0], head[1][0].lineno - 1)
        self.name = name
        if isinstance(node, ast.FunctionDef):
            self.name = "" if name == "()" else node.name
            for default in [*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)]:
                self._expression(default)
            self.final.add(node.body[-1])
            self._body(node.body, "()")
            return
        if isinstance(node, ast.ClassDef):
            self._body(node.body, node.name)
            return
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        at_import, self.name = name != "()", ""
        if at_import:
            names = [n.id for n in ast.walk(target) if isinstance(n, ast.Name)] if target is not None else []
            self.name = "|".join(names) or name
            if self.name == "__all__" or not isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
                return
        self._drop(node, target)
        if isinstance(node, ast.If | ast.While):
            start, end = self._span(node.test)
            self._add(start, end, b"not (" + self.source[start:end] + b")")
        if isinstance(node, ast.AugAssign) and type(node.op) in ARITHMETIC:
            self._between(node.target, node.value, *ARITHMETIC[type(node.op)])
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "body", "orelse", "finalbody", "handlers") or isinstance(node, ast.Raise):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    self._expression(child)
        for block in ("body", "orelse", "finalbody"):
            self._body(getattr(node, block, []), name)
        for handler in getattr(node, "handlers", []):
            self._body(handler.body, name)

    def _drop(self, node: ast.stmt, target: ast.AST | None) -> None:
        """Statements that could be forgotten."""
        called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
        stored = isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(target, ast.Attribute | ast.Subscript)
        early = isinstance(node, ast.Return) and node.value is not None and node not in self.final
        if called or stored or early or isinstance(node, ast.AugAssign | ast.Raise | ast.Continue | ast.Break):
            self._add(*self._span(node), "pass")

    # -------------------------------------------------------------- expressions

    def _expression(self, node: ast.AST) -> None:
        if isinstance(node, ast.JoinedStr):  # their positions are not those of the source before Python 3.12
            return
        if isinstance(node, ast.keyword) and node.arg == "strict":  # an assertion, true in every run
            return
        span = self._span(node) if hasattr(node, "lineno") else (0, 0)
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for op, left, right in zip(node.ops, operands, operands[1:], strict=False):
                old, others = COMPARISONS[type(op)]
                for new in others:
                    self._between(left, right, old, new)
        elif isinstance(node, ast.BoolOp):
            words = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
            for left, right in zip(node.values, node.values[1:], strict=False):
                self._between(left, right, *words)
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            self._between(node.left, node.right, *ARITHMETIC[type(node.op)])
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub | ast.Invert):
            self._add(*span, self.source[slice(*self._span(node.operand))])
            if isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
                return  # the last axis, and whatever is minus one
        elif isinstance(node, ast.IfExp):
            start, end = self._span(node.test)
            self._add(start, end, b"not (" + self.source[start:end] + b")")
        elif isinstance(node, ast.Constant):
            self._constant(node.value, span)
        elif isinstance(node, ast.Call):
            self._call(node)
        for child in ast.iter_child_nodes(node):
            self._expression(child)

    def _constant(self, value: object, span: tuple[int, int]) -> None:
        if isinstance(value, bool):
            self._add(*span, repr(not value))
        elif isinstance(value, int):
            self._add(*span, repr(value + 1 if value < 10 else 2 * value))
        elif isinstance(value, float):
            self._add(*span, repr(2 * value if value else 1.0))

    def _call(self, node: ast.Call) -> None:
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name in SWAPPED:
            end = self._span(node.func)[1]
            self._add(end - len(name), end, SWAPPED[name])
        if name in ("where", "divide", "subtract") and len(node.args) >= 2:
            (a, b), (c, d) = map(
                self._span, node.args[1:3] if name == "where" and len(node.args) > 2 else node.args[:2]
            )
            self._add(a, d, self.source[c:d] + self.source[b:c] + self.source[a:b])


def draw(source: bytes, count: int, seed: str) -> list[Mutant]:
    """Some mutants, of as many statements as there are: one of each, then another."""
    by_line: defaultdict[int, list[Mutant]] = defaultdict(list)
    for mutant in Finder(source).found:
        by_line[mutant.first].append(mutant)
    rng = random.Random(seed)
    for mutants in by_line.values():
        rng.shuffle(mutants)
    chosen: list[Mutant] = []
    while by_line and len(chosen) < count:
        for line in rng.sample(sorted(by_line), len(by_line)):
            chosen.append(by_line[line].pop())
            if not by_line[line]:
                del by_line[line]
    return sorted(chosen[:count], key=lambda mutant: mutant.start)
