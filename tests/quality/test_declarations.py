"""Functions, imports, classes, variables and returns: what the patterns take, and what is just beside it."""

import numpy as np
import pytest

from pipeline.quality import declarations, statements
from pipeline.quality.statements import N_CLASSES, N_IMPORTS, N_PLAIN_RETURNS, N_PLAIN_VARIABLES, N_VARIABLES


def pack(text: str) -> tuple[np.ndarray, np.ndarray]:
    raw = text.encode()
    data = np.frombuffer(b"int f(int a)\n" + raw + b"(a) ; import x", np.uint8)  # neighbours must not count
    return data, np.array([0, 13, 13 + len(raw), data.size])


def functions(language: str, text: str) -> list[int]:
    kind = declarations.LANGUAGES.index(language) + 1
    return declarations.count(*pack(text), np.array([0, kind, 0]))[1].tolist()


@pytest.mark.parametrize(
    ("language", "text", "n"),
    [
        ("C", "int main(void) { return f(x); }", 2),  # `return f(` is one to the pattern
        ("C", "static char *name(int a,\n int b)\n{", 1),
        ("C", "char * name (a)", 0),  # white space before the bracket
        ("C", "char **name(a)", 0),
        ("C", "char* name(a)", 1),
        ("C", "a*b(c)", 0),
        ("C", "a ** *b(c)", 1),
        ("C", "a * * *b(c)", 0),
        ("C", "x = f(a);", 0),
        ("C", "9 f(a)", 0),
        ("C", "if (a) b(c", 0),
        ("C", "void f(int (*g)(int)) { }", 1),  # the first bracket that closes ends it
        ("C", "int a(b c(d) e f(g))", 2),
        ("C++", "std::vector<int> f(a)", 0),
        ("C#", "public static int F(int a)", 1),
        ("C#", "public async override int F(a)", 0),  # one modifier of each kind
        ("C#", "static public int F(a)", 0),
        ("C#", "  int F (a)\n  F(a)", 1),
        ("C#", "else if(a)\nreturn f(a)", 1),
        ("C#", "iface F(a)", 0),  # a type must not begin with "if"
        ("C#", "List<int> F(a)", 0),
        ("C#", "public <T> T F(a)", 1),
        ("C#", "int F(a", 0),
        ("Java", "public static final int f(a)", 0),
        ("Java", "private static <T> T f(a)", 1),
        ("Java", "static f(a)\nprotected static public int f(a) throws A, B {", 2),
        ("Java", "x.y(a)\nnew Foo(a)", 1),
        ("Java", "int f(\n int a)\n int g(b)", 2),
        ("Go", "func f(a int) error {\n}\n func g()\nfunc (r *T) h(a)", 2),
        ("Go", "func (r pkg.T) h(a)\nfunc(a)\nfunction f(a)", 0),
    ],
)
def test_functions(language: str, text: str, n: int) -> None:
    assert functions(language, text)[declarations.N_FUNCTIONS] == n


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("int main() {} void main ( int a )\n{", 2),
        ("int domain() {", 0),
        ("main();", 0),
        ("main(", 0),
        ("main(main(a) {", 1),
    ],
)
def test_entries_of_programs(text: str, n: int) -> None:
    assert functions("C", text)[declarations.N_MAINS] == functions("C++", text)[declarations.N_MAINS] == n
    assert functions("Java", text)[declarations.N_MAINS] == 0


@pytest.mark.parametrize(
    ("language", "column", "hits", "misses"),
    [
        (
            "C",
            N_IMPORTS,
            ["#include <a.h>", '  # include\t"b"'],
            ["#include a", "# define <a>", "#include<a>", "#include <>"],
        ),
        ("C++", N_CLASSES, ["class A {", "class A\n  : public B {", "class A{"], ["class A;", "classy A {", "class {"]),
        (
            "C",
            N_PLAIN_VARIABLES,
            ["int a;", "unsigned char  b ;", "std::string s;"],
            ["int a = 1;", "long a;", "std::a b;"],
        ),
        (
            "C",
            N_PLAIN_RETURNS,
            ["return;", "return a ;", 'return "a\\"b";', "return 'a';"],
            ["return -1;", "return a; b"],
        ),
        ("C#", N_IMPORTS, ["using A.B;", "using A ;"], ["using (a)", "using static A;", "using"]),
        ("C#", N_PLAIN_VARIABLES, ["x { int a; }", "string b ;"], ["int a = 1;", "var a;", "print a;"]),
        ("C#", N_PLAIN_RETURNS, ["return a + b;", "return;"], ["returns;", "return a"]),
        ("C#", N_CLASSES, ["sealed class A", "class B"], ["subclass A", "class {"]),
        ("Go", N_IMPORTS, ['import "a"', "import ("], ['import a "b"', "import(", "import ( a"]),
        ("Go", N_PLAIN_VARIABLES, ["var a int", " var b T ;"], ["var a = 1", "var a []int", "var (a"]),
        ("Go", N_PLAIN_RETURNS, ["return a, b", "return", "return;"], ["returned", "return(a)"]),
        ("Go", N_CLASSES, ["type A struct { a }", "type B interface {\n}"], ["type A int", "type A struct {"]),
        ("Java", N_IMPORTS, ["import a.b.*;", "import  c ;"], ["import static a.b;", "import a; x"]),
        (
            "Java",
            N_PLAIN_VARIABLES,
            ["private static final int a;", "List<A> b ;", "String c;"],
            ["int a = 1;", "long a;"],
        ),
        ("Java", N_VARIABLES, ["int a;", "A b = c.d();", "final char e =\n 1;"], ["long a;", "a = 1;", "int a = 1"]),
        ("Java", N_PLAIN_RETURNS, ["return;", "return a;", 'return "a";'], ["return -1;", "return 'a';", "return; x"]),
        (
            "Java",
            N_CLASSES,
            ["public final class A {", "class B", "abstract class C"],
            ["static class A", "final public class A"],
        ),
    ],
)
def test_what_a_line_begins_with(language: str, column: int, hits: list[str], misses: list[str]) -> None:
    kind = np.array([0, declarations.LANGUAGES.index(language) + 1, 0])
    for text in hits:
        assert statements.count(*pack(f"x\n\n{text}\n"), kind)[1, column] == 1, text
    for text in misses:
        assert statements.count(*pack(f"x\n\n{text}\n\n"), kind)[1, column] == 0, text
    assert statements.count(*pack("\n".join(hits) + "\n"), kind)[1, column] == len(hits)


def test_other_languages_have_none() -> None:
    data, offsets = pack("int main() {\nreturn;\n}\n")
    assert not declarations.count(data, offsets, np.array([0, 0, 0])).any()
    assert not statements.count(data, offsets, np.array([0, 0, 0])).any()


@pytest.mark.parametrize(
    "text", ["(" * 60_000, "a " * 30_000 + "(", "a b(" * 15_000, " " * 60_000 + "(", "* " * 30_000 + "a("]
)
def test_no_text_takes_more_than_some_walks(text: str) -> None:
    for language in declarations.LANGUAGES:
        assert functions(language, text)[declarations.N_FUNCTIONS] == 0
