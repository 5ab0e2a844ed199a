"""Whatever becomes of the signs of a mixture file, it is read or refused in one line: never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.request.load import load_mixture
from pipeline.yaml_file import read_yaml

GOOD = """\
name: mine
sources:
  - {name: repos, kind: directory, path: code, pool: code}
  - {name: books, kind: directory, path: text, pool: text}
balance: {code: {shares: {Python: 1, others: 2}}}
"""
SIGNS = st.sampled_from([*"\t\x07\x00{}[]:,-*&!\"'#|>%@`\\ \n\r\u2028\ufeff\x85é?1", ""])
EDITS = st.lists(st.tuples(st.integers(0, len(GOOD) - 1), SIGNS), min_size=1, max_size=4)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS)
def test_a_damaged_mixture_is_read_or_refused_in_one_line(tmp_path: Path, edits: list[tuple[int, str]]) -> None:
    signs = list(GOOD)
    for place, sign in edits:
        signs[place] = sign
    file = tmp_path / "mixture.yaml"
    file.write_bytes("".join(signs).encode())
    try:
        load_mixture(file)
    except ConfigError as error:
        assert str(error).startswith(f"{file}:"), error
        assert "\n" not in str(error), error
        assert len(error.shown) in (0, 2) and (not error.shown or error.shown[1].strip() == "^")


def test_aliases_in_aliases_are_refused_before_they_are_laid_out(tmp_path: Path) -> None:
    path = tmp_path / "mix.yaml"
    bomb = "a0: &a0 [x]\n" + "".join(f"a{k}: &a{k} [{', '.join([f'*a{k - 1}'] * 10)}]\n" for k in range(1, 30))
    path.write_text(bomb)
    with pytest.raises(ConfigError, match=r"mix\.yaml: aliases \(\*name\) make .* values"):
        load_mixture(path)
    path.write_text("a: &a [1, 2]\nb: [*a, *a]\n")
    assert read_yaml(path).data == {"a": [1, 2], "b": [[1, 2], [1, 2]]}


@pytest.mark.parametrize(
    ("loc", "line", "written"),
    [
        (("pack", "seq_len"), 2, "1.000"),
        (("pack", "seq_len", "int"), 2, None),  # no value stands for what is below it
        (("pack",), 1, None),
        (("pack", "none"), 1, None),
        (("list", 1), 5, "b"),
        (("list", 2), 3, None),
        (("none",), None, None),
    ],
)
def test_a_place_has_the_line_of_what_stands_and_its_own_value(
    tmp_path: Path, loc: tuple[str | int, ...], line: int | None, written: str | None
) -> None:
    (tmp_path / "a.yaml").write_text("pack:\n  seq_len: 1.000\nlist:\n- a\n- b\n")
    file = read_yaml(tmp_path / "a.yaml")
    assert (file.line(loc), file.written(loc)) == (line, written)
