"""Where an import may lead: the alternatives that a reference of a language stands for, as patterns of paths.

A target is what one import names: alternatives, the likeliest first, of which the first that fits a file decides. Each
is a kind and a path below the repository's root; `*` as its last name stands for all files of a folder with that end.

    =a/b.h    this file
    ~a/b.h    a file whose path ends so, at a slash
    ^a/b.py   the same below a root of imports, a folder that is no package; `^b.py` only in a folder above the importer
    @r/p/*.go a package by its address: what stands behind the repository's own name
"""

import re
from collections.abc import Iterable
from posixpath import normpath

Target = tuple[str, ...]

_JVM = ("java", "kt", "scala", "groovy")
_SCRIPTS = ("ts", "tsx", "d.ts", "js", "jsx", "mjs", "cjs", "vue", "svelte")
_OWN = ("self", "super", "crate")  # where a path of Rust may begin
_MOST = 12  # names of one import that are followed: longer lists are data


def folder(path: str) -> str:
    """The folder of a path, "" at the root."""
    return path.rpartition("/")[0]


def beside(path: str, reference: str) -> str | None:
    """`reference` from the folder of `path`, from the root of the repository; None where it leads out of it."""
    found = normpath(f"{folder(path)}/{reference}".lstrip("/"))
    return None if found.startswith("..") or found == "." else found


def exact(*found: str | None) -> Target:
    """Files by their paths."""
    return tuple(f"={one}" for one in found if one)


def anywhere(*ends: str) -> Target:
    """Files by how their paths end."""
    return tuple(f"~{end.lstrip('/')}" for end in ends if end.strip("/"))


def local(path: str, reference: str, *, ends: Iterable[str] = ("",)) -> Target:
    """A path as includes say it: beside the file, from the root, or anywhere that ends so."""
    bare = reference.removeprefix("./")
    plain = [part for part in bare.split("/") if part not in ("..", ".", "")]
    if not plain:
        return ()
    near = [beside(path, bare + end) for end in ends]
    far = ["/".join(plain) + end for end in ends]
    return (*exact(*near), *anywhere(*far))


def dotted(reference: str, *, ends: Iterable[str], separator: str = ".") -> Target:
    """A module whose name is its path."""
    path = reference.strip(separator).replace(separator, "/")
    return anywhere(*(path + end for end in ends)) if path else ()


def python(path: str, module: str, names: str) -> list[Target]:
    """`import module` where `names` is empty, else `from module import names`."""
    bare = module.lstrip(".")
    inner = bare.replace(".", "/")
    if dots := len(module) - len(bare):
        root = beside(path, "../" * (dots - 1) + (inner or ".")) or ""
        kind, base = "=", root
    else:
        kind, base = "^", inner
    here = (f"{kind}{base}.py", f"{kind}{base}/__init__.py", f"{kind}{base}.pyx", f"{kind}{base}.pxd") if base else ()
    if not names:
        return [here]
    found = []
    for name in _names(names)[:_MOST]:
        below = f"{base}/{name}".lstrip("/")
        own = () if name == "*" else (f"{kind}{below}.py", f"{kind}{below}/__init__.py")
        found.append((*own, *here))
    return found


def _names(listed: str) -> list[str]:
    """The names of a list, without what they are called here."""
    parts = listed.replace("(", " ").replace(")", " ").replace("\\", " ").split(",")
    return [words[0] for part in parts if (words := part.split())]


def script(path: str, reference: str) -> Target:
    """A module of JavaScript or TypeScript: relative, by an alias of the sources' root, or a package of its own."""
    reference = reference.partition("?")[0]
    stems = [reference]
    for end in (".js", ".jsx", ".mjs"):  # how TypeScript names what it compiles
        if reference.endswith(end):
            stems.append(reference.removesuffix(end))
    ends = ("", *(f".{end}" for end in _SCRIPTS), *(f"/index.{end}" for end in _SCRIPTS))
    if reference.startswith("."):
        return exact(*(beside(path, stem + end) for stem in stems for end in ends))
    if reference.startswith(("@/", "~/")):
        return anywhere(*(f"src/{stem[2:]}{end}" for stem in stems for end in ends))
    if reference.startswith("@") and reference.count("/") == 1:
        name = reference.partition("/")[2]
        return anywhere(*(f"{name}{folder}/index.{end}" for folder in ("/src", "") for end in _SCRIPTS))
    return anywhere(*(stem + end for stem in stems for end in ends)) if "/" in reference else ()


