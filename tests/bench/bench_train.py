"""Training speed: R = 1 against a plain torch Llama of the same shape, R = 1..4 with MFU and memory, and the loader.

    python tests/bench/bench_train.py                          # the shape of 1 M parameters, on this machine's device
    python tests/bench/bench_train.py --shape 350M --rows 4 --seq-len 8192 --compile --recompute     # a GPU
    python tests/bench/bench_train.py --loader RUN              # tokens per CPU second out of RUN/packed

The peer is written the plain way: nn.Linear, torch's rms_norm, fused causal attention, cross-entropy over all logits,
fused AdamW. Each model trains in a process of its own, so that its peak memory is its own; times are medians over
rounds. Rows are single documents, which is
the most work that masks can leave. MFU counts what `pipeline/plt/flops.py` counts, against the vendor's peak where the
device is known and against this machine's own float32 matrix product where it is not.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.plt.config import ModelConfig, RunConfig
from pipeline.plt.data import open_packed, split_run
from pipeline.plt.flops import count_parameters, flops_per_token, peak_flops
from pipeline.plt.loader import read_step
from pipeline.plt.machine import Machine, choose_backend, choose_machine
from pipeline.plt.model import build_model

_KEYS = ("vocab_size", "n_layers", "hidden_size", "n_heads", "n_kv_heads", "intermediate_size")
SHAPES = {
    name: dict(zip(_KEYS, numbers, strict=True))
    for name, numbers in {
        "1M": (8192, 2, 64, 2, 1, 192),
        "10M": (8192, 6, 256, 4, 2, 768),
        "350M": (76_800, 12, 1024, 8, 4, 4096),
        "1B": (76_800, 14, 2048, 16, 4, 8192),
    }.items()
}


class PlainLayer(nn.Module):
    """What most people would write."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        wide, kv = config.hidden_size, config.n_kv_heads * config.head_dim
        self.n_heads, self.n_kv_heads, self.eps = config.n_heads, config.n_kv_heads, config.norm_eps
        self.norm1, self.norm2 = nn.Parameter(torch.ones(wide)), nn.Parameter(torch.ones(wide))
        self.q, self.k, self.v = (nn.Linear(wide, n, bias=False) for n in (wide, kv, kv))
        self.o = nn.Linear(wide, wide, bias=False)
        self.gate, self.up = (nn.Linear(wide, config.intermediate_size, bias=False) for _ in range(2))
        self.down = nn.Linear(config.intermediate_size, wide, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        y = functional.rms_norm(x, self.norm1.shape, self.norm1, self.eps)
        q, k, v = (p(y).unflatten(-1, (n, -1)).transpose(1, 2) for p, n in self._projections())
        q, k = (self._rotate(t, cos, sin).to(v.dtype) for t in (q, k))
        y = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        x = x + self.o(y.transpose(1, 2).flatten(2))
        y = functional.rms_norm(x, self.norm2.shape, self.norm2, self.eps)
        return x + self.down(functional.silu(self.gate(y)) * self.up(y))

    def _projections(self):
        return ((self.q, self.n_heads), (self.k, self.n_kv_heads), (self.v, self.n_kv_heads))

    def _rotate(self, t: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        a, b = t.chunk(2, dim=-1)
        return t * cos + torch.cat((-b, a), dim=-1) * sin


class PlainLlama(nn.Module):
    def __init__(self, config: ModelConfig, *, seq_len: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(PlainLayer(config) for _ in range(config.n_layers))
        self.norm = nn.Parameter(torch.ones(config.hidden_size))
        self.head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.eps = config.norm_eps
        half = torch.arange(0, config.head_dim, 2) / config.head_dim
        angle = torch.arange(seq_len)[:, None] * config.rope_theta**-half
        angle = torch.cat((angle, angle), dim=-1)
        self.register_buffer("cos", angle.cos(), persistent=False)
        self.register_buffer("sin", angle.sin(), persistent=False)

    def forward(self, tokens: Tensor, documents: Tensor, targets: Tensor) -> Tensor:
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        logits = self.head(functional.rms_norm(x, self.norm.shape, self.norm, self.eps)).float()
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none")


def trainer(model: nn.Module, *, batch: tuple[Tensor, Tensor, Tensor], machine: Machine):
    """A function that makes one update and gives its seconds."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step() -> float:
        started = now(machine)
        optimiser.zero_grad()
        with machine.autocast():
            loss = model(*batch)
        loss.mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        return now(machine) - started

    return step


def now(machine: Machine) -> float:
    if machine.device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def measured_peak(machine: Machine) -> tuple[float, str]:
    """FLOPs per second that MFU is a part of, and where the number is from."""
    known = peak_flops(machine.name())
    if known:
        return known, f"{known / 1e12:.0f} TFLOP/s, vendor's dense bfloat16 peak of {machine.name()}"
    a, b = (torch.randn(1536, 1536) for _ in range(2))
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    found = 2 * 1536**3 / min(seconds)
    return found, f"{found / 1e9:.0f} GFLOP/s, best float32 matrix product here with {torch.get_num_threads()} threads"


def make_step(args: argparse.Namespace, name: str, *, machine: Machine):
    """The configuration and one update of the model called `name`: "plain", or the number of loops."""
    tokens = torch.randint(0, SHAPES[args.shape]["vocab_size"], (args.rows, args.seq_len + 1)).to(machine.device)
    documents = torch.arange(args.seq_len).expand(args.rows, -1).to(machine.device) // args.doc_tokens
    batch = (tokens[:, :-1].contiguous(), documents, tokens[:, 1:].contiguous())
    config = ModelConfig(**SHAPES[args.shape], n_loops=1 if name == "plain" else int(name))
    model: nn.Module = PlainLlama(config, seq_len=args.seq_len) if name == "plain" else build_model(config, seed=0)
    model.to(machine.device)
    if name != "plain":
        run = RunConfig(device=args.device, attention=args.attention)
        model.model.backend = choose_backend(run, model=config, machine=machine)
        model.model.recompute_layers = {"none": False, "selective": "selective", "all": True}[args.recompute]
        if args.compile:
            model.model.query_block = None
    if args.compile:
        for layer in model.layers if name == "plain" else model.model.layers:
            layer.compile()
    return config, trainer(model, batch=batch, machine=machine)


def bench_one(args: argparse.Namespace, name: str) -> dict[str, object]:
    """Step time and peak memory of one model, which this process holds alone."""
    machine = choose_machine(RunConfig(device=args.device))
    config, step = make_step(args, name, machine=machine)
    step(), step()
    if machine.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    seconds = statistics.median(step() for _ in range(args.rounds))
    on_cuda = machine.device.type == "cuda"
    peak_bytes = (
        torch.cuda.max_memory_allocated() if on_cuda else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    )
    forward = flops_per_token(config, mean_context=(min(args.doc_tokens, args.seq_len) + 1) / 2)
    # Layers are computed twice where all is recomputed; the head never is, and selective repeats no product.
    again = forward - 2 * config.vocab_size * config.hidden_size if args.recompute == "all" and name != "plain" else 0.0
    peak, source = measured_peak(machine)
    n_tokens = args.rows * args.seq_len
    return {
        "n_parameters": count_parameters(config),
        "seconds": seconds,
        "mfu": 3 * forward * n_tokens / seconds / peak,
        "hfu": (3 * forward + again) * n_tokens / seconds / peak,
        "gib": peak_bytes / 2**30,
        "machine": f"{machine.name()}, {machine.dtype}, torch {torch.__version__}; peak: {source}",
    }


def bench_models(args: argparse.Namespace, argv: list[str]) -> dict[str, dict]:
    """`bench_one` for each model in a process of its own, so that no model's memory is another's."""
    found = {}
    for name in ("plain", *map(str, args.loops)):
        command = [sys.executable, __file__, *argv, "--one", name]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{name}: exit {done.returncode}\n{done.stderr[-3000:]}")
        found[name] = json.loads(done.stdout.splitlines()[-1])
    return found


def print_table(args: argparse.Namespace, found: dict[str, dict]) -> None:
    first = found.get("1", found["plain"])
    print(
        f"{args.shape}, {args.rows} rows of {args.seq_len}, {found['plain']['machine']}; recomputed: {args.recompute}"
    )
    print(
        f"{'':8}{'parameters':>14}{'step ms':>10}{'tokens/s':>12}{'MFU':>8}{'HFU':>8}{'x R = 1':>9}{'x plain':>9}"
        f"{'GiB':>8}{'x R = 1':>9}"
    )
    for name, of in found.items():
        seconds = of["seconds"]
        print(
            f"{name if name == 'plain' else f'R = {name}':8}{of['n_parameters']:>14,}{seconds * 1e3:>10.1f}"
            f"{args.rows * args.seq_len / seconds:>12,.0f}{of['mfu']:>8.1%}{of['hfu']:>8.1%}"
            f"{seconds / first['seconds']:>9.2f}{found['plain']['seconds'] / seconds:>9.2f}"
            f"{of['gib']:>8.2f}{of['gib'] / first['gib']:>9.2f}"
        )
    print("x R = 1: over that of R = 1. x plain: speed over the peer's. HFU: MFU with what is recomputed counted too.")
    print("GiB: peak of the device, or on the CPU of the whole process.")


def bench_loader(run: Path, *, n_rows: int) -> None:
    """Tokens per CPU second of one reading thread, from the map to tensors."""
    split = split_run(open_packed(run), n_held_out=1, n_read=0)
    rates = []
    for repeat in range(5):
        started, n_tokens = time.process_time(), 0
        for step in range(repeat * 40, repeat * 40 + 40):
            batch = read_step(split, start=step * n_rows, n_sequences=n_rows, n_rows=n_rows)
            n_tokens += sum(batch.n_tokens.values())
        rates.append(n_tokens / (time.process_time() - started))
    print(
        f"loader: {statistics.median(rates) / 1e6:,.0f} M tokens per CPU second, {n_rows} rows of {split.run.seq_len}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=SHAPES, default="1M")
    parser.add_argument("--rows", type=int, default=4)
    parser.add_argument("--seq-len", type=int, default=512)
    parser.add_argument("--doc-tokens", type=int, default=10**9, help="of a document; the peer knows none")
    parser.add_argument("--loops", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--compile", action="store_true", help="torch.compile each layer, the peer's too")
    parser.add_argument(
        "--recompute", choices=("none", "selective", "all"), default="none", nargs="?", const="all", help="of ours"
    )
    parser.add_argument("--attention", choices=("auto", "sdpa", "flex", "varlen"), default="auto")
    parser.add_argument("--one", help="of one model, as a line of JSON: what the other processes run")
    parser.add_argument("--loader", type=Path, help="a finished run: measure the loader instead")
    args = parser.parse_args()
    if args.loader:
        bench_loader(args.loader, n_rows=args.rows)
    elif args.one:
        print(json.dumps(bench_one(args, args.one)))
    else:
        print_table(args, bench_models(args, sys.argv[1:]))


if __name__ == "__main__":
    main()
