#!/usr/bin/env python3
"""PyTorch's batch norm on the shapes of `cargo bench --bench shapes`, by the same protocol, into the same JSON.

Needs PyTorch and nothing else. On CUDA the times are the GPU's (events, with the GPU kept behind the host so that no
launch is waited for), on the CPU the wall's. Interleaved rounds in rotated order, medians, and a copy of the same bytes
in the same turns. Cold: each operation takes the tensors that were used longest ago, of more memory than a cache holds,
and its results are kept as long; warm: one set, and the memory of its results is used again.

  training    torch.nn.functional.batch_norm(training=True), running statistics included, no graph
  inference   torch.nn.functional.batch_norm(training=False)
  backward    torch.autograd.grad of the first through one graph that is kept: dx, dgamma, dbeta, no forward

Storage is f32, or f16 with f32 parameters. cudnn.benchmark is on. System `pytorch` is eager, `pytorch-compile` the same
functions under torch.compile, whose results are held against the eager ones first.
"""

import argparse
import ctypes
import importlib
import json
import math
import platform
import statistics
import sys
import time

import torch
import torch.nn.functional as F

# Batch, channels, extent; as in benches/support/cell.rs.
STANDARD = [
    (32, 64, 112),
    (32, 256, 56),
    (32, 512, 28),
    (32, 1024, 14),
    (32, 2048, 7),
    (256, 64, 112),
    (256, 256, 56),
    (256, 512, 28),
    (256, 1024, 14),
    (256, 2048, 7),
    (32, 192, 28),
    (32, 1024, 7),
    (4096, 1024, 1),
]
PARTS = {"full": 1, "small": 8, "smoke": 64}
MINIMAL_PASSES = {"training": 2, "inference": 2, "backward": 3}
DTYPES = {"f32": torch.float32, "f16": torch.float16}
SYSTEMS = {"eager": "pytorch", "compile": "pytorch-compile"}
FEWEST_SETS = 4
FEWEST_ROUNDS = 3
EPS, MOMENTUM = 1e-5, 0.1


def arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], help="cuda where there is one")
    parser.add_argument("--scale", choices=PARTS, help="full on cuda, small on the CPU")
    parser.add_argument("--systems", default="eager", help="eager, compile, or eager,compile")
    parser.add_argument("--shape", help="only shapes that contain this")
    parser.add_argument("--operation", choices=MINIMAL_PASSES)
    parser.add_argument("--dtype", choices=DTYPES)
    parser.add_argument("--layout", choices=["channels_first", "channels_last"])
    parser.add_argument("--cache", choices=["cold", "warm"])
    parser.add_argument("--cache-mib", type=int, default=128)
    parser.add_argument("--rounds", type=int, help="30 on cuda, 15 on the CPU")
    parser.add_argument("--seconds", type=float, help="for the rounds of a group: 1 on cuda, 4 on the CPU")
    parser.add_argument("--budget", type=float, default=math.inf, help="seconds for all")
    parser.add_argument("--threads", type=int, help="of the CPU; all by default")
    parser.add_argument("--quick", action="store_true", help="--scale smoke --rounds 3 --seconds 1 --cache-mib 8")
    parser.add_argument("--json")
    options = parser.parse_args()
    if unknown := set(options.systems.split(",")) - set(SYSTEMS):
        parser.error(f"--systems: has {unknown}, needs to be of {', '.join(SYSTEMS)}")
    if options.quick:
        options.scale, options.rounds, options.seconds, options.cache_mib = "smoke", 3, 1.0, 8
    if options.device is None:
        options.device = "cuda" if torch.cuda.is_available() else "cpu"
    cuda = options.device == "cuda"
    if cuda and not torch.cuda.is_available():
        parser.error("--device: is cuda, but this PyTorch finds none")
    options.scale = options.scale or ("full" if cuda else "small")
    options.rounds = options.rounds or (30 if cuda else 15)
    options.seconds = options.seconds or (1.0 if cuda else 4.0)
    return options


def cpu_name():
    try:
        with open("/proc/cpuinfo") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        return names[0]
    except (OSError, IndexError):
        return platform.processor() or platform.machine()