def jvm(reference: str, tail: str) -> list[Target]:
    """A class, a member of one, several of a package in braces, or all of a package."""
    path = reference.strip(".").replace(".", "/")
    if not path:
        return []
    if tail.startswith("{"):
        names = [name for name in _names(tail.strip("{}").replace("=>", " ")) if name[0].isalpha()]
        return [target for name in names[:_MOST] for target in jvm(f"{reference}.{name}", "")]
    # The last part may be a member of the class, or a class within it.
    up = path.rpartition("/")[0]
    ends = [f"{path}.{end}" for end in _JVM] + ([f"{up}.{end}" for end in _JVM] if "/" in up else [])
    if tail:
        ends += [f"{path}/*.{end}" for end in _JVM]
    return [anywhere(*ends)] if "/" in path else []


def namespaces(reference: str, *, end: str, separator: str, is_folder: bool) -> Target:
    """A class or namespace whose first names may be those of the project, which has no folder for them."""
    parts = [part for part in reference.split(separator) if part]
    last = f"/*{end}" if is_folder else end
    return anywhere(*("/".join(parts[i:]) + last for i in range(max(1, len(parts) - 1))))


def package(reference: str) -> Target:
    """A package of Go by its address; without a point in its first name it is of the language's own."""
    return (f"@{reference}/*.go",) if "." in reference.partition("/")[0] else ()


def rust_module(path: str, name: str) -> Target:
    """`mod name;`"""
    return exact(*(f"{_rust_home(path)}{name}{end}".lstrip("/") for end in (".rs", "/mod.rs")))


def _rust_home(path: str) -> str:
    """Where the modules within a file lie, with its slash."""
    name = path.rpartition("/")[2]
    home = folder(path) if name in ("mod.rs", "lib.rs", "main.rs") else path.removesuffix(".rs")
    return f"{home}/" if home else ""


def rust_use(path: str, reference: str) -> list[Target]:
    """`use a::b::{c, d}`, braces within braces too; in no order that matters."""
    found: list[Target] = []
    for one in _spread_braces(reference):
        parts = [part for part in one.split("::") if part and part != "*"]
        if not parts or len(found) >= _MOST:
            continue
        if parts[0] not in _OWN:  # another crate of the workspace
            found.append(anywhere(f"{parts[0]}/src/lib.rs", f"{parts[0].replace('_', '-')}/src/lib.rs"))
            continue
        home = _rust_home(path).rstrip("/")
        if parts[0] == "crate":
            before, slash, _ = path.rpartition("src/")
            home = (before + slash).rstrip("/")
        while parts and parts[0] in _OWN:
            home = folder(home) if parts[0] == "super" else home
            parts = parts[1:]
        deep = ["/".join([home, *parts[:n]]).lstrip("/") for n in range(len(parts), 0, -1)]
        found.append(exact(*(one + end for one in deep for end in (".rs", "/mod.rs"))))
    return found


def _spread_braces(reference: str) -> list[str]:
    """`a::{b, c::{d, e}}` as a::b, a::c::d, a::c::e."""
    found, prefix, opened, word = [], "", [], ""
    for sign in reference:
        if sign == "{":
            opened.append(prefix)
            prefix, word = prefix + word, ""
        elif sign in ",}":
            if word:
                found.append(prefix + word.partition(" as ")[0].strip())
            word = ""
            if sign == "}" and opened:
                prefix = opened.pop()
        elif not sign.isspace() or (word and sign == " "):
            word += sign
    if word.strip():
        found.append(prefix + word.partition(" as ")[0].strip())
    return found


def elixir(reference: str) -> Target:
    """`A.SomeName` stands in a/some_name.ex."""
    parts = []
    for part in reference.split("."):
        parts.append(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", part).lower())
    return anywhere("/".join(parts) + ".ex")
