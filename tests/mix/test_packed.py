from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from handmade import CountingExecutor, ShuffledExecutor, balancing, digests, make_run, run_stage
from test_balance import CASES, fill

from pipeline.engine import exchange
from pipeline.engine.exchange import Channel
from pipeline.engine.executor import Executor
from pipeline.engine.markers import Marker, WorkStep, write_marker
from pipeline.engine.store import open_store
from pipeline.engine.tables import Tables
from pipeline.errors import StageError, StoreError
from pipeline.mix.balance import balance
from pipeline.mix.packed import pack
from pipeline.mix.piece_ids import MappedIds, RoutedIds
from pipeline.mix.placing import SegmentedStream, add_up, begin, number_pieces
from pipeline.mix.settings import Packing
from pipeline.schema import BALANCE, LANGUAGES, TOKENS
from pipeline.targets import Balance, Pack

PAD = 4_000_000


def packed(
    folder: Path | str, *, config: Pack, ratio: Balance, executor: Executor | None = None, scale: int = 50
) -> Tables:
    run = make_run(folder, executor=executor)
    tables = fill(run, scale=scale)
    run_stage(run, "balance", balance, config=balancing(ratio), n_shards=4)
    parts = {"code_parts": ratio.code.parts, "text_parts": ratio.text.parts}
    packing = Packing(**dict(config), **parts, pad_id=PAD)
    run_stage(run, "packed", pack, config=packing, n_shards=4)
    return tables


def stream(folder: Path) -> pa.Table:
    files = sorted((folder / "packed").glob("*.arrow"))
    return pa.concat_tables(pa.ipc.open_file(pa.memory_map(str(f))).read_all() for f in files)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seq_len", [8, 33])
def test_every_token_lies_where_it_belongs(tmp_path: Path, name: str, seq_len: int) -> None:
    config, ratio = Pack(seq_len=seq_len, n_shards=3, n_partitions=2), CASES[name]
    tables = packed(tmp_path, config=config, ratio=ratio)
    plan = {
        r["doc_id"]: r | {"ids": t["token_ids"], "group": g["group"]}
        for s in range(4)
        for r, t, g in zip(*(tables.read(x, s).to_pylist() for x in (BALANCE, TOKENS, LANGUAGES)), strict=True)
    }
    covered: dict[str, list[int]] = {}
    surplus = 0
    for row in stream(tmp_path).to_pylist():
        cu, n_real = row["cu_seqlens"], row["n_real"]
        assert cu[0] == 0
        assert cu[-1] == n_real
        assert len(cu) - 1 == len(row["doc_ids"]) == len(row["doc_offsets"]) == len(row["groups"])
        assert row["token_ids"][n_real:] == [PAD] * (seq_len - n_real)
        for j, (doc, offset) in enumerate(zip(row["doc_ids"], row["doc_offsets"], strict=True)):
            piece = row["token_ids"][cu[j] : cu[j + 1]]
            assert piece == plan[doc]["ids"][offset : offset + len(piece)] != []
            assert row["groups"][j] == plan[doc]["group"]
            covered.setdefault(doc, []).extend(range(offset, offset + len(piece)))
        surplus += n_real * (ratio.text.parts if row["pool"] == "code" else -ratio.code.parts)
        assert abs(surplus) <= seq_len * max(ratio.code.parts, ratio.text.parts)
    assert surplus == 0
    for doc, row in plan.items():
        wanted = list(range(row["n_tokens"])) * row["n_copies"] + list(range(row["cut_tokens"]))
        assert sorted(covered.get(doc, [])) == sorted(wanted)


def test_shards_are_contiguous_slices_of_one_stream(tmp_path: Path) -> None:
    packed(tmp_path / "one", config=Pack(seq_len=16, n_shards=1, n_partitions=2), ratio=Balance())
    packed(tmp_path / "many", config=Pack(seq_len=16, n_shards=7, n_partitions=2), ratio=Balance())
    assert stream(tmp_path / "one").to_pylist() == stream(tmp_path / "many").to_pylist()
    assert len(list((tmp_path / "many/packed").glob("*.arrow"))) == 7


def test_more_shards_than_sequences_leave_readable_empty_shards(tmp_path: Path) -> None:
    packed(tmp_path, config=Pack(seq_len=4096, n_shards=9, n_partitions=1), ratio=Balance(total_tokens=10))
    assert stream(tmp_path).num_rows == 2


def test_bytes_do_not_depend_on_the_order_of_work(tmp_path: Path) -> None:
    config = Pack(seq_len=32, n_shards=3, n_partitions=3)
    packed(tmp_path / "a", config=config, ratio=Balance())
    packed(tmp_path / "b", config=config, ratio=Balance(), executor=ShuffledExecutor(9))
    assert digests(tmp_path / "a/packed") == digests(tmp_path / "b/packed")