class Device:
    """Where it runs, what that is called, and how its time is taken."""

    # Operations in a turn, each timed on its own.
    REPEATS = 3

    def __init__(self, kind):
        self.cuda = kind == "cuda"
        self.kind = kind
        version = f"PyTorch {torch.__version__}"
        if self.cuda:
            self.name = torch.cuda.get_device_name()
            self.driver = f"{version}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
        else:
            self.name = cpu_name()
            self.driver = f"{version}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}"
        self.timer = "cuda_events" if self.cuda else "wall"

    def turn(self, run, lead, sets):
        """Microseconds of `run` over each of the sets; before them over the set `lead`, if any, untimed."""
        if not self.cuda:
            if lead is not None:
                run(lead)
            times = []
            for index in sets:
                start = time.perf_counter()
                run(index)
                times.append((time.perf_counter() - start) * 1e6)
            return times
        while True:
            events = [[torch.cuda.Event(enable_timing=True) for _ in range(2)] for _ in sets]
            # The GPU sleeps until all is queued, so that no time of the host's lies between two events.
            start = time.perf_counter()
            torch.cuda._sleep(self.cycles)
            run(lead)
            for (begin, end), index in zip(events, sets):
                begin.record()
                run(index)
                end.record()
            needed = int((time.perf_counter() - start) * self.CLOCK)
            torch.cuda.synchronize()
            slept_enough = needed < self.cycles or needed > self.MOST_CYCLES
            self.cycles = min(max(3 * needed, self.FEWEST_CYCLES), self.MOST_CYCLES)
            if slept_enough:
                return [begin.elapsed_time(end) * 1e3 for begin, end in events]

    # Cycles a second at most, and how many a sleep takes: 1 to 20 ms.
    CLOCK, FEWEST_CYCLES, MOST_CYCLES = 2e9, 2_000_000, 40_000_000
    cycles = FEWEST_CYCLES


def forward(x, mean, var, weight, bias):
    return F.batch_norm(x, mean, var, weight, bias, True, MOMENTUM, EPS)


def inference(x, mean, var, weight, bias):
    return F.batch_norm(x, mean, var, weight, bias, False, MOMENTUM, EPS)


class Operation:
    """An operation of one system over sets of tensors; keeps the results of each set until its next turn."""

    def __init__(self, system, name, sets, parameters, functions, keep):
        self.system, self.name, self.sets, self.parameters = system, name, sets, parameters
        self.results = [None] * len(sets)
        self.keep = keep
        self.function = functions["inference" if name == "inference" else "forward"]
        if name == "backward":
            self.graphs = []
            mean, var, weight, bias = parameters
            self.leaves = [weight.detach().requires_grad_(), bias.detach().requires_grad_()]
            for x, dy, _ in sets:
                x = x.detach().requires_grad_()
                # Each graph holds the running statistics of its own forward pass.
                y = self.function(x, mean.clone(), var.clone(), *self.leaves)
                self.graphs.append((y, x, dy))

    def __call__(self, index):
        if not self.keep:
            self.results[index] = None
        if self.name == "backward":
            y, x, dy = self.graphs[index]
            self.results[index] = torch.autograd.grad(y, [x, *self.leaves], dy, retain_graph=True)
        else:
            with torch.no_grad():
                self.results[index] = self.function(self.sets[index][0], *self.parameters)


class Copy:
    name = "copy"

    def __init__(self, system, sets):
        self.system, self.sets = system, sets

    def __call__(self, index):
        x, _, out = self.sets[index]
        out.copy_(x)


def contest(device, runs, cache, sets, rounds, seconds):
    """Samples of each, in turns. Cold, each takes the set that was used longest ago, whoever used it."""
    following = 0

    def take(count):
        nonlocal following
        taken = [(following + i) % sets if cache == "cold" else 0 for i in range(count)]
        following = (following + count) % sets
        return taken

    lead = device.cuda or cache == "warm"
    for run in runs:
        # cudnn.benchmark tries algorithms in the first call, the compiler compiles, and all memory is touched.
        for index in range(sets):
            run(index)
        device.turn(run, *take(1), take(1))
    samples = [[] for _ in runs]
    start = time.perf_counter()
    for number in range(rounds):
        if number >= FEWEST_ROUNDS and time.perf_counter() - start > seconds:
            break
        for place in range(len(runs)):
            index = (place + number) % len(runs)
            repeats = Device.REPEATS if device.cuda else 1
            first = take(1)[0] if lead else None
            samples[index] += device.turn(runs[index], first, take(repeats))
    return samples


