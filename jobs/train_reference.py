"""Make the reference that `loopmix validate` compares runs with: from a good mixture of real documents.

    python -m jobs.train_reference MIXTURE.yaml --out DIR
    python -m jobs.train_reference MIXTURE.yaml --out DIR --install     # into the package

MIXTURE names its tokenizer as DIR/tokenizer.json; it is trained first. Every step is a command of Loopmix, run again to
go on: train-tokenizer, curate, train. Then pairs of tokens are counted, and on a sample of each group's documents how
often each sign of ruin occurs and what order is worth to the model. Same input, same bytes.
"""

import shutil
import subprocess
import sys
from pathlib import Path

import click
import yaml
import zstandard

from pipeline.plt import inspect_run, reference
from pipeline.plt.data import open_packed
from pipeline.plt.weights import WEIGHTS_NAME
from pipeline.ruin import healthy, pairs
from pipeline.ruin.count import count_pairs, count_signs

ROOT = Path(__file__).resolve().parent.parent
VOCAB_SIZE = 4_096  # small, so that a table of its pairs and a model of it are a few megabytes
SAMPLE_BYTES = 24_000_000
PAIR_PRIOR = 4.0  # pairs that are rarer than this are hardly counted: they would be the names of one project
SEED = 5
# A plain model (one loop): a second one would cost half as much again and tell no more about other people's text.
TRAINING = {
    "model": {
        "vocab_size": VOCAB_SIZE, "n_layers": 3, "hidden_size": 96, "n_heads": 3, "n_kv_heads": 1,
        "intermediate_size": 288, "n_loops": 1, "init_std": 0.07,
    },
    "optimiser": {"n_steps": 1_600, "peak_lr": 0.005, "beta2": 0.99},
    "data": {"sequences_per_step": 4, "n_held_out_sequences": 200},
    "eval": {"every_steps": 800, "min_group_tokens": 500},
    "run": {"seed": SEED, "checkpoint_every_steps": 250, "n_threads": 1},
}  # fmt: skip


def _loopmix(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pipeline", *arguments], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode not in (0, 3):  # 3: a verdict, which is not asked here
        sys.exit(done.returncode)


@click.command()
@click.argument("mixture", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False))
@click.option("--install", is_flag=True, help="Also put the four files where the package reads them.")
def main(mixture: Path, out: Path, install: bool) -> None:
    """Train the reference on MIXTURE and write its files into OUT/reference."""
    out, made = out.resolve(), out.resolve() / "reference"
    made.mkdir(parents=True, exist_ok=True)
    tokenizer = out / "tokenizer.json"
    if not tokenizer.exists():
        sizes = ("--vocab-size", str(VOCAB_SIZE), "--sample-bytes", str(SAMPLE_BYTES))
        _loopmix("train-tokenizer", str(mixture), "--out", str(tokenizer), *sizes)
    _loopmix("curate", str(mixture), "--out", str(out / "run"))
    training = out / "train.yaml"
    training.write_text(yaml.safe_dump(TRAINING), encoding="utf-8")
    _loopmix("train", str(training), "--data", str(out / "run"), "--out", str(out / "model"))
    blocks = open_packed(out / "run").blocks
    steps = pairs.build_steps(count_pairs(blocks, vocab_size=VOCAB_SIZE, seed=SEED), prior=PAIR_PRIOR)
    press = zstandard.ZstdCompressor(level=15).compress
    (made / pairs.PAIRS_FILE).write_bytes(press(steps.tobytes()))
    (made / pairs.TOKENIZER_FILE).write_bytes(press(tokenizer.read_bytes()))
    reference.write_small(out / "model", made)
    documents, measured, gaps = inspect_run.measure_healthy(out / "run", made, seed=SEED)
    (made / healthy.TABLE_FILE).write_text(count_signs(documents, measured, gaps), encoding="utf-8")
    for path in sorted(made.iterdir()):
        click.echo(f"{path.name}: {path.stat().st_size:,} bytes")
    if install:
        _install(made)


def _install(made: Path) -> None:
    """Copy what was made into the package."""
    data = ROOT / "pipeline" / "ruin" / "data"
    for name in (pairs.PAIRS_FILE, pairs.TOKENIZER_FILE, healthy.TABLE_FILE):
        shutil.copy(made / name, data / name)
    for path in (made / WEIGHTS_NAME, made / "config.json"):
        shutil.copy(path, ROOT / "pipeline" / "plt" / "reference_model" / path.name)


if __name__ == "__main__":
    main()
