"""`make demo`: the whole path on what this machine holds, from its own sources and texts to a judged tiny model.

Collects input, trains a small tokenizer, curates, verifies, trains a PLT of some hundred steps and writes the report
with its curves. Each step is one line of the command `loopmix`, printed before it runs. Run again to go on.
"""

import subprocess
import sys
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
OUT = Path("runs/demo")
# The shipped 76,800 entries would make the head nine tenths of a tiny model's work; of these it is still half.
VOCAB_SIZE = 4_096


def _loopmix(*arguments: str) -> None:
    """Run one subcommand in a process of its own, as a user would type it."""
    click.secho(f"\n$ loopmix {' '.join(arguments)}", bold=True)
    done = subprocess.run([sys.executable, "-m", "pipeline", *arguments], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(done.returncode)


@click.command()
@click.option("--max-mb", default=24, show_default=True, help="Input per pool, in megabytes.")
@click.option("--ray", is_flag=True, help="Curate on a local Ray cluster instead of in one process.")
def main(max_mb: int, ray: bool) -> None:
    """Curate, verify, train and judge a mixture of this machine's own code and text."""
    started = time.monotonic()
    inputs, run, model = OUT / "inputs", OUT / "run", OUT / "model"
    mixture, tokenizer = "mixture_configs/demo.yaml", OUT / "tokenizer.json"
    if not (ROOT / inputs / "complete").exists():
        command = [sys.executable, "-m", "jobs.demo_inputs", "--out", str(inputs), "--max-mb", str(max_mb)]
        click.secho(f"$ {' '.join(['python', *command[1:]])}", bold=True)
        if subprocess.run(command, cwd=ROOT, check=False).returncode:  # noqa: S603
            sys.exit("the inputs could not be collected")
        (ROOT / inputs / "complete").touch()
    if not (ROOT / tokenizer).exists():
        sizes = ("--vocab-size", str(VOCAB_SIZE), "--sample-bytes", "6000000")
        _loopmix("train-tokenizer", mixture, "--out", str(tokenizer), *sizes)
    _loopmix("curate", mixture, "--out", str(run), *(("--ray-address", "local") if ray else ()))
    _loopmix("verify", str(run))
    _loopmix("train", "mixture_configs/train_demo.yaml", "--data", str(run), "--out", str(model))
    _loopmix("export", str(model), "--out", str(OUT / "exported"), "--data", str(run))
    _loopmix("report", str(run), "--model", str(model))
    click.echo(f"\nthe demo took {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main()
