"""What runs on a Ray worker: first the question whether it is the driver's code, then the task."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from pipeline.engine.executor import work_on
from pipeline.engine.same_code import differences, own_code
from pipeline.errors import ConfigError

# How long the first word of a node is waited for; one that starts more slowly is asked by its first task.
GREETING_SECONDS = 60.0
_REMEDY: Final = (
    "give every node the same loopmix (one image, or --working-dir with the driver's checkout), and start again"
)


def submitter(task: Callable[[Any], Any], *, compares: bool) -> Callable[..., Any]:
    """A function (item, **options) that submits the task for an item and returns Ray's reference to the answer."""
    from ray import cloudpickle

    remote, code = _remote_function(), own_code() if compares else {}

    def submit(item: Any, **options: Any) -> Any:
        return remote.options(max_retries=0, **options).remote(code, cloudpickle.dumps((task, item)))

    return submit


@cache
def _remote_function() -> Any:
    """One for all maps: Ray sends it to each worker once."""
    import ray

    return ray.remote(_remote())


def _remote() -> Callable[[dict[str, str], bytes], tuple[str, Any]]:
    """What a worker runs. It is a function in a function because Ray sends just those as code and not by name: so it
    runs, and says what is wrong, where Loopmix is missing or another. What it calls is looked up there."""

    def work(driver: dict[str, str], call: bytes) -> tuple[str, Any]:
        try:
            from pipeline.engine.ray_workers import answer
        except ImportError as error:
            import socket

            import ray

            where = f"node {ray.util.get_node_ip_address()} ({socket.gethostname()})"
            return "refused", f"{where}: has no loopmix, or an old one: {error}"
        return answer(driver, call)

    return work


def answer(driver: dict[str, str], call: bytes) -> tuple[str, Any]:
    """Run on a worker: ("done", result) of a pickled (task, item), or ("refused", why). An empty call only compares,
    an empty `driver` does not: on a cluster of our own each worker is this interpreter with these files."""
    import ray
    from ray import cloudpickle

    if driver and (other := differences(driver, own_code())):
        where = f"node {ray.util.get_node_ip_address()} ({socket.gethostname()})"
        return "refused", f"{where}: runs other code: {other}"
    if not call:
        return "done", None
    task, item = cloudpickle.loads(call)
    return "done", work_on(task, item)


def result_of(answered: tuple[str, Any]) -> Any:
    """The result; ConfigError where the worker refused."""
    word, value = answered
    if word == "refused":
        raise ConfigError(f"{value}; {_REMEDY}")
    return value


def greet() -> None:
    """Ask every node whether it runs what the driver runs; ConfigError names all that do not. Before any work: a node
    that joins later, or does not answer in time, is asked by its first task."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    remote, asked = _remote_function(), []
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = {"num_cpus": 0, "max_retries": 1, "name": "greeting", "scheduling_strategy": there}
            asked.append(remote.options(**options).remote(own_code(), b""))
    answered, late = ray.wait(asked, num_returns=len(asked), timeout=GREETING_SECONDS)
    for reference in late:
        ray.cancel(reference)
    refused = sorted({value for word, value in map(_get, answered) if word == "refused"})
    if refused:
        raise ConfigError(f"{'; '.join(refused)}; {_REMEDY}")


def _get(reference: Any) -> tuple[str, Any]:
    """The answer of a node; nothing where it went away meanwhile."""
    import ray
    from ray.exceptions import NodeDiedError, TaskUnschedulableError, WorkerCrashedError

    try:
        found: tuple[str, Any] = ray.get(reference)
    except (NodeDiedError, TaskUnschedulableError, WorkerCrashedError):
        return "gone", None
    return found
