import pytest

from pipeline.select.paths import DERIVED, SOURCE, path_class, path_classes


@pytest.mark.parametrize(
    ("source", "derived"),
    [
        ("src/locale/km.js", "dist/locale/km.js"),
        ("src/a.js", "lib/a.js"),
        ("src/a.js", "src/a.min.js"),
        ("jquery.js", "vendor/jquery.js"),
        ("lodash.js", "packages/x/node_modules/lodash/lodash.js"),
        ("zlib/inflate.c", "Third_Party/zlib/inflate.c"),
        ("api/v1.proto", "api/v1.pb.go"),
        ("api/v1.py", "api/v1_pb2.py"),
        ("a/b.ts", "a\\build\\b.ts"),
        ("main.cpp", "moc_main.cpp"),
        ("app.js", "app.bundle.js"),
        ("Form1.cs", "Form1.Designer.cs"),
    ],
)
def test_a_source_ranks_before_what_is_made_of_it(source: str, derived: str) -> None:
    assert (path_class(source), path_class(derived)) == (SOURCE, DERIVED)


@pytest.mark.parametrize(
    "path",
    ["lib/foo.rb", "lib/Foo/Bar.pm", "dist", "min.js", "src/distance.py", "builder/a.go", "README.min", "", "a/b/"],
)
def test_names_that_only_resemble_are_sources(path: str) -> None:
    assert path_class(path) == SOURCE


def test_classes_stand_in_the_order_of_the_paths() -> None:
    assert path_classes(["dist/a.js", "a.js"]).tolist() == [DERIVED, SOURCE]
    assert path_classes([]).tolist() == []
