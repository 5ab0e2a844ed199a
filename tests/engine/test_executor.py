import gc
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from pipeline.engine import executor
from pipeline.engine.executor import Executor, InlineExecutor, connect
from pipeline.errors import ConfigError, StageError, StoreError


def square(item: int) -> int:
    return item * item


def touchy(item: int) -> int:
    if item == 3:
        raise ValueError("three is no good")
    return item


def careful(item: int) -> int:
    raise StoreError("disk is full; free some space")


def die_once(item: tuple[int, str]) -> int:
    """Kill the worker the first time that item 1 comes."""
    number, folder = item
    marker = Path(folder) / "died"
    if number == 1 and not marker.exists():
        marker.write_text("x")
        os.kill(os.getpid(), 9)
    return number


@pytest.fixture(scope="module")
def ray_executor() -> Iterator[Executor]:
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)  # workers must find the functions of this file
    with connect("local") as executor:
        yield executor


def check_contract(executor: Executor) -> None:
    assert sorted(executor.map(square, range(20), name="square")) == [(i, i * i) for i in range(20)]
    assert list(executor.map(square, [], name="square")) == []
    with pytest.raises(StageError, match=r"touchy failed on item 3: ValueError: three is no good"):
        list(executor.map(touchy, range(6), name="touchy"))
    with pytest.raises(StoreError, match="disk is full"):
        list(executor.map(careful, [1], name="careful"))


def test_kernels_are_compiled_before_the_first_task_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[str] = []
    monkeypatch.setattr("pipeline.engine.executor.compile_once", lambda: called.append("kernels"))
    assert list(InlineExecutor().map(lambda _: called.append("task"), [1], name="task")) == [(1, None)]
    assert executor.work_on(lambda _: called.append("task"), 1) is None
    assert called == ["kernels", "task"] * 2
    assert list(InlineExecutor().map(square, [], name="nothing to do")) == []
    assert len(called) == 4


def test_inline_executor_keeps_the_contract() -> None:
    check_contract(InlineExecutor())


@pytest.mark.ray
def test_ray_executor_keeps_the_contract(ray_executor: Executor) -> None:
    check_contract(ray_executor)


@pytest.mark.ray
def test_ray_repeats_a_task_whose_worker_died(ray_executor: Executor, tmp_path: Path) -> None:
    items = [(i, str(tmp_path)) for i in range(4)]
    assert sorted(r for _, r in ray_executor.map(die_once, items, name="die")) == [0, 1, 2, 3]
    assert (tmp_path / "died").exists()


@pytest.mark.ray
def test_local_cluster_listens_on_loopback_only_and_wants_a_token(ray_executor: Executor) -> None:
    listening: set[str] = set()
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # one that ends meanwhile listens to nobody
            found = process.net_connections(kind="inet")
            listening.update(c.laddr.ip for c in found if c.status == psutil.CONN_LISTEN)
    assert listening and listening <= {"127.0.0.1", "::ffff:127.0.0.1", "::1"}, listening
    assert os.environ["RAY_AUTH_MODE"] == "token"
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_unreachable_cluster_is_a_config_error() -> None:
    pytest.importorskip("ray")
    with pytest.raises(ConfigError, match="cannot be used"), connect("nonsense://nowhere"):
        pass
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999999"):
        with pytest.raises(ConfigError, match="nobody answers"), connect(address):
            pass


def test_the_collector_rests_while_a_task_runs_and_works_again_after() -> None:
    def ask(item: int) -> bool:
        if item:
            raise ValueError(item)
        return gc.isenabled()

    assert gc.isenabled()
    assert list(InlineExecutor().map(ask, [0], name="ask")) == [(0, False)]
    assert gc.isenabled()
    with pytest.raises(StageError):
        list(InlineExecutor().map(ask, [1], name="ask"))
    assert gc.isenabled()
    gc.disable()  # whoever keeps it off keeps it off
    try:
        list(InlineExecutor().map(ask, [0], name="ask"))
        assert not gc.isenabled()
    finally:
        gc.enable()
