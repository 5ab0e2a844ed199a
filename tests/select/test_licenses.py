import pytest

from pipeline.select.licenses import OTHER, PERMISSIVE, UNKNOWN, license_class


@pytest.mark.parametrize(
    ("license_id", "wanted"),
    [
        ("MIT", PERMISSIVE),
        ("Apache-2.0", PERMISSIVE),
        ("MIT OR GPL-2.0", PERMISSIVE),
        ("MIT AND GPL-2.0-only", OTHER),
        ("(MIT OR Apache-2.0)", PERMISSIVE),
        ("GPL-3.0-or-later", OTHER),
        ("LicenseRef-acme", OTHER),
        (None, UNKNOWN),
        ("", UNKNOWN),
        ("NOASSERTION", UNKNOWN),
    ],
)
def test_license_class(license_id: str | None, wanted: int) -> None:
    assert license_class(license_id) == wanted
