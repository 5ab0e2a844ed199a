"""Whatever becomes of the signs of a mixture file, it is read or refused in one line: never a traceback."""

from __future__ import annotations

from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.request.load import load_mixture

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
