"""Kernels are compiled once for a machine: the list holds what a curation runs, and one process works it off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from numba import types
from numba.core.dispatcher import Dispatcher

from pipeline.arrays import warm

ROOT = Path(__file__).resolve().parents[2]
USED = """
import json, sys
from numba.core.dispatcher import Dispatcher
from pipeline.cli.main import main
main(["curate", "tests/data/mixture.yaml", "--out", sys.argv[1]], standalone_mode=False)
sys.path.insert(0, "tests")
from arrays.test_warm import words_of
modules = [module for name, module in sys.modules.items() if name.startswith("pipeline.")]
kernels = {id(k): k for m in modules for k in vars(m).values() if isinstance(k, Dispatcher)}.values()
used = [(k, [*k.stats.cache_hits, *k.stats.cache_misses], bool(k.stats.cache_misses)) for k in kernels]
print(json.dumps([(f"{k.__module__}.{k.__name__}", list(map(words_of, s)), m) for k, s, m in used if s]))
"""


def words_of(signature) -> str:
    return " ".join(map(word_of, signature))


def word_of(kind) -> str:
    if isinstance(kind, types.Array):
        return f"{word_of(kind.dtype)}[{kind.ndim}{kind.layout}{'w' if kind.mutable else 'r'}]"
    return f"({','.join(map(word_of, kind))})" if isinstance(kind, types.BaseTuple) else str(types.unliteral(kind))


def test_the_list_names_every_kernel_that_a_curation_runs_and_none_is_compiled_again(tmp_path):
    """`LOOPMIX_WRITE_KERNELS=1` adds to the list what is used, and drops kernels that are gone."""
    warm.compile_once()  # where an edit came after `make install`
    done = subprocess.run(
        [sys.executable, "-c", USED, str(tmp_path / "run")], cwd=ROOT, capture_output=True, text=True, check=True
    )
    used = {name: (several, missed) for name, several, missed in json.loads(done.stdout.splitlines()[-1])}
    if os.environ.get("LOOPMIX_WRITE_KERNELS"):
        there = {name: several for name, several in warm.listed().items() if is_there(name)}
        both = {name: sorted({*there.get(name, []), *used.get(name, [[]])[0]}) for name in {*there, *used}}
        warm.LIST.write_text(json.dumps(both, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    assert len(used) > 40
    listed = {(name, words) for name, several in warm.listed().items() for words in several}
    assert not {(name, words) for name, (several, _) in used.items() for words in several} - listed
    assert not [name for name, (_, missed) in used.items() if missed]


def is_there(name: str) -> bool:
    module, _, function = name.rpartition(".")
    return isinstance(getattr(__import__(module, fromlist=[function]), function, None), Dispatcher)


def test_the_list_names_kernels_that_exist_with_types_that_are_written_back_alike():
    for name, several in warm.listed().items():
        assert is_there(name), name
        for words in several:
            assert words_of(map(warm._kernel_type, words.split())) == words


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which nothing is compiled, and a list of one small kernel."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LOOPMIX_COMPILES_KERNELS", raising=False)
    (tmp_path / "kernels.json").write_text(
        json.dumps({"pipeline.mix.packing.copy_slices": ["uint32[1Cr] int64[1Cw] int64[1Cw] uint32[1Cw] int64[1Cw]"]})
    )
    monkeypatch.setattr(warm, "LIST", tmp_path / "kernels.json")
    monkeypatch.setattr(warm, "compile_once", warm.compile_once.__wrapped__)
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    commands = []

    def run(command, **_):
        commands.append(command[1:])
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return commands


def test_the_first_process_of_a_machine_compiles_and_the_next_does_not(machine, started, capsys):
    warm.compile_once()
    assert started == [["-m", "pipeline.arrays.warm"]]
    assert capsys.readouterr().err == "note: compiling for this machine, once; one to four minutes on two cores\n"
    warm._stamp(machine / "cache").touch()
    warm.compile_once()
    assert len(started) == 1


def test_who_waited_for_another_process_does_not_compile_after_it(machine, started, monkeypatch):
    alone = warm._alone

    def finished_by_another(place):
        warm._stamp(place).touch()
        return alone(place)

    monkeypatch.setattr(warm, "_alone", finished_by_another)
    warm.compile_once()
    assert not started


def test_two_processes_do_not_compile_at_once(machine):
    """The second waits at the lock until the first is done."""
    imports = "import sys; from pathlib import Path; from pipeline.arrays import warm"
    code = f"{imports}\nwith warm._alone(Path(sys.argv[1])): print(1)"
    with warm._alone(machine):
        waiting = subprocess.Popen(
            [sys.executable, "-c", code, str(machine)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(timeout=2)
    out, said = waiting.communicate(timeout=60)
    assert out == b"1\n"
    assert said == b"note: waiting for another process that compiles for this machine\n"


def test_workers_of_the_compiling_process_and_machines_that_keep_nothing_compile_as_they_go(
    machine, started, monkeypatch
):
    monkeypatch.setenv("LOOPMIX_COMPILES_KERNELS", "1")
    warm.compile_once()
    monkeypatch.delenv("LOOPMIX_COMPILES_KERNELS")
    (machine / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(machine / "file" / "cache"))
    warm.compile_once()
    assert not started


def test_a_failure_to_compile_ahead_is_said_and_ends_nothing(machine, monkeypatch, capsys):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: subprocess.CompletedProcess(command, 1))
    warm.compile_once()
    assert capsys.readouterr().err.endswith("note: that failed; each process compiles what it meets\n")


def test_the_stamp_is_of_the_kernels_files_the_list_and_the_libraries(machine, monkeypatch):
    def stamp():
        return warm._stamp(machine).name

    before = stamp()
    assert stamp() == before
    os.utime(warm.LIST, (1, 1))
    other_list = stamp()
    monkeypatch.setattr("llvmlite.__version__", "0")
    other_library = stamp()
    monkeypatch.setattr("llvmlite.binding.get_host_cpu_name", lambda: "another")
    assert len({before, other_list, other_library, stamp()}) == 4
    helper = machine / "helper.py"
    helper.touch()
    monkeypatch.setattr("pipeline.arrays.compiled.HELPERS", (helper,))
    with_helper = stamp()
    os.utime(helper, (1, 1))
    assert stamp() != with_helper


def test_working_off_the_list_keeps_the_code_and_sets_the_stamp(machine, monkeypatch, capsys):
    command = (
        "from pathlib import Path; from pipeline.arrays import warm; warm.LIST = Path(%r); print(warm._compile([%r]))"
    )
    code = command % (str(warm.LIST), "pipeline.mix.packing.copy_slices")
    compiled = [subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True) for _ in range(2)]
    assert compiled == ["1\n", "0\n"]
    monkeypatch.setattr(warm, "_compile", len)  # this process must not send a changed list to others
    monkeypatch.setattr("concurrent.futures.ProcessPoolExecutor", InThisProcess)
    warm.main()
    assert warm._stamp(machine / "cache").exists()
    assert capsys.readouterr().out.startswith("1 of 1 kernels were compiled in ")


def test_a_kernel_that_is_gone_or_takes_other_arguments_is_named_and_the_others_compile(machine, monkeypatch, capsys):
    types = {f"pipeline.mix.packing.{name}": ["int64"] for name in ("_fit", "gone")}
    warm.LIST.write_text(json.dumps(types | json.loads(warm.LIST.read_text())))
    assert warm._compile(["pipeline.mix.packing.gone", "pipeline.mix.packing._fit", "pipeline.nowhere.f"]) == 0
    said = capsys.readouterr().err
    assert [line.split(" was not compiled: ")[0] for line in said.splitlines()] == [
        "note: pipeline.mix.packing.gone", "note: pipeline.mix.packing._fit", "note: pipeline.nowhere.f"
    ]  # fmt: skip


class InThisProcess:
    def __init__(self, n: int, mp_context) -> None:
        assert n >= 1

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass

    map = staticmethod(map)
