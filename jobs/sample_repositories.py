"""Files of public repositories to learn languages from: `python -m jobs.sample_repositories --help`.

One table for each repository, columns `path` and `content`, as `jobs.classifier_samples.repositories` reads them. Files
are chosen by a keyed hash of repository and path, so that the same commits give the same tables.
"""

import re
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import click
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.classifier_samples import MIN_BYTES, key

MAX_BYTES = 300_000  # of a file: larger ones are mostly generated or data
KEPT_BYTES = 60_000  # of its content: training sees the first 8 kB and pieces from further on
# Files of one extension from one repository; of common ones fewer, because every repository has some.
MAX_FILES, MAX_COMMON_FILES = 70, 25
COMMON = frozenset(
    ("c", "cc", "cpp", "cs", "css", "go", "h", "hpp", "html", "java", "js", "json", "jsx", "kt", "md", "mdx", "php",
     "py", "rb", "rs", "sh", "swift", "ts", "tsx", "xml", "yaml", "yml")
)  # fmt: skip
# Other people's code, and what a build wrote: a repository's label for it would count them twice.
FOREIGN = re.compile(
    r"(?:^|/)(?:node_modules|bower_components|vendors?|third[_-]?party|3rdparty|externals?|extern|deps|dist|pods"
    r"|submodules|generated|gen-[a-z]+)/|[.-]min\.",
    re.IGNORECASE,
)


@click.command(help=__doc__)
@click.argument("repositories", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the tables.")
def main(repositories: tuple[Path, ...], out: Path) -> None:
    """REPOSITORIES are checkouts or bare repositories, whose folders' names become the tables' names."""
    out.mkdir(parents=True, exist_ok=True)
    for repository in repositories:
        files = sampled(repository)
        columns = {"path": list(files), "content": pa.array(list(files.values()), pa.binary())}
        pq.write_table(pa.table(columns), out / f"{repository.name}.parquet", compression="zstd")
        click.echo(f"{repository.name}: {len(files):,} files")


def sampled(repository: Path) -> dict[str, bytes]:
    """Contents by path, of the newest commit."""
    listing = _git(repository, "ls-tree", "-r", "-l", "-z", "HEAD")
    found: dict[str, list[tuple[int, str, str]]] = defaultdict(list)
    for row in filter(None, listing.split(b"\0")):
        (mode, kind, blob, size), path = row.partition(b"\t")[0].decode().split(), row.partition(b"\t")[2].decode()
        if kind != "blob" or mode == "120000" or not size.isdigit() or FOREIGN.search(path):  # a size may be missing
            continue
        name = path.rpartition("/")[2]
        if MIN_BYTES <= int(size) <= MAX_BYTES:
            found[name.rpartition(".")[2].lower()].append((key(repository.name + path), blob, path))
    chosen = sorted(
        (path, blob)
        for extension, rows in found.items()
        for _, blob, path in sorted(rows)[: MAX_COMMON_FILES if extension in COMMON else MAX_FILES]
    )
    contents = zip((path for path, _ in chosen), _blobs(repository, [blob for _, blob in chosen]), strict=True)
    return {path: content[:KEPT_BYTES] for path, content in contents if b"\0" not in content[:KEPT_BYTES]}


def _blobs(repository: Path, names: list[str]) -> Iterator[bytes]:
    """Contents of objects: each stands behind a line `name type size`, and before a newline."""
    answer, at = _git(repository, "cat-file", "--batch", given="".join(name + "\n" for name in names)), 0
    for _ in names:
        start = answer.index(b"\n", at) + 1
        at = start + int(answer[at:start].split()[2]) + 1
        yield answer[start : at - 1]


def _git(repository: Path, *arguments: str, given: str = "") -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, input=given.encode(), stdout=subprocess.PIPE).stdout  # noqa: S603 (no shell)


if __name__ == "__main__":
    main()
