"""Where what a pattern found leads, for languages that say it in a way of their own."""

import re
from collections.abc import Callable, Iterable

from pipeline.forms.paths_of import Target, anywhere, beside, dotted, exact, local, namespaces, package, python

Groups = tuple[str, ...]
Leads = Callable[[str, Groups], Iterable[Target]]  # the importing file's path and the groups of a pattern


def path(*ends: str) -> Leads:
    """One group: a path as it stands, or with one of `ends`."""
    return lambda path, groups: [local(path, groups[0].strip(), ends=ends or ("",))]


def dots(*ends: str, separator: str = ".") -> Leads:
    """One group: the name of a module, whose parts are folders."""
    return lambda _, groups: [dotted(groups[0], ends=ends, separator=separator)]


def space(*, end: str, separator: str, is_folder: bool) -> Leads:
    """One group: a class or namespace."""
    return lambda _, groups: [namespaces(groups[0], end=end, separator=separator, is_folder=is_folder)]


# Headers of the language itself: a file of that name elsewhere in a repository is seldom meant.
_STANDARD = re.compile(
    "assert|complex|ctype|dirent|dlfcn|errno|fcntl|fenv|float|inttypes|iso646|limits|locale|malloc|math|memory|pthread"
    "|setjmp|signal|stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|strings?|tgmath|threads"
    "|time|uchar|unistd|wchar|wctype|windows"
)


def include(path: str, groups: Groups) -> list[Target]:
    mark, reference = groups[0], groups[1].strip()
    if mark == "<" and "/" not in reference and _STANDARD.fullmatch(reference.removesuffix(".h")):
        return []
    return [local(path, reference) if mark == '"' else anywhere(reference)]


def python_names(path: str, groups: Groups) -> list[Target]:
    names = [words[0] for part in groups[0].split(",") if (words := part.split())]
    return [target for name in names for target in python(path, name, "")]


def go_block(_: str, groups: Groups) -> list[Target]:
    return [package(found) for found in re.findall(r'"([^"\n]+)"', groups[0])]


def ruby_require(_: str, groups: Groups) -> list[Target]:
    end = groups[0].removesuffix(".rb") + ".rb"
    return [anywhere(f"lib/{end}", *([end] if "/" in end else []))]


def ruby_relative(path: str, groups: Groups) -> list[Target]:
    return [exact(beside(path, groups[0].removesuffix(".rb") + ".rb"))]


def perl_use(_: str, groups: Groups) -> list[Target]:
    # Names in small letters are pragmas.
    return [dotted(groups[0], ends=(".pm",), separator="::")] if not groups[0].islower() else []


def perl_parents(_: str, groups: Groups) -> list[Target]:
    names = re.findall(r"[A-Z]\w*(?:::\w+)*", groups[0])
    return [dotted(name, ends=(".pm",), separator="::") for name in names]


def php_use(path: str, groups: Groups) -> list[Target]:
    name, braces = groups[0].strip("\\"), groups[1]
    if braces:
        parts = [part.split() for part in braces.strip("{}").split(",")]
        names = [f"{name}\\{part[0]}" for part in parts if part]
    else:
        names = [name]
    found = []
    for one in names:
        own = exact(beside(path, f"{one}.php")) if "\\" not in one else ()
        found.append((*own, *namespaces(one, end=".php", separator="\\", is_folder=False)))
    return found


def shell(path: str, groups: Groups) -> list[Target]:
    # What stands before the last variable is only known when the script runs.
    words = re.sub(r"\$\{[^}]*\}|\$\([^)]*\)|\$\w+", "\0", groups[0]).split()
    bare = words[0].rpartition("\0")[2].strip("\"'").lstrip("/") if words else ""
    return [local(path, bare)] if bare else []


def make(path: str, groups: Groups) -> list[Target]:
    words = [word for word in groups[0].split()[:20] if not word.startswith("-")]
    return [target for word in words for target in shell(path, (word,))]


def cmake_folder(path: str, groups: Groups) -> list[Target]:
    return [exact(beside(path, f"{groups[0]}/CMakeLists.txt"))]


def dart(path: str, groups: Groups) -> list[Target]:
    name = groups[0]
    if name.startswith("package:"):
        return [anywhere("lib/" + name.partition("/")[2])] if "/" in name else []
    return [exact(beside(path, name))]


def many(*ends: str, prefix: int = -1, listed: int = 0) -> Leads:
    """A list of module names between spaces, below a prefix where the pattern has one."""

    def lead(_: str, groups: Groups) -> list[Target]:
        before = groups[prefix] + "." if prefix >= 0 and groups[prefix] else ""
        names = [before + name.strip(".") for name in groups[listed].split()[:20]]
        return [(*dotted(name, ends=ends), *dotted(name.rpartition(".")[2], ends=ends)) for name in names]

    return lead


def ocaml(path: str, groups: Groups) -> list[Target]:
    name = groups[0][0].lower() + groups[0][1:]
    near = exact(*(beside(path, name + end) for end in (".ml", ".mli")))
    return [(*near, *anywhere(f"{name}.ml"))]


def sass(path: str, groups: Groups) -> list[Target]:
    name = groups[0].rpartition("/")
    hidden = f"{name[0]}{name[1]}_{name[2]}"
    ends = ("", ".scss", ".sass", ".less", ".css")
    return [(*local(path, groups[0], ends=ends), *local(path, hidden, ends=ends))]


def clojure(_: str, groups: Groups) -> list[Target]:
    return [dotted(groups[0].replace("-", "_"), ends=(".clj", ".cljc", ".cljs"))] if "." in groups[0] else []


def erlang_module(path: str, groups: Groups) -> list[Target]:
    name = groups[0].strip("'") + ".erl"
    return [(*exact(beside(path, name)), *anywhere(name))]


def shell_cmake(path: str, reference: str) -> Target:
    (found,) = shell(path, (reference,)) or [()]
    return (*found, *anywhere(reference + ".cmake")) if "/" not in reference and "." not in reference else found
