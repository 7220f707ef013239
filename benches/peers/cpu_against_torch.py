#!/usr/bin/env python3
"""The CPU path against PyTorch's CPU batch norm: in one process, on the same tensors, in turns.

    cargo build --release -p cpu-peer
    python benches/peers/cpu_against_torch.py [--json FILE] [--quick] [--dtype f32] [--rounds 21] [--default-malloc]

For each shape, layout, dtype and operation the two take turns: a turn is one call that is not counted and some that
are, and counts by its median. Of the turns the median is shown, and of the ratios of neighbouring turns the median and
the range. A ratio above 1 says that PyTorch takes longer. The ratio of the fastest calls of all turns is less
disturbed by other work on the machine. The last column is ours beside a copy by the same threads.

x and dy are one tensor for both. PyTorch allocates its results, ours are written where the caller says. glibc gives large
results back to the system when they are freed, and gets them anew, page by page, which takes a multiple of
the batch norm's time: so it is told to keep them, unless by --default-malloc PyTorch is to run as it is installed.

PyTorch's calls are the ones under torch.nn.functional.batch_norm and its gradient: native_batch_norm and
native_batch_norm_backward, without autograd around them. Before a cell is timed, results of both are compared.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import platform
import statistics
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


def library():
    root = pathlib.Path(__file__).resolve().parents[2]
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", root / "target"))
    for name in ["libcpu_peer.so", "libcpu_peer.dylib", "cpu_peer.dll"]:
        if (target / "release" / name).exists():
            return target / "release" / name
    sys.exit("no library: run `cargo build --release -p cpu-peer`")


class Call(ctypes.Structure):
    _fields_ = [("operation", ctypes.c_uint32), ("dtype", ctypes.c_uint32)]
    _fields_ += [(name, ctypes.c_size_t) for name in ["outer", "channels", "inner"]]
    _fields_ += [
        (name, ctypes.c_void_p)
        for name in ["x", "dy", "output", "gamma", "beta", "running_mean", "running_var", "saved", "dgamma", "dbeta"]
    ]


class Cell:
    """The tensors of one shape, and both systems on them."""

    def __init__(self, torch, function, shape, dtype, layout):
        self.torch, self.function = torch, function
        kind = {"f32": torch.float32, "f16": torch.float16}[dtype]
        channels, last = shape[1], layout == "channels_last"
        tensor = lambda: torch.rand(shape).mul_(2).sub_(1).to(kind)
        self.x, self.dy = tensor(), tensor()
        if last:
            self.x, self.dy = (t.contiguous(memory_format=torch.channels_last) for t in (self.x, self.dy))
        self.output = torch.empty_like(self.x)
        self.gamma, self.beta = torch.rand(channels) + 0.5, torch.rand(channels)
        self.mean, self.variance = torch.zeros(channels), torch.ones(channels)
        self.saved, self.dgamma, self.dbeta = torch.zeros(channels, 4), torch.zeros(channels), torch.zeros(channels)
        size = math.prod(shape[2:])
        per_channel = [self.gamma, self.beta, self.mean, self.variance, self.saved, self.dgamma, self.dbeta]
        self.call = Call(
            0, ["f32", "f16"].index(dtype), shape[0] * (size if last else 1), channels, 1 if last else size,
            *(t.data_ptr() for t in [self.x, self.dy, self.output, *per_channel]),
        )
        _, self.saved_mean, self.saved_invstd = self.torch_forward(True)
        self.compare()

    def torch_forward(self, train):
        return self.torch.native_batch_norm(
            self.x, self.gamma, self.beta, self.mean, self.variance, train, 0.1, 1e-5
        )

    def torch_backward(self):
        return self.torch.ops.aten.native_batch_norm_backward(
            self.dy, self.x, self.gamma, self.mean, self.variance, self.saved_mean, self.saved_invstd,
            True, 1e-5, [True, True, True],
        )

    def torch_run(self, operation):
        return self.torch_backward() if operation == "backward" else self.torch_forward(operation == "training")

    def ours_run(self, operation):
        self.call.operation = [*OPERATIONS, "copy"].index(operation)
        if self.function(ctypes.byref(self.call)):
            sys.exit(f"{operation} failed")

    def compare(self):
        # To see that both do the same; how exact ours are is for the tests to say.
        for operation in OPERATIONS:
            expected = self.torch_run(operation)[0].float()
            self.ours_run(operation)
            bound = 2e-3 * expected.abs().max()
            error = (self.output.float() - expected).abs().max()
            if not error <= bound:
                sys.exit(f"{operation}: ours and PyTorch's differ by {error}")

    def time(self, run, operation, calls):
        times = []
        for _ in range(calls + 1):
            start = time.perf_counter()
            run(operation)
            times.append((time.perf_counter() - start) * 1e3)
        return times[1:]


def turns_of(len, rounds):
    # Tensors that fit into a cache now and then, if nobody else uses it, need more.
    return rounds if len <= 1 << 24 else max(rounds // 3, 3)


def measure(cell, name, operation, rounds):
    """Turns of both, and of the copy."""
    # Threads of OpenMP spin for 5 ms and more after their work, on a core that the other side would use.
    pause = lambda: time.sleep(0.02)
    # The first calls of a turn find the other side's tensors in the caches.
    len = cell.x.numel()
    calls = 3 if len > 1 << 26 else 9 if len > 1 << 23 else 25
    turns = {"ours": [], "torch": [], "copy": []}
    for _ in range(turns_of(len, rounds)):
        for who in turns:
            run = cell.torch_run if who == "torch" else cell.ours_run
            turns[who].append(cell.time(run, "copy" if who == "copy" else operation, calls))
            pause()
    medians = {who: [statistics.median(turn) for turn in of] for who, of in turns.items()}
    fastest = {who: min(min(turn) for turn in of) for who, of in turns.items()}
    ratios = sorted(t / o for t, o in zip(medians["torch"], medians["ours"]))
    return {
        **name,
        "operation": operation,
        **{f"{who}_ms": statistics.median(of) for who, of in medians.items()},
        **{f"{who}_fastest_ms": ms for who, ms in fastest.items()},
        "ratio": statistics.median(ratios),
        "ratio_range": [ratios[0], ratios[-1]],
        "ratio_of_fastest": fastest["torch"] / fastest["ours"],
        "of_copy": statistics.median(medians["ours"]) / statistics.median(medians["copy"]),
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
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--quick", action="store_true", help="batches of 256 left out")
    parser.add_argument("--dtype", choices=["f32", "f16"], help="only one")
    parser.add_argument("--rounds", type=int, default=21, help="turns; a third of them above 2^24 values")
    parser.add_argument("--only", default="", help="cells whose name contains this")
    parser.add_argument("--default-malloc", action="store_true", help="freed memory goes back to the system")
    arguments = parser.parse_args()
    if not arguments.default_malloc and any(os.environ.get(name) != value for name, value in KEEP.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **KEEP})

    import torch

    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    threads = torch.get_num_threads()
    os.environ["RAYON_NUM_THREADS"] = str(threads)
    function = ctypes.CDLL(str(library())).cpu_batch_norm
    rounds = arguments.rounds
    about = {
        "processor": processor(),
        "threads": threads,
        "torch": torch.__version__,
        "torch_simd": torch.backends.cpu.get_cpu_capability(),
        "malloc": "as it is" if arguments.default_malloc else "told to keep freed memory",
        "rounds": rounds,
        "load_before": os.getloadavg()[0],
    }
    print(f"{about['processor']}, {threads} threads; PyTorch {torch.__version__} ({about['torch_simd']}), malloc "
          f"{about['malloc']}; medians of {rounds} turns, {turns_of(1 << 25, rounds)} above 2^24 values; load {about['load_before']:.1f} before")
    print(f"`{' '.join(sys.argv)}`\n")
    print("| shape | layout | dtype | operation | ours ms | PyTorch ms | PyTorch / ours | range | fastest | ours / copy |")
    print("|---|---|---|---|--:|--:|--:|---|--:|--:|")
    rows = []
    for shape in SHAPES:
        if arguments.quick and shape[0] == 256:
            continue
        for dtype in [arguments.dtype] if arguments.dtype else ["f32", "f16"]:
            for layout in LAYOUTS if len(shape) == 4 else LAYOUTS[:1]:
                dims = "x".join(map(str, shape))
                operations = [o for o in OPERATIONS if arguments.only in f"{dims} {layout} {dtype} {o}"]
                if not operations:
                    continue
                cell = Cell(torch, function, shape, dtype, layout)
                for operation in operations:
                    row = measure(cell, {"shape": dims, "layout": layout, "dtype": dtype}, operation, rounds)
                    rows.append(row)
                    low, high = row["ratio_range"]
                    print(f"| {dims} | {layout} | {dtype} | {operation} | {row['ours_ms']:.3f} "
                          f"| {row['torch_ms']:.3f} | {row['ratio']:.2f} | {low:.2f} .. {high:.2f} "
                          f"| {row['ratio_of_fastest']:.2f} | {row['of_copy']:.2f} |", flush=True)
                del cell
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