def test_long_documents_do_not_gather_at_the_start_of_the_stream(tmp_path: Path) -> None:
    packed(tmp_path, config=Pack(seq_len=64, n_shards=1, n_partitions=1), ratio=Balance(), scale=64)
    longest = [max(np.diff(cu)) for cu in stream(tmp_path)["cu_seqlens"].to_pylist()]
    half = len(longest) // 2
    assert half > 10
    assert abs(np.mean(longest[:half]) - np.mean(longest[half:])) < 12


def test_shards_open_with_datasets(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    packed(tmp_path, config=Pack(seq_len=32, n_shards=2, n_partitions=1), ratio=Balance())
    first = stream(tmp_path).slice(0, 1).to_pylist()[0]
    name = sorted((tmp_path / "packed").glob("*.arrow"))[0]
    assert datasets.Dataset.from_file(str(name))[0] == first


def test_a_shard_is_a_stream_and_a_file_and_maps_memory(tmp_path: Path) -> None:
    packed(tmp_path, config=Pack(seq_len=32, n_shards=1, n_partitions=1), ratio=Balance())
    name = str(next((tmp_path / "packed").glob("*.arrow")))
    before = pa.total_allocated_bytes()
    as_file = pa.ipc.open_file(pa.memory_map(name)).read_all()
    as_stream = pa.ipc.open_stream(pa.memory_map(name)).read_all()
    assert pa.total_allocated_bytes() - before < 10_000
    assert as_file.equals(as_stream)
    as_file.validate(full=True)
    assert as_file.num_rows > 10


@pytest.mark.parametrize("fan_in", [2, 64])
def test_ids_that_travel_make_the_same_bytes_as_ids_that_are_mapped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fan_in: int
) -> None:
    """On a server's disk a million slices would be a million requests; there shards of ids are cut and sent."""
    monkeypatch.setattr(exchange, "FAN_IN", fan_in)
    config, ratio = Pack(seq_len=32, n_shards=3, n_partitions=2), CASES["copies"]
    packed(tmp_path / "mapped", config=config, ratio=ratio)
    root = f"memory://{tmp_path.name}"
    packed(root, config=config, ratio=ratio)
    store = open_store(root)
    names = sorted(store.files("packed"))
    assert names == sorted(p.name for p in (tmp_path / "mapped/packed").iterdir())
    for name in names:
        assert store.read_bytes(f"packed/{name}") == (tmp_path / "mapped/packed" / name).read_bytes()


def test_ids_that_arrived_are_those_that_were_asked_for(tmp_path: Path) -> None:
    store = open_store(str(tmp_path))
    routed = Channel(store, WorkStep("packed", "m", "tokens"), "tokens", 2, 1)
    for shard, ids in enumerate(([[1, 2], [3]], [[4, 5, 6]])):
        table = pa.table({"ids": pa.array(ids, pa.large_list(pa.uint32()))})
        entry = routed.scatter(shard, table, partition=np.zeros(len(ids), np.int64))
        write_marker(store, routed.step, shard, marker=Marker((entry,), {}, None, 0.0))
    row = np.zeros(2, np.int64)

    def taken(*lengths: list[int]) -> list[list[int]]:
        arrived, found = RoutedIds(routed).of(0), []
        for shard, length in enumerate(lengths):
            values, first = arrived.slices(shard, row, row, np.array(length))
            found += [values[a : a + n].tolist() for a, n in zip(first, length, strict=True)]
        return found

    assert taken([2, 1], [3]) == [[1, 2], [3], [4, 5, 6]]
    for lengths in ([2, 1], [4]), ([2, 2], [3]), ([2, 1], [3, 1]):
        with pytest.raises(StoreError, match=r"packed shard 0: ids of shard . are not those asked for"):
            taken(*lengths)


@pytest.mark.parametrize("damage", ["flip", "fewer", "others"])
def test_tokens_that_were_damaged_since_are_never_packed(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path)
    tables = fill(run)
    run_stage(run, "balance", balance, config=balancing(Balance()), n_shards=4)
    path = run.store.full(tables.path(TOKENS, 2))
    if damage == "flip":
        good = Path(path).read_bytes()
        place = good.index(np.arange(1, 5, dtype=np.uint32).tobytes())
        Path(path).write_bytes(good[:place] + b"\xff" + good[place + 1 :])
    else:  # sound, but of other documents than were balanced
        found = tables.read(TOKENS, 2)
        other = found.slice(1) if damage == "fewer" else found.take(pa.array(range(found.num_rows)[::-1]))
        run.store.write_mapped(tables.path(TOKENS, 2), other, schema=TOKENS.schema)
    packing = Packing(seq_len=16, n_shards=1, n_partitions=1, code_parts=1, text_parts=1, pad_id=PAD)
    with pytest.raises(StoreError, match=r"tokens/part-00002-of-00004\.arrow: (is missing or damaged|does not hold)"):
        run_stage(run, "packed", pack, config=packing, n_shards=4)
    assert not (tmp_path / "packed").exists()