def significant(value):
    return float(f"{value:.4e}")


def timed_row(row, samples):
    if len(samples) > 1:
        q1, median, q3 = statistics.quantiles(samples, n=4, method="inclusive")
    else:
        q1 = median = q3 = samples[0]
    times = {"median_us": median, "q1_us": q1, "q3_us": q3, "min_us": min(samples)}
    row |= {name: significant(value) for name, value in times.items()}
    row |= {"samples": len(samples), "samples_us": [significant(sample) for sample in samples]}
    row["gb_per_s"] = significant(row["bytes"] / median * 1e-3)
    return row


def measure_group(device, options, dims, dtype_name, layout):
    batch, channels, extent = dims
    dtype = DTYPES[dtype_name]
    shape = [batch, channels, extent, extent] if extent > 1 else [batch, channels]
    format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    bytes = math.prod(shape) * dtype.itemsize
    sets = max(FEWEST_SETS, -(-(options.cache_mib << 20) // (2 * bytes)))

    generator = torch.Generator(device.kind).manual_seed(1)
    new = lambda: torch.randn(shape, generator=generator, device=device.kind).to(dtype).contiguous(memory_format=format)
    x, dy = new(), new()
    duplicate = lambda tensor: tensor.clone(memory_format=torch.preserve_format)
    tensors = [(x, dy, torch.empty_like(x))]
    tensors += [(duplicate(x), duplicate(dy), torch.empty_like(x)) for _ in range(sets - 1)]
    channel = lambda value: torch.full([channels], value, device=device.kind)
    parameters = (channel(0.0), channel(1.0), channel(1.25), channel(0.5))

    functions = {"eager": {"forward": forward, "inference": inference}}
    if "compile" in options.systems:
        torch.compiler.reset()
        compiled = lambda function: torch.compile(function, dynamic=False)
        functions["compile"] = {"forward": compiled(forward), "inference": compiled(inference)}

    rows = []
    for cache in [options.cache] if options.cache else ["cold", "warm"]:
        runs = [Copy(SYSTEMS[options.systems.split(",")[0]], tensors)]
        for name in [options.operation] if options.operation else MINIMAL_PASSES:
            for system in options.systems.split(","):
                used = tensors if cache == "cold" else tensors[:1]
                runs.append(Operation(SYSTEMS[system], name, used, parameters, functions[system], cache == "cold"))
        if rows == []:
            check(runs, parameters, tensors[0])
        samples = contest(device, runs, cache, sets if cache == "cold" else 1, options.rounds, options.seconds)
        copy_us = statistics.median(samples[0])
        for run, times in zip(runs, samples):
            passes = MINIMAL_PASSES.get(run.name, 2)
            row = {
                "system": run.system,
                "device": device.name,
                "backend": device.kind,
                "driver": device.driver,
                "shape": "x".join(map(str, shape)),
                "operation": run.name,
                "dtype": dtype_name,
                "layout": layout,
                "variant": {"pytorch": "eager", "pytorch-compile": "inductor"}[run.system],
                "cache": cache,
                "timer": device.timer,
                "bytes": passes * bytes,
            }
            row = timed_row(row, times)
            if run.name != "copy":
                row["copy_us"] = significant(copy_us)
                row["of_roofline"] = significant(passes / 2 * copy_us / row["median_us"])
            rows.append(row)
    return rows


def check(runs, parameters, tensors):
    """Results of the first set: eager ones against the definition in f64, compiled ones likewise."""
    x, dy, _ = tensors
    axes = [axis for axis in range(x.dim()) if axis != 1]
    view = [1, -1] + [1] * (x.dim() - 2)
    if x.numel() > 1 << 27:  # Not at the price of minutes and memory.
        return
    wide, dwide = x.double(), dy.double()
    mean, var = wide.mean(axes, keepdim=True), wide.var(axes, keepdim=True, unbiased=False)
    running = [tensor.double().view(view) for tensor in parameters]
    hat = (wide - mean) / (var + EPS).sqrt()
    weight, bias = running[2:]
    for run in runs[1:]:
        if run.name == "inference":
            # The running statistics are still those of a standard normal.
            expected = (wide - running[0]) / (running[1] + EPS).sqrt() * weight + bias
        elif run.name == "training":
            expected = hat * weight + bias
        else:
            centred = dwide - dwide.mean(axes, keepdim=True) - hat * (dwide * hat).mean(axes, keepdim=True)
            expected = weight / (var + EPS).sqrt() * centred
        kept = [tensor.clone() for tensor in parameters[:2]]
        run(0)
        result = run.results[0][0] if run.name == "backward" else run.results[0]
        error = (result.double() - expected).norm() / expected.norm()
        for tensor, before in zip(parameters[:2], kept):
            tensor.copy_(before)
        if not error < (1e-5 if x.dtype == torch.float32 else 1e-3):
            raise SystemExit(f"{run.system} {run.name} {tuple(x.shape)} {x.dtype}: error {error:.1e}")


def main():
    options = arguments()
    if options.threads:
        torch.set_num_threads(options.threads)
    device = Device(options.device)
    torch.backends.cudnn.benchmark = True
    if not device.cuda and platform.libc_ver()[0] == "glibc":
        # Freed memory is kept: otherwise every result costs its page faults. M_MMAP_MAX, M_TRIM_THRESHOLD.
        libc = ctypes.CDLL(None)
        libc.mallopt(-4, 0), libc.mallopt(-1, 2**31 - 1)
    if "compile" in options.systems:
        # The graph of the backward pass is kept and used again.
        importlib.import_module("torch._functorch.config").donated_buffer = False
    print(f"device:  {device.name}, {device.driver}; time by {device.timer}\n", flush=True)
    print("| shape | dtype | layout | operation | cache | system | us | spread | GB/s of the fewest passes | roofline |")
    print("|---|---|---|---|---|---|--:|--:|--:|--:|", flush=True)

    start, rows, absent = time.perf_counter(), [], []
    for batch, channels, extent in STANDARD:
        dims = (max(batch // PARTS[options.scale], 4 if batch > 32 else 2), channels, extent)
        name = "x".join(map(str, dims if extent > 1 else dims[:2])) + (f"x{extent}" if extent > 1 else "")
        if options.shape and options.shape not in name:
            continue
        layouts = ["channels_first"] if extent == 1 else ["channels_first", "channels_last"]
        for dtype in [options.dtype] if options.dtype else DTYPES:
            for layout in [layout for layout in layouts if options.layout in (None, layout)]:
                if time.perf_counter() - start > options.budget:
                    absent.append(f"{name} {dtype} {layout}: out of time")
                    continue
                try:
                    measured = measure_group(device, options, dims, dtype, layout)
                except (RuntimeError, NotImplementedError) as error:
                    absent.append(f"{name} {dtype} {layout}: {str(error).splitlines()[0]}")
                    continue
                rows += measured
                for row in measured:
                    spread = (row["q3_us"] - row["q1_us"]) / row["median_us"] * 100
                    cells = [row[key] for key in ("shape", "dtype", "layout", "operation", "cache", "system")]
                    cells += [f"{row['median_us']:.4g}", f"{spread:.0f} %", f"{row['gb_per_s']:.3g}"]
                    cells += [f"{row['of_roofline']:.2f}" if "of_roofline" in row else ""]
                    print("|", " | ".join(cells), "|", flush=True)
                if options.json:
                    with open(options.json, "w") as file:
                        file.write("[\n" + ",\n".join(json.dumps(row, separators=(",", ":")) for row in rows) + "\n]\n")
                if device.cuda:
                    torch.cuda.empty_cache()
    for line in absent:
        print(f"not measured: {line}")
    if not rows:
        sys.exit("nothing was measured")


if __name__ == "__main__":
    main()
