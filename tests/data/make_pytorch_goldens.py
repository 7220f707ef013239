"""Writes pytorch_goldens.json beside this file: small cases of batch normalization as PyTorch computes them in float64.

    python make_pytorch_goldens.py

Every input is a number of f32, those of tensors in f16 one of f16, so that a kernel in f32 sees what PyTorch saw.
Needs torch, on the CPU; the same version of it writes the same file.
"""

import json
import pathlib

import torch

MODULES = {2: torch.nn.BatchNorm1d, 3: torch.nn.BatchNorm1d, 4: torch.nn.BatchNorm2d, 5: torch.nn.BatchNorm3d}


def golden(name, dims, axis=1, offset=0.0, scale=1.0, *, dtype="f32", eps=1e-5, momentum=0.1, affine="gamma beta",
           tracked=True, batches=1, batches_before=0, train=True, constant=False):
    return dict(locals())


# `momentum=None` is the cumulative average, over `batches` batches after `batches_before` earlier ones.
CASES = [
    golden("rank_2", (33, 7)),
    golden("rank_3", (5, 3, 11)),
    golden("rank_4", (3, 5, 4, 3), offset=0.5),
    golden("rank_5", (2, 3, 2, 3, 5), offset=-2.0, scale=3.0),
    golden("rank_3_axis_0", (5, 9, 3), axis=0),
    golden("rank_3_axis_2", (7, 5, 3), axis=2),
    golden("rank_4_axis_3", (3, 4, 3, 5), axis=3, offset=0.5),
    golden("rank_5_axis_4", (2, 3, 2, 3, 3), axis=4),
    golden("two_values", (2, 5)),
    golden("one_image", (1, 3, 7, 5), offset=1.0),
    golden("one_channel", (9, 1, 13)),
    golden("constant_channels", (5, 3, 7), offset=3.25, constant=True),
    golden("offset_1e4_rank_2", (31, 5), offset=1e4),
    golden("offset_1e4_rank_3", (5, 3, 13), offset=1e4),
    golden("offset_1e4_rank_4_axis_3", (3, 3, 5, 5), axis=3, offset=1e4, scale=0.5),
    golden("offset_1e4_no_affine", (5, 3, 13), offset=1e4, affine=""),
    golden("f16_rank_3", (5, 3, 11), dtype="f16", offset=0.5),
    golden("f16_rank_4_axis_3", (3, 3, 5, 5), axis=3, dtype="f16"),
    golden("f16_offset_1e4", (5, 3, 13), dtype="f16", offset=1e4, scale=50.0),
    golden("gamma_alone", (5, 3, 5), affine="gamma"),
    golden("beta_alone", (5, 3, 5), affine="beta"),
    golden("no_affine", (5, 3, 5), affine=""),
    golden("eps_1e-3", (5, 3, 5), scale=0.01, eps=1e-3),
    golden("momentum_0", (5, 3, 5), momentum=0.0),
    golden("momentum_1", (5, 3, 5), momentum=1.0),
    golden("momentum_0.3_twice", (5, 3, 5), offset=1.0, momentum=0.3, batches=2),
    golden("momentum_negative", (5, 3, 5), momentum=-1.2),
    golden("cumulative_from_the_first", (5, 3, 5), offset=1.0, momentum=None, batches=3),
    golden("cumulative_from_the_eighth", (5, 3, 5), offset=1.0, momentum=None, batches=2, batches_before=7),
    golden("untracked", (5, 3, 5), tracked=False),
    golden("untracked_eval", (5, 3, 5), tracked=False, train=False),
    golden("eval", (3, 5, 4, 3), offset=0.5, train=False),
    golden("eval_axis_2", (7, 5, 3), axis=2, train=False, affine="beta"),
    golden("eval_f16", (5, 3, 11), dtype="f16", train=False),
    golden("eval_offset_1e4", (5, 3, 7), offset=1e4, train=False, eps=1e-3),
]


def rounded(values, dtype="f32"):
    return values.to({"f32": torch.float32, "f16": torch.float16}[dtype]).double()


def normals(generator, shape, mean=0.0, std=1.0, dtype="f32"):
    return rounded(mean + std * torch.randn(shape, generator=generator, dtype=torch.float64), dtype)


def compute(case, seed):
    generator = torch.Generator().manual_seed(seed)
    dims, dtype, offset = case["dims"], case["dtype"], case["offset"]
    axis = case["axis"]
    channels = dims[axis]
    eps = rounded(torch.tensor(case["eps"])).item()
    momentum = case["momentum"]
    if momentum is not None:
        momentum = rounded(torch.tensor(momentum)).item()

    module = MODULES[len(dims)](channels, eps, momentum, track_running_stats=case["tracked"]).double()
    for name, mean in [("weight", 1.0), ("bias", 0.0)]:
        value = normals(generator, channels, mean, 0.5)
        present = {"weight": "gamma", "bias": "beta"}[name] in case["affine"]
        setattr(module, name, torch.nn.Parameter(value) if present else None)
    if case["tracked"]:
        module.running_mean.copy_(normals(generator, channels, offset, 0.5))
        module.running_var.copy_(rounded(0.5 + torch.rand(channels, generator=generator, dtype=torch.float64)))
        module.num_batches_tracked.fill_(case["batches_before"])
    module.train(case["train"])

    def values(tensor):
        return None if tensor is None else tensor.detach().flatten().tolist()

    result = {key: case[key] for key in ("name", "dims", "dtype", "tracked", "train", "batches_before")}
    result |= {"channel_axis": axis, "eps": eps, "momentum": momentum}
    result |= {"gamma": values(module.weight), "beta": values(module.bias)}
    result |= {"running_mean": values(module.running_mean), "running_var": values(module.running_var), "x": []}
    for _ in range(case["batches"]):
        x = normals(generator, dims, offset, case["scale"], dtype)
        if case["constant"]:
            x = torch.full(dims, offset, dtype=torch.float64)
        result["x"].append(values(x))
        x.requires_grad_(True)
        module.zero_grad()
        y = module(x.movedim(axis, 1)).movedim(1, axis)
    dy = normals(generator, dims, dtype=dtype)
    y.backward(dy)

    rest = [dim for dim in range(len(dims)) if dim != axis]
    variance, mean = torch.var_mean(x.detach(), dim=rest, correction=0)
    result |= {"y": values(y), "batch_mean": values(mean), "batch_var": values(variance)}
    result |= {"new_running_mean": values(module.running_mean), "new_running_var": values(module.running_var)}
    # Gradients where the statistics are those of the batch.
    if case["train"] or not case["tracked"]:
        result |= {"dy": values(dy), "dx": values(x.grad)}
        for name, parameter in [("dgamma", module.weight), ("dbeta", module.bias)]:
            result[name] = None if parameter is None else values(parameter.grad)
    return result


def main():
    torch.set_num_threads(1)
    goldens = [compute(case, seed) for seed, case in enumerate(CASES, start=1)]
    # One line for each array, so that a change shows where it is.
    text = ",\n".join(
        "{" + ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in golden.items()) + "}"
        for golden in goldens
    )
    pathlib.Path(__file__).with_name("pytorch_goldens.json").write_text(f"[{text}]\n")


if __name__ == "__main__":
    main()
