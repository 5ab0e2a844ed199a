"""The YAML tables inside the package: no key twice, and the same under both of PyYAML's parsers."""

from pathlib import Path

import pytest
import yaml

from pipeline import yaml_file
from pipeline.errors import ConfigError
from pipeline.yaml_file import parse_shipped, read_yaml

PACKAGE = Path(yaml_file.__file__).parent
TABLES = sorted(PACKAGE.rglob("*.yaml"))


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_table_reads_the_same_by_either_parser_and_gives_no_key_twice(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    plain = yaml.load(text, Loader=yaml.SafeLoader)
    assert repr(parse_shipped(text)) == repr(plain) == repr(read_yaml(path).data)


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.getcwd []", "!!python/name:os.sep", "a: !!python/tuple [1]"]
)
def test_what_would_build_an_object_is_refused(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        parse_shipped(text)


@pytest.mark.parametrize("safe", ["CSafeLoader", "SafeLoader"])
def test_a_key_given_twice_is_refused_by_either_parser(
    safe: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = getattr(yaml, safe, None)
    if base is None:
        pytest.skip("PyYAML was built without libyaml")

    class _Loader(base):  # type: ignore[misc,valid-type]
        yaml_constructors = yaml_file._UniqueKeyLoader.yaml_constructors

    monkeypatch.setattr(yaml_file, "_UniqueKeyLoader", _Loader)
    file = tmp_path / "m.yaml"
    file.write_text("a: 1\nb:\n  c: 1\n  c: 2\n")
    with pytest.raises(ConfigError, match=r"m\.yaml:4:\d+: key 'c' is given twice, first in line 3"):
        read_yaml(file)
