import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.language.path import MAX_DOTS, NOTHING, by_path
from pipeline.language.table import extension_table, languages

FIRST = [
    ("src/main.rs", "Rust", "extension"),
    ("Makefile", "Makefile", "filename"),
    ("docker/Dockerfile.prod", "Dockerfile", "filename"),
    ("Dockerfile.md", "Markdown", "extension"),
    ("dockerfile", "Dockerfile", "filename"),
    ("CMakeLists.txt", "CMake", "filename"),
    ("notes/CMakeLists.text", None, "none"),
    ("types/index.d.ts", "TypeScript", "extension"),
    ("views/show.html.erb", "HTML+ERB", "extension"),
    ("a/B/SHOUT.PY", "Python", "extension"),
    ("Widget.C", "C++", "extension"),
    ("WIDGET.C", "C", "extension"),
    ("widget.c", "C", "extension"),
    ("config.yml.example", "YAML", "extension"),
    ("setup.py.in", "Python", "extension"),
    ("Makefile.orig", "Makefile", "filename"),
    ("main.go~", "Go", "extension"),
    ("settings.toml.example", "TOML", "extension"),
    (".bashrc", "Shell", "filename"),
    (".gitignore", "Ignore List", "filename"),
    ("README", "Text", "filename"),
    ("readme", "Text", "filename"),
    ("README.rst", "reStructuredText", "extension"),
    ("archive\\src\\app.jsx", "JavaScript", "extension"),
    ("x.cfg", "INI", "extension"),
    ("poem.txt", "Text", "extension"),
    ("build.gradle.kts", "Gradle Kotlin DSL", "extension"),
    ("printf.3posix", "Roff Manpage", "extension"),
    ("noextension", None, "none"),
    ("trailing.", None, "none"),
    ("trailing/", None, "none"),
    ("", None, "none"),
    (".", None, "none"),
    ("..", None, "none"),
    ("...", None, "none"),
    ("data.jsonl#12", None, "none"),
    ("archive.tar.unheardof", None, "none"),
    ("файл.py", "Python", "extension"),
    ("日本語/Ünïcödé.İ.rb", "Ruby", "extension"),
]


@pytest.mark.parametrize(("path", "language", "rule"), FIRST, ids=[row[0] for row in FIRST])
def test_by_path_names_the_likeliest_language_first(path: str, language: str | None, rule: str) -> None:
    found = by_path(path)
    assert (found.languages[0] if found.languages else None, found.rule) == (language, rule)


def test_by_path_gives_every_candidate_where_an_extension_is_shared() -> None:
    assert set(by_path("x.h").languages) == {"C", "C++", "Objective-C"}
    assert by_path("x.m").languages[:2] == ("MATLAB", "Objective-C")


def test_by_path_prefers_the_longest_extension_when_both_are_known() -> None:
    assert by_path("x.blade.php").languages == ("Blade",)
    assert by_path("x.y.z.blade.php").extension == ".blade.php"


def test_by_path_survives_a_million_dots_when_a_path_is_hostile() -> None:
    assert by_path("." * 1_000_000) == NOTHING
    assert by_path("a." * 500_000 + "py").languages == ("Python",)
    assert by_path("../" * 300_000 + "etc/passwd") == NOTHING


def test_no_known_extension_has_more_dots_than_are_looked_at() -> None:
    assert max(extension.count(".") for extension in extension_table()) <= MAX_DOTS


@given(st.text(max_size=40), st.sampled_from(["", ".py", ".h", ".tar.gz", "/", "\\", ".in", "~"]))
def test_by_path_knows_only_listed_languages_whatever_the_path(stem: str, end: str) -> None:
    found = by_path(stem + end)
    assert all(name in languages() for name in found.languages)
    assert (found.rule == "none") == (not found.languages)
    assert by_path("some/folder/" + stem + end) == found
