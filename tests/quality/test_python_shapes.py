"""Python's statements without a parse, against the syntax tree of programs that parse."""

import ast
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from pipeline.quality import python_shapes

STANDARD = Path(sysconfig.get_paths()["stdlib"])
MODULES = ("argparse", "ast", "bisect", "calendar", "dataclasses", "difflib", "enum", "fractions", "heapq", "inspect")


def count(source: bytes) -> list[int]:
    data = np.frombuffer(b"def a(b): return\n" + source + b"\nclass A:", np.uint8)  # neighbours must not count
    offsets = np.array([0, 17, 17 + len(source), data.size])
    return python_shapes.count(data, offsets, np.array([False, True, False]))[1].tolist()


def reference(source: bytes) -> list[int]:
    nodes = list(ast.walk(ast.parse(source)))
    functions = [n for n in nodes if isinstance(n, ast.FunctionDef)]
    simple = [f for f in functions if len(f.body) == 1 and isinstance(f.body[0], ast.Return)]
    names = [t for n in nodes if isinstance(n, ast.Assign) for t in n.targets[:1] if isinstance(t, ast.Name)]
    loops = [n for n in nodes if isinstance(n, ast.For) and isinstance(n.target, ast.Name)]
    arguments = [f for f in functions if f.args.posonlyargs or f.args.args]
    return [
        len(functions),
        sum(isinstance(n, ast.ClassDef) for n in nodes),
        class_variables(ast.parse(source)),
        len(simple),
        len(names) + len(loops) + len(arguments),
    ]


def class_variables(node: ast.AST) -> int:
    """Names that a class gives a value or a type itself; classes inside classes are not looked into."""
    total = 0
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef):
            total += class_variables(child)
            continue
        for item in child.body:
            targets = item.targets[:1] if isinstance(item, ast.Assign) else [getattr(item, "target", None)]
            total += isinstance(item, ast.Assign | ast.AnnAssign) and isinstance(targets[0], ast.Name)
    return total


@pytest.mark.parametrize("name", MODULES)
def test_modules_of_the_standard_library(name: str) -> None:
    source = (STANDARD / f"{name}.py").read_bytes()
    *shapes, n_variables = count(source)
    assert shapes == reference(source)[:-1]
    assert 0.99 * reference(source)[-1] <= n_variables <= reference(source)[-1]  # those behind a colon are passed over


@pytest.mark.parametrize(
    "source",
    [
        b"def f(): return 1\n",
        b"def f():\n    return 1\n\n\ndef g():\n    return 1\n    x = 2\n",
        b"def f():\n    # why\n    return (1,\n2)\nx = 3\n",
        b"def f():\n    'doc'\n    return 1\n",
        b"async def f(a):\n    return a\n",
        b"def f(\n    a,\n    *b,\n): pass\ndef g(*c): pass\ndef h(): pass\ndef i(*, d): pass\n",
        b"class A:\n    a = 1\n    b: int\n    c: int = 2\n    d.e = 3\n    f, g = 4, 5\n    h == 6\n"
        b"    def i(self):\n        j = 7\n",
        b"class A:\n    if x:\n        a = 1\n    else:\n        b = 2\n    class B:\n        c = 3\n    d = 4\n",
        b"class A: pass\nx = 1\n",
        b"def f():\n    class A:\n        a = 1\n    return A\n",
        b"for i in x: pass\nfor i, j in x: pass\nfor k[0] in x: pass\n",
        b"x = 'class A:\\n'\ny = '''\nclass B:\ndef c(): pass\n'''\nz = [\n'def d(): ',\n]\n",
        b"x += 1\ny == 1\nz != 1\nw: int = 3\nf(a=1)\nu[0] = 1\nv = w = 2\n",
        b"x = 1 \\\n  + 2\nif x == 1: pass\n",
        b"x = lambda a: a\nreturn_ = 1\ndefine = 2\n",
    ],
)
def test_statements_worked_out_by_the_parser(source: bytes) -> None:
    assert count(source) == reference(source)


@pytest.mark.parametrize(
    "source", [b"(" * 1000, b"'''", b"def", b"class A:\n\t", b"x = '\\", b"\\", b"#", b'x = "a\nb = 1\n']
)
def test_a_program_that_does_not_parse_has_counts_too(source: bytes) -> None:
    assert min(count(source)) >= 0


def test_lines_that_return() -> None:
    source = b"return\n  return x\nreturned\nreturn(x)\nx = return\n\treturn 1"
    wanted = np.array([True, False])
    data, offsets = np.frombuffer(source + b"return", np.uint8), np.array([0, len(source), len(source) + 6])
    assert python_shapes.count_returns(data, offsets, wanted).tolist() == [3, 0]
