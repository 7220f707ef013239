#!/usr/bin/env python3
"""The CPU path against PyTorch's CPU batch norm, in turns on the same cores.

    cargo build --release --bench cpu       # prints nothing; the binary lies in target/release/deps/cpu-*
    python benches/peers/cpu_against_torch.py [--binary FILE] [--json FILE] [--quick] [--f32] [--rounds 9]

For each shape, layout, dtype and operation the two take turns: a turn is one call that is not counted and some that
are, and counts by its median. Of the turns the median is shown, and of the ratios of neighbouring turns the median and
the range. A ratio above 1 says that PyTorch takes longer. The last ratio is that of the fastest calls of all turns: on
a machine with other work on it, which hits OpenMP's barriers harder than a work-stealing pool, it is the fairer one.
Both sides use their memory again: PyTorch allocates its results, so malloc is told to keep what is freed.

PyTorch's calls are the ones under torch.nn.functional.batch_norm and its gradient: native_batch_norm and
native_batch_norm_backward, without autograd around them.
"""

import argparse
import json
import math
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

# Freed memory stays with the process; has to be set before it starts.
KEEP = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(1 << 40), "MALLOC_TOP_PAD_": str(1 << 26)}

SHAPES = [
    (32, 64, 112, 112),
    (32, 256, 56, 56),
    (32, 512, 28, 28),
    (32, 1024, 14, 14),
    (32, 2048, 7, 7),
    (256, 64, 112, 112),
    (256, 256, 56, 56),
    (256, 512, 28, 28),
    (256, 1024, 14, 14),
    (256, 2048, 7, 7),
    (32, 192, 28, 28),
    (32, 1024, 7, 7),
    (4096, 1024),
]
OPERATIONS = ["training", "inference", "backward"]
LAYOUTS = ["channels_first", "channels_last"]


def find_binary():
    """The newest bench binary that cargo has built."""
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    found = [p for p in (target / "release" / "deps").glob("cpu-*") if p.suffix == "" and os.access(p, os.X_OK)]
    served = []
    for path in sorted(found, key=lambda p: -p.stat().st_mtime):
        # The test of the same name does not know the flag.
        probe = subprocess.run([path, "--serve"], input="", capture_output=True, text=True)
        if probe.returncode == 0 and not probe.stdout:
            served.append(path)
            break
    if not served:
        sys.exit("no bench binary: run `cargo build --release --bench cpu`, or give --binary")
    return served[0]


