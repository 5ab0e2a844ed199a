"""How an object store is reached: what its settings decide, and errors that name what is missing."""

from __future__ import annotations

import pytest
from object_server import CREDENTIALS

from pipeline.engine import object_disk
from pipeline.engine.object_disk import ObjectDisk
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_nothing_is_sent_in_the_clear_unless_the_endpoint_says_so(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    for name, value in (CREDENTIALS | {"AWS_ENDPOINT_URL": f"{scheme}://127.0.0.1:1"}).items():
        monkeypatch.setenv(name, value)
    made: list[bool] = []

    def from_url(root: str, *, client_options: dict[str, object], **more: object) -> object:
        made.append(bool(client_options["allow_http"]))
        return object()

    monkeypatch.setattr(object_disk, "from_url", from_url)
    ObjectDisk.at("s3://bucket/run")
    assert made == [scheme == "http"] * 2


def test_a_url_that_nobody_serves_is_an_error_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
    with pytest.raises(ConfigError, match="az://container/run: cannot be opened"):
        _ = open_store("az://container/run").disk


def test_without_its_package_an_object_store_is_an_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import sys

    for name in [n for n in sys.modules if n.partition(".")[0] == "obstore"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "pipeline.engine.object_disk")
    with pytest.raises(ConfigError, match=r"pip install 'loopmix\[cloud\]'"):
        _ = open_store("s3://bucket/without-its-package").disk
