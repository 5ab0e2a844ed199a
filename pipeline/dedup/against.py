"""What a mixture is compared with beyond its own sources: earlier runs, and the files of benchmarks."""

from collections.abc import Iterator

from pipeline.config import Mixture, said_sample
from pipeline.dedup.benchmark_items import Benchmarks, open_benchmark
from pipeline.dedup.settings import EarlierRun, signing_of
from pipeline.engine.run_folder import RunFiles
from pipeline.engine.store import open_store
from pipeline.errors import ConfigError, StoreError
from pipeline.schema import SELECT, SIGNATURES


def open_earlier(mixture: Mixture, *, version: int) -> tuple[EarlierRun, ...]:
    """The runs in `against`. `version` is that of the code that signs documents now.

    Raises ConfigError if a run is not finished, or if its signatures were made of other words or by another version.
    """
    found = []
    for entry in mixture.against:
        if entry.kind != "run":
            continue
        run = RunFiles(open_store(entry.path))
        try:
            stages = run.manifest["stages"]
        except StoreError as error:
            raise ConfigError(f"against.{entry.name}: {error}") from error
        signatures, where = stages[SIGNATURES.name], f"against.{entry.name}"
        if signatures["version"] != version:
            raise ConfigError(
                f"{where}: its signatures have version {signatures['version']}, this loopmix makes version {version}, "
                "so they cannot be compared; curate that run again"
            )
        theirs, ours = signing_of(run.mixture.near_dups), signing_of(mixture.near_dups)
        if theirs != ours:
            differing = [k for k in type(ours).model_fields if getattr(ours, k) != getattr(theirs, k)]
            raise ConfigError(
                f"{where}: near_dups.{', near_dups.'.join(differing)} differ from that run's, so its "
                "signatures cannot be compared; give both the same values"
            )
        marks = signatures["fingerprint"], stages[SELECT.name]["fingerprint"]
        found.append(EarlierRun(root=run.store.root, n_shards=run.n_shards, signatures=marks[0], select=marks[1]))
    return tuple(found)


def sampled_earlier(mixture: Mixture) -> Iterator[str]:
    """A line for each run in `against` that holds only a sample of its input. Raises as `open_earlier` does."""
    for entry in mixture.against:
        if entry.kind == "run" and (rate := RunFiles(open_store(entry.path)).mixture.ingest.sample) is not None:
            yield (
                f"against.{entry.name}: that run holds {said_sample(rate)} of its input; nothing is compared with the "
                "rest of it"
            )


def open_benchmarks(mixture: Mixture) -> Benchmarks:
    """The benchmarks in `against` with the files that each consists of."""
    return Benchmarks(sets=tuple(open_benchmark(entry) for entry in mixture.against if entry.kind != "run"))