@pytest.mark.parametrize(("row", "offset", "length"), [(3, 0, 1), (0, -1, 1), (0, 2, 2), (1, 0, 1)])
def test_no_slice_leads_out_of_its_document(tmp_path: Path, row: int, offset: int, length: int) -> None:
    tables = Tables(open_store(str(tmp_path)), 1)
    rows = [{"doc_id": f"{i}", "token_ids": ids, "n_tokens": len(ids or [])} for i, ids in enumerate(([1, 2, 3], None))]
    tables.write(TOKENS, 0, data=pa.Table.from_pylist(rows, schema=TOKENS.schema))
    ids = MappedIds(tables)
    values, first = ids.slices(0, np.array([0]), np.array([1]), np.array([2]))
    assert values[first[0] : first[0] + 2].tolist() == [2, 3]
    with pytest.raises(StoreError, match="does not hold the documents"):
        ids.slices(0, np.array([row]), np.array([offset]), np.array([length]))


def numbering(folder: Path, *pools: list[int]) -> None:
    """Number the sequences of two pools with these tokens, each a segment, as if `segment` and `fill` had made them."""
    config = Packing(seq_len=16, n_shards=1, n_partitions=1, code_parts=1, text_parts=1, pad_id=PAD)
    store = open_store(str(folder))
    made, filled, begun, place = (WorkStep("packed", "m", name) for name in ("segment", "fill", "begin", "number"))
    per_source, by_segment = {"n_partitions": 1, "by_source": True}, {"n_partitions": 2, "by_source": True}
    stream = SegmentedStream(
        Channel(store, made, "segment", 2, **per_source),
        Channel(store, filled, "fill", 2, **by_segment),
        Channel(store, made, "segment-sizes", 2, **per_source),
        Channel(store, filled, "fill-sizes", 2, **by_segment),
        Channel(store, begun, "begin", 1, 2),
        config,
    )
    sums, filled_sums = Channel(store, made, "segment-sums", 2, 1), Channel(store, filled, "fill-sums", 2, 1)
    for segment, n_real in enumerate(pools):
        for n, step, files in (
            (n_real, made, (stream.fitted, stream.sizes, sums)),
            ([], filled, (stream.filled, stream.filled_sizes, filled_sums)),
        ):
            held, of = np.array(n, np.int64), np.full(len(n), 0 if step == made else segment)
            pieces = pa.table({"sequence": np.arange(held.size)})
            entries = (
                files[0].scatter(segment, pieces, partition=of),
                files[1].scatter(segment, pa.table({"n_real": held}), partition=of),
                add_up(files[2], segment, np.full(held.size, segment), held),
            )
            write_marker(store, step, segment, marker=Marker(entries, {}, None, 0.0))
    begin_at = begin(sums, filled_sums, stream.beginnings, config, 0, None)
    write_marker(store, begun, 0, marker=Marker(begin_at.files, {}, None, 0.0))
    for segment in range(2):
        number_pieces(stream, Channel(store, place, "number", 2, 1), None, 9, segment, None)


@pytest.mark.parametrize(
    ("code", "text"),
    [([16, 16], [16]), ([17], [17])],
    ids=["totals differ", "a prefix is off by more than a sequence"],
)
def test_a_stream_that_breaks_the_balance_is_never_written(tmp_path: Path, code: list[int], text: list[int]) -> None:
    """Neither can come from `balance` and `segment`; should one fail, this stops the run before a token moves."""
    with pytest.raises(StageError, match=r"pack: (code 32 and text 16 tokens|a prefix is off by 17 tokens)"):
        numbering(tmp_path, code, text)
    assert not list(tmp_path.glob("packed/*"))
    numbering(tmp_path / "sound", [16, 16], [16, 16])


def test_no_task_holds_the_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a task takes follows from the size of a segment; the one that sees all takes a row or two for each."""
    n, holding = 32, CountingExecutor(monkeypatch)
    packed(tmp_path, config=Pack(seq_len=8, n_shards=n, n_partitions=n), ratio=Balance(), executor=holding, scale=800)
    n_rows = stream(tmp_path).num_rows + sum(map(len, stream(tmp_path)["doc_ids"]))
    assert {"packed.segment", "packed.begin", "packed.number", "packed"} <= set(holding.most)
    assert holding.most["packed.begin"] <= 4 * n < n_rows / 32
    # Its pieces, its sizes twice, those of some of the other pool's segments.
    assert holding.most["packed.number"] <= 5 * n_rows / n
