"""Train the content classifier again: `python -m jobs.train_classifier --help`.

Writes the weights that `pipeline/language/classifier.py` reads, and prints how often they are right on the held-out
files. A few minutes on one core; the same inputs give the same bytes.
"""

from collections import Counter, defaultdict
from pathlib import Path

import click
import numpy as np

from jobs import classifier_samples
from jobs import learn_classifier as learn
from jobs.classifier_samples import MAX_OTHER, MAX_PER_ORIGIN, Sample, key
from pipeline.language.classes import CLASSES, OTHER
from pipeline.language.classifier import Floats, Model, sums
from pipeline.language.shares import PAPER_LANGUAGES
from pipeline.language.tokens import slots_of

SKETCH, MAX_SHARED = 64, 0.6  # smallest feature hashes of a document, and the part of them that makes a copy
TUNED_ON = ("linguist", "smola", "smola-h", "rosetta", "sampleprog")  # files that are not in the trees

existing = click.Path(path_type=Path, exists=True)


@click.command(help=__doc__)
@click.option("--labelled", required=True, type=existing, help="Folder of labelled files with their manifest.")
@click.option("--corpus", required=True, type=existing, help="Folder of the code corpus; its cache is read.")
@click.option("--texts", required=True, type=existing, help="Folder of prose in parquet.")
@click.option(
    "--repositories", type=existing, help="Folder of parquet tables, one for each public repository: path, content."
)
@click.option("--archive", "archives", multiple=True, type=existing, help="Tar archive with more code; repeatable.")
@click.option(
    "--without", multiple=True, help="Kind of sample not to train on, to see what its files teach the others."
)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="File to write.")
def main(
    labelled: Path,
    corpus: Path,
    texts: Path,
    repositories: Path | None,
    archives: tuple[Path, ...],
    without: tuple[str, ...],
    out: Path,
) -> None:
    samples = [*classifier_samples.labelled(labelled), *classifier_samples.corpus(corpus)]
    samples += classifier_samples.texts(texts)
    samples += classifier_samples.repositories(repositories) if repositories else []
    for file in archives:
        samples += [*classifier_samples.archive(file), *classifier_samples.snippets(file)]
    dev = [sample for sample in samples if sample.split == "dev"]
    known = [s for s in samples if s.split == "train" and s.origin not in without]
    train = limited(without_copies(known, dev))
    click.echo(f"{len(train):,} to train on, {len(dev):,} held out: {dict(Counter(s.origin for s in train))}")
    thin = sorted((n, name) for name, n in Counter(s.label for s in train).items() if n < 30)
    click.echo(f"thin: {', '.join(f'{name} {n}' for n, name in thin)}")
    tuning = [s for s in train if s.origin in TUNED_ON and content_key(s) % 8 == 0]
    rest = [s for s in train if not (s.origin in TUNED_ON and content_key(s) % 8 == 0)]
    model = fit(rest)
    temperature = tune(model, tuning)
    click.echo(f"temperature {temperature}, from {len(tuning):,} files that the model has not seen")
    model = model._replace(temperature=np.float32(temperature))
    learn.save(model, out)
    click.echo(f"{out}: {out.stat().st_size:,} bytes")
    report(model, dev)


def content_key(sample: Sample) -> int:
    return key(sample.label + str(len(sample.content)) + sample.content[:200].decode("latin-1"))


def limited(samples: list[Sample]) -> list[Sample]:
    """The samples in keyed order, of one class at most MAX_PER_ORIGIN (OTHER: MAX_OTHER) from each kind of input."""
    used: Counter[str] = Counter()
    kept = []
    for sample in sorted(samples, key=content_key):
        used[sample.label + sample.origin] += 1
        if used[sample.label + sample.origin] <= (MAX_OTHER if sample.label == OTHER else MAX_PER_ORIGIN):
            kept.append(sample)
    return kept


def without_copies(train: list[Sample], dev: list[Sample]) -> list[Sample]:
    """`train` less what nearly equals a held-out file: documents that share most of their smallest hashes."""
    features = learn.count([sample.content for sample in dev + train])
    sketches = [
        np.sort(scrambled(features.columns[start:stop]))[:SKETCH]
        for start, stop in zip(features.bounds[:-1], features.bounds[1:], strict=True)
    ]
    found: dict[int, list[int]] = defaultdict(list)
    for d, sketch in enumerate(sketches[: len(dev)]):
        for value in sketch.tolist():
            found[value].append(d)
    holders = {value: np.array(documents) for value, documents in found.items()}
    kept = []
    for sample, sketch in zip(train, sketches[len(dev) :], strict=True):
        shared = [holders[value] for value in sketch.tolist() if value in holders]
        if not shared or np.bincount(np.concatenate(shared)).max() < MAX_SHARED * len(sketch):
            kept.append(sample)
    click.echo(f"{len(train) - len(kept):,} near copies of held-out files are left out")
    return kept


def scrambled(
    columns: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return (columns * 0x9E3779B1) & 0xFFFFFFFF


def fit(samples: list[Sample]) -> Model:
    labels, groups = [CLASSES.index(sample.label) for sample in samples], [sample.group for sample in samples]
    trained = learn.train([s.content for s in samples], labels, n_classes=len(CLASSES), groups=groups)
    return Model(CLASSES, trained.keys, trained.table, np.float32(trained.scale), trained.bias, np.float32(1))


def logits_of(model: Model, samples: list[Sample]) -> Floats:
    heads = [sample.content[: learn.MAX_BYTES] for sample in samples]
    return sums(model, heads, slots=slots_of(model.keys))[0]


def tune(model: Model, samples: list[Sample]) -> float:
    """The temperature under which the labels are likeliest."""
    logits = logits_of(model, samples)
    labels = [model.classes.index(sample.label) for sample in samples]

    def loss(temperature: float) -> float:
        scaled = logits / temperature
        scaled -= scaled.max(axis=1, keepdims=True)
        return float(np.mean(np.log(np.exp(scaled).sum(axis=1)) - scaled[np.arange(len(labels)), labels]))

    return min((round(0.5 + i / 20, 2) for i in range(51)), key=loss)


def report(model: Model, dev: list[Sample]) -> None:
    """Accuracy and macro-F1 over the paper's languages, any class allowed as the answer."""
    found = np.array(model.classes)[logits_of(model, dev).argmax(axis=1)]
    for origin in ("all", *sorted({sample.origin for sample in dev})):
        rows = [(s.label, name) for s, name in zip(dev, found.tolist(), strict=True) if origin in ("all", s.origin)]
        rows = [row for row in rows if row[0] in PAPER_LANGUAGES]
        if rows:
            right, said, there = (
                Counter(names) for names in ([a for a, b in rows if a == b], [b for _, b in rows], [a for a, _ in rows])
            )
            f1 = np.mean([2 * right[name] / (said[name] + n) for name, n in there.items()])
            click.echo(f"  {origin:10} {len(rows):5}  accuracy {right.total() / len(rows):.3f}  macro-F1 {f1:.3f}")


if __name__ == "__main__":
    main()