class Ours:
    def __init__(self, binary, threads):
        environment = dict(os.environ, RAYON_NUM_THREADS=str(threads))
        self.child = subprocess.Popen(
            [binary, "--serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def time(self, shape, operation, dtype, layout, calls):
        print("x".join(map(str, shape)), operation, dtype, layout, calls, file=self.child.stdin, flush=True)
        line = self.child.stdout.readline()
        if not line:
            sys.exit("the bench has ended")
        return [float(ms) for ms in line.split()]


class Torch:
    def __init__(self, torch, shape, dtype, layout):
        self.torch = torch
        kind = {"f32": torch.float32, "f16": torch.float16}[dtype]
        channels = shape[1]
        tensor = lambda: torch.rand(shape).mul_(2).sub_(1).to(kind)
        self.x, self.dy = tensor(), tensor()
        if layout == "channels_last" and len(shape) == 4:
            self.x, self.dy = (t.contiguous(memory_format=torch.channels_last) for t in (self.x, self.dy))
        self.y = torch.empty_like(self.x)
        self.gamma, self.beta, self.variance = (torch.ones(channels) for _ in range(3))
        self.mean = torch.zeros(channels)
        _, self.saved_mean, self.saved_invstd = self.forward(True)

    def forward(self, train):
        return self.torch.native_batch_norm(
            self.x, self.gamma, self.beta, self.mean, self.variance, train, 0.1, 1e-5
        )

    def run(self, operation):
        if operation == "training":
            self.forward(True)
        elif operation == "inference":
            self.forward(False)
        elif operation == "backward":
            self.torch.ops.aten.native_batch_norm_backward(
                self.dy, self.x, self.gamma, self.mean, self.variance, self.saved_mean, self.saved_invstd,
                True, 1e-5, [True, True, True],
            )
        else:
            self.y.copy_(self.x)

    def time(self, operation, calls):
        times = []
        for _ in range(calls + 1):
            start = time.perf_counter()
            self.run(operation)
            times.append((time.perf_counter() - start) * 1e3)
        return times[1:]


def measure(ours, peer, cell, rounds):
    """Turns of both, and of the two copies."""
    shape, operation, dtype, layout = cell
    pause = lambda: time.sleep(0.005)  # OpenMP's threads spin for a while
    calls = 3 if math.prod(shape) > 1 << 26 else 7 if math.prod(shape) > 1 << 23 else 15
    turns = {"ours": [], "torch": [], "copy": []}
    for _ in range(rounds):
        turns["torch"].append(peer.time(operation, calls))
        pause()
        turns["ours"].append(ours.time(shape, operation, dtype, layout, calls))
        turns["copy"].append(ours.time(shape, "copy", dtype, layout, calls))
    medians = {who: [statistics.median(turn) for turn in of] for who, of in turns.items()}
    fastest = {who: min(min(turn) for turn in of) for who, of in turns.items()}
    ratios = sorted(t / o for t, o in zip(medians["torch"], medians["ours"]))
    return {
        "shape": "x".join(map(str, shape)),
        "operation": operation,
        "dtype": dtype,
        "layout": layout,
        **{f"{who}_ms": statistics.median(of) for who, of in medians.items()},
        **{f"{who}_fastest_ms": ms for who, ms in fastest.items()},
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "ratio_of_fastest": fastest["torch"] / fastest["ours"],
        "of_copy_fastest": fastest["ours"] / fastest["copy"],
    }


def geomean(values):
    return math.exp(sum(map(math.log, values)) / len(values))


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", type=pathlib.Path)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="batches of 256 left out")
    parser.add_argument("--f32", action="store_true", help="no f16")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--only", default="", help="cells whose name contains this")
    arguments = parser.parse_args()
    if any(os.environ.get(name) != value for name, value in KEEP.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP})

    import torch

    torch.set_grad_enabled(False)
    threads = torch.get_num_threads()
    ours = Ours(arguments.binary or find_binary(), threads)
    rounds = arguments.rounds
    about = {
        "processor": processor(),
        "threads": threads,
        "torch": torch.__version__,
        "torch_simd": torch.backends.cpu.get_cpu_capability(),
        "rounds": rounds,
        "load_before": os.getloadavg()[0],
    }
    print(f"{about['processor']}, {threads} threads; PyTorch {torch.__version__} ({about['torch_simd']}); "
          f"medians of {rounds} turns; "
          f"load {about['load_before']:.1f} before")
    print(f"`{' '.join(sys.argv[1:])}`\n")
    print("| shape | layout | dtype | operation | ours ms | PyTorch ms | PyTorch / ours | range | fastest | ours / copy |")
    print("|---|---|---|---|--:|--:|--:|---|--:|--:|")
    rows = []
    for shape in SHAPES:
        if arguments.quick and shape[0] == 256:
            continue
        for dtype in ["f32"] if arguments.f32 else ["f32", "f16"]:
            for layout in LAYOUTS if len(shape) == 4 else ["channels_first"]:
                names = ["x".join(map(str, shape)) + f" {layout} {dtype} {op}" for op in OPERATIONS]
                if not any(arguments.only in name for name in names):
                    continue
                peer = Torch(torch, shape, dtype, layout)
                for operation, name in zip(OPERATIONS, names):
                    if arguments.only not in name:
                        continue
                    row = measure(ours, peer, (shape, operation, dtype, layout), rounds)
                    rows.append(row)
                    low, high = row["ratio_range"]
                    print(f"| {row['shape']} | {layout} | {dtype} | {operation} | {row['ours_ms']:.3f} "
                          f"| {row['torch_ms']:.3f} | {row['ratio']:.2f} | {low:.2f} .. {high:.2f} "
                          f"| {row['ratio_of_fastest']:.2f} | {row['of_copy_fastest']:.2f} |", flush=True)
                del peer
    print("\n| cells | | geometric mean | worst | |\n|---|---|--:|--:|---|")
    kinds = [(None, None)] + [(d, o) for d in ("f32", "f16") for o in [None, *OPERATIONS]]
    for dtype, operation in kinds:
        some = [r for r in rows if dtype in (None, r["dtype"]) and operation in (None, r["operation"])]
        for key, name in [("ratio", "medians"), ("ratio_of_fastest", "fastest")] if some else []:
            worst = min(some, key=lambda row: row[key])
            print(f"| {len(some)}, {dtype or 'all'} {operation or ''} | {name} | {geomean([r[key] for r in some]):.2f} "
                  f"| {worst[key]:.2f} | {worst['shape']} {worst['layout']} {worst['dtype']} {worst['operation']} |")
    about["load_after"] = os.getloadavg()[0]
    print(f"\nload {about['load_after']:.1f} after, this program's own threads among it")
    if arguments.json:
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
