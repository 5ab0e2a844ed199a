"""What the driver does when Ray's tasks fail, and while nodes come and go. A fake cluster answers by a script."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import ray_tasks, ray_workers
from pipeline.engine.executor import _private_cluster, connect
from pipeline.engine.ray_tasks import MAX_LOST, RayExecutor
from pipeline.errors import ConfigError, StageError, WorkerDied

with _private_cluster():  # Ray reads the environment when it is imported, and other tests start clusters
    ray = pytest.importorskip("ray")


@dataclass
class FakeReference:
    cluster: FakeCluster
    item: Any
    answer: Any
    n_cpus: int
    told: Future[Any] = field(default_factory=Future)

    def future(self) -> Future[Any]:
        self.cluster.n_futures += 1
        return self.told

    def end(self) -> None:
        if isinstance(self.answer, BaseException):
            self.told.set_exception(self.answer)
        else:
            self.told.set_result(("done", self.answer))


@dataclass
class FakeCluster:
    """Nodes with so many CPUs each. Item i is answered by `script[i]` in turn, then by itself; the oldest task ends
    whenever the driver asks for the next."""

    nodes: list[int]
    script: dict[Any, list[Any]] = field(default_factory=dict)
    open: list[FakeReference] = field(default_factory=list)
    asked: list[tuple[Any, int]] = field(default_factory=list)  # (item, CPUs) of each submission
    widest: int = 0
    n_futures: int = 0
    n_cancelled: int = 0
    before_end: Callable[[], None] = lambda: None

    def submit(self, item: Any, *, name: str, num_cpus: int) -> FakeReference:
        answers = self.script.get(item, [])
        reference = FakeReference(self, item, answers.pop(0) if answers else item, num_cpus)
        self.open.append(reference)
        self.asked.append((item, num_cpus))
        self.widest = max(self.widest, len(self.open))
        return reference

    def cancel(self, reference: FakeReference) -> None:
        if reference in self.open:
            self.n_cancelled += 1
            reference.answer = ray.exceptions.TaskCancelledError()

    def end_one(self) -> None:
        self.before_end()
        fitting = [r for r in self.open if r.n_cpus <= max(self.nodes) or isinstance(r.answer, BaseException)]
        for reference in fitting[:1]:
            self.open.remove(reference)
            reference.end()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    cluster = FakeCluster([8, 4])
    monkeypatch.setattr(ray_tasks, "ASK_SECONDS", 0.0)
    monkeypatch.setattr(ray_tasks, "submitter", lambda task, *, compares: cluster.submit)
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True, "Resources": {"CPU": n}} for n in cluster.nodes])
    monkeypatch.setattr(ray, "cancel", cluster.cancel)
    monkeypatch.setattr(ray, "wait", lambda *_, **__: pytest.fail("waits for a whole window"))
    plain = ray_tasks._Round._next

    def end_and_take(self: Any) -> Any:
        if cluster.open:
            cluster.end_one()
        return plain(self)

    monkeypatch.setattr(ray_tasks._Round, "_next", end_and_take)
    yield cluster


def done(fake: FakeCluster, n_items: int) -> list[int]:
    return [item for item, _ in RayExecutor("fake").map(abs, range(n_items), name="stage.step")]


def no_memory() -> Exception:
    return ray.exceptions.OutOfMemoryError(
        "1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 10.0.0.7, ID: 76a5) "
        "was 62.15GB used / 64.00GB limit (0.97)\nOOM kill reason: ...\nSelected to kill: (Task: job ID=01, "
        "task name=other[1], actual memory used=1.11GB), (Task: job ID=01, task name=stage.step[1], "
        "required resources={CPU: 8}, pid=18928, actual memory used=61.20GB, worker ID=a5a3)"
    )


def test_each_task_is_asked_for_once_however_wide_the_window(fake: FakeCluster) -> None:
    fake.nodes = [500]
    assert sorted(done(fake, 2_000)) == list(range(2_000))
    assert fake.widest == 1_000
    assert fake.n_futures == 2_000


def test_the_window_grows_with_nodes_that_join(fake: FakeCluster) -> None:
    fake.nodes = [2]
    widths = []

    def join() -> None:
        widths.append(len(fake.open))
        if len(widths) == 10:
            fake.nodes = [2, 16]

    fake.before_end = join
    assert sorted(done(fake, 100)) == list(range(100))
    assert max(widths[:10]) == 4
    assert max(widths) == fake.widest == 36


def test_a_cluster_without_cpus_yet_gets_tasks_that_make_it_start_nodes(fake: FakeCluster) -> None:
    fake.nodes = [0]
    fake.before_end = lambda: fake.nodes.__setitem__(0, 1)
    assert done(fake, 3) == [0, 1, 2]


def test_an_item_short_of_memory_comes_last_with_fewer_beside_it_and_then_alone(fake: FakeCluster) -> None:
    fake.script = {1: [no_memory(), no_memory()]}
    assert done(fake, 4) == [0, 2, 3, 1]
    assert [cpus for item, cpus in fake.asked if item == 1] == [1, 4, 8]
    assert {cpus for item, cpus in fake.asked if item != 1} == {1}


def test_an_item_that_has_no_room_alone_is_named_with_its_memory(fake: FakeCluster) -> None:
    fake.script = {1: [no_memory()] * 3}
    said = r"stage\.step: item 1 needs more .*it held 61\.20GB, on node 10\.0\.0\.7 62\.15GB of 64\.00GB were in use;"
    with pytest.raises(StageError, match=said):
        done(fake, 4)
    assert [item for item, _ in fake.asked] == [0, 1, 2, 3, 1, 1]


def test_a_task_that_needs_a_node_which_is_gone_is_asked_for_again_with_less(fake: FakeCluster) -> None:
    fake.script = {1: [no_memory(), no_memory()]}

    def leave() -> None:
        if (1, 8) in fake.asked:
            fake.nodes = [4]

    fake.before_end = leave
    assert done(fake, 2) == [0, 1]
    assert [cpus for item, cpus in fake.asked if item == 1] == [1, 4, 8, 4]
    assert fake.n_cancelled == 1


def test_one_dead_worker_costs_its_item_one_more_task(fake: FakeCluster) -> None:
    fake.script = {1: [ray.exceptions.WorkerCrashedError()]}
    assert sorted(done(fake, 3)) == [0, 1, 2]
    assert fake.asked == [(0, 1), (1, 1), (2, 1), (1, 1)]


def test_an_item_that_takes_worker_after_worker_is_named_when_all_others_are_done(fake: FakeCluster) -> None:
    fake.script = {0: [ray.exceptions.WorkerCrashedError() for _ in range(4)]}
    yielded = []
    with pytest.raises(WorkerDied, match=r"stage.step: item 0 took 4 workers with it") as died:
        for item, _ in RayExecutor("fake").map(abs, range(4), name="stage.step"):
            yielded.append(item)
    assert died.value.item == 0
    assert yielded == [1, 2, 3]
    assert [cpus for item, cpus in fake.asked if item == 0] == [1, 1, 4, 8]


def test_lost_nodes_are_not_held_against_an_item_unless_it_always_goes_with_them(fake: FakeCluster) -> None:
    fake.script = {1: [ray.exceptions.NodeDiedError("gone") for _ in range(MAX_LOST)]}
    assert sorted(done(fake, 3)) == [0, 1, 2]
    assert {cpus for _, cpus in fake.asked} == {1}
    fake.script = {1: [ray.exceptions.NodeDiedError("gone") for _ in range(MAX_LOST + 1)]}
    with pytest.raises(StageError, match="item 1: NodeDiedError: gone"):
        done(fake, 3)


def test_the_only_node_of_a_cluster_of_ours_is_not_waited_for(fake: FakeCluster) -> None:
    fake.script = {1: [ray.exceptions.NodeDiedError("gone")]}
    with pytest.raises(StageError, match="item 1: NodeDiedError: gone"):
        list(RayExecutor("local").map(abs, range(3), name="stage.step"))
    fake.nodes, fake.end_one = [0], lambda: None  # and its tasks say nothing
    with pytest.raises(StageError, match=r"stage\.step: the Ray cluster on this machine has ended"):
        list(RayExecutor("local").map(abs, range(3), name="stage.step"))


def test_waiting_for_nodes_is_said_once(fake: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    fake.nodes = [0]
    fake.script = {1: [ray.exceptions.NodeDiedError("gone")]}
    n_looks = []

    def look() -> None:
        n_looks.append(1)
        if len(n_looks) == 5:
            fake.nodes = [1]

    fake.before_end = look
    assert sorted(done(fake, 2)) == [0, 1]
    assert capsys.readouterr().err == "note: no node of the cluster has CPUs; waiting for one\n"


def test_what_still_runs_is_cancelled_when_a_map_ends_early(fake: FakeCluster) -> None:
    for _ in RayExecutor("fake").map(abs, range(30), name="stage.step"):
        break
    assert fake.n_cancelled == 23  # a window of 24, less the one that was done


def test_a_worker_compares_before_it_looks_at_its_task() -> None:
    other = ray_workers.own_code() | {"pyarrow": "1.0.0"}
    assert ray_workers.answer(ray_workers.own_code(), b"") == ray_workers.answer({}, b"") == ("done", None)
    word, why = ray_workers.answer(other, b"no pickle")
    assert word == "refused" and "runs other code: pyarrow" in why
    with pytest.raises(ConfigError, match=r"runs other code: pyarrow .* give every node the same loopmix"):
        ray_workers.result_of((word, why))


# --- on a cluster ----------------------------------------------------------------------------------------------------


def always_die(item: tuple[int, str]) -> int:
    if item[0] == 1:
        with Path(item[1]).open("a") as file:
            file.write("x")
        os.kill(os.getpid(), 9)
    return item[0]


def square(item: int) -> int:
    return item * item


@pytest.fixture(scope="module")
def local() -> Iterator[RayExecutor]:
    os.environ["PYTHONPATH"] = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    with connect("local"):
        yield RayExecutor("of this test")  # by this name it compares code, as with workers that others started


@pytest.mark.ray
def test_workers_with_the_same_code_are_greeted_and_work(local: RayExecutor) -> None:
    ray_workers.greet()
    assert sorted(local.map(square, range(5), name="t")) == [(i, i * i) for i in range(5)]
    assert local.describe().startswith("Ray at of this test, ")


@pytest.mark.ray
def test_a_worker_with_other_code_is_refused_before_and_at_its_first_task(
    local: RayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = ray_workers.own_code() | {"loopmix": "9.9.9"}
    monkeypatch.setattr(ray_workers, "own_code", lambda: ours)
    said = r"node [\d.]+ \(.+\): runs other code: loopmix 0\.\d+\.\d+ \(driver: 9\.9\.9\); give every node the same"
    with pytest.raises(ConfigError, match=said):
        ray_workers.greet()
    with pytest.raises(ConfigError, match=said):
        list(local.map(square, range(5), name="t"))


@pytest.mark.ray
def test_a_worker_without_loopmix_is_refused_before_and_at_its_first_task(
    local: RayExecutor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys; sys.modules['pipeline'] = None")  # not to be imported
    plain, shadow = ray_workers._remote_function(), {"env_vars": {"PYTHONPATH": str(tmp_path)}}

    class Shadowed:
        def options(self, **options: Any) -> Any:
            return plain.options(runtime_env=shadow, **options)

    monkeypatch.setattr(ray_workers, "_remote_function", Shadowed)
    said = r"node [\d.]+ \(.+\): has no loopmix, or an old one: No module named 'pipeline.engine'.*; give every node"
    with pytest.raises(ConfigError, match=said):
        ray_workers.greet()
    with pytest.raises(ConfigError, match=said):
        list(local.map(square, range(5), name="t"))


@pytest.mark.ray
def test_a_worker_that_always_dies_names_its_item_and_costs_no_other(local: RayExecutor, tmp_path: Path) -> None:
    items = [(i, str(tmp_path / "died")) for i in range(4)]
    found = []
    with pytest.raises(WorkerDied, match="item 1 took 4 workers") as died:
        for item, _ in local.map(always_die, items, name="die"):
            found.append(item)
    assert died.value.item == items[1]
    assert sorted(found) == [items[0], items[2], items[3]]
    assert (tmp_path / "died").read_text() == "xxxx"
