"""Writes cases for the example run_case, with the results that PyTorch computes in float64 from the same stored inputs.

    python export_cases.py DIR            writes DIR/NAME.safetensors and DIR/NAME.expected.safetensors
    python export_cases.py DIR --peer     also prints how far PyTorch's own float32 is from them, in units of the bound

Then: cargo run --release --example run_case -- DIR/*.safetensors
Needs torch and safetensors.
"""

import argparse
import pathlib

import torch
from safetensors.torch import save_file

F32, F16 = torch.float32, torch.float16


def case(name, dims, offset=0.0, scale=1.0, *, dtype=F32, layout="channels_first", mode="train", affine="weight bias",
         running=True, gradient=True, eps=1e-5, momentum="0.1", biased=False, batches=None, constant=False):
    return dict(locals())


CASES = [
    case("odd_3d", (5, 3, 7)),
    case("odd_4d", (3, 17, 13, 11), 0.5),
    case("odd_4d_last", (3, 13, 11, 17), 0.5, layout="channels_last"),
    case("odd_4d_f16", (3, 17, 13, 11), 0.5, dtype=F16),
    case("odd_4d_last_f16", (3, 13, 11, 17), 0.5, dtype=F16, layout="channels_last"),
    case("offset_1e2", (8, 12, 9, 9), 1e2),
    case("offset_1e3", (8, 12, 9, 9), 1e3),
    case("offset_1e3_f16", (8, 12, 9, 9), 1e3, 10.0, dtype=F16),
    case("offset_1e4", (8, 12, 9, 9), 1e4),
    case("offset_1e4_last", (8, 9, 9, 12), 1e4, layout="channels_last"),
    case("offset_1e4_f16", (8, 12, 9, 9), 1e4, 50.0, dtype=F16),
    case("offset_1e5", (8, 12, 9, 9), 1e5),
    case("offset_1e6", (8, 12, 9, 9), 1e6),
    case("offset_1e6_last", (8, 9, 9, 12), 1e6, layout="channels_last"),
    case("offset_minus_1e6_narrow", (16, 5, 31), -1e6, 0.1),
    case("constant_channel", (6, 4, 5, 5), 3.3, constant=True),
    case("constant_channel_f16_last", (6, 5, 5, 4), 3.3, dtype=F16, layout="channels_last", constant=True),
    case("no_affine", (4, 6, 10), 2.0, affine=""),
    case("weight_only", (4, 6, 10), 2.0, affine="weight"),
    case("bias_only", (4, 6, 10), 2.0, affine="bias"),
    case("no_running", (4, 6, 10), running=False),
    case("cumulative_first", (4, 6, 10), 2.0, momentum="cumulative"),
    case("cumulative_eighth", (4, 6, 10), 2.0, momentum="cumulative", batches=7),
    case("biased", (3, 6, 2), 2.0, biased=True, momentum="0.25"),
    case("eval", (4, 6, 5, 7), 2.0, mode="eval", gradient=False),
    case("eval_last_f16", (4, 5, 7, 6), 2.0, dtype=F16, layout="channels_last", mode="eval", gradient=False),
    case("eval_no_running", (4, 6, 5, 7), 2.0, mode="eval", running=False, gradient=False),
    case("flat", (33, 130)),
    case("flat_f16", (33, 131), dtype=F16),
    case("five_d", (2, 7, 3, 4, 5), 10.0),
    case("five_d_last", (2, 3, 4, 5, 7), 10.0, layout="channels_last"),
    case("tiny_batch", (2, 9), 1.0),
    case("one_image", (1, 3, 64, 65), 1.0),
    case("one_channel", (64, 1, 33), 1.0),
    case("forward_only", (4, 6, 10), gradient=False, eps=1e-3),
    case("large_eps_wide", (7, 2048, 3), 0.0, 1e-3, eps=0.1),
    case("scale_1e_minus_6", (16, 6, 50), 0.0, 1e-6),
    case("scale_1e6", (16, 6, 50), 1e6, 1e6),
]


def make(index, spec):
    """The inputs of a case, as stored."""
    generator = torch.Generator().manual_seed(index)

    def normal(*dims):
        return torch.randn(*dims, generator=generator, dtype=torch.float64)

    axis = 1 if spec["layout"] == "channels_first" else len(spec["dims"]) - 1
    channels = spec["dims"][axis]
    per_channel = [1] * len(spec["dims"])
    per_channel[axis] = channels
    x = normal(*spec["dims"]) * spec["scale"] * (1 + 0.3 * normal(channels)).abs().add(0.1).reshape(per_channel)
    x = x + spec["offset"] + spec["scale"] * normal(channels).reshape(per_channel)
    if spec["constant"]:
        x.select(axis, 1).fill_(spec["offset"])
    tensors = {"x": x.to(spec["dtype"])}
    if "weight" in spec["affine"]:
        tensors["weight"] = (1 + 0.5 * normal(channels)).float()
    if "bias" in spec["affine"]:
        tensors["bias"] = normal(channels).float()
    if spec["running"]:
        tensors["running_mean"] = (spec["offset"] + spec["scale"] * normal(channels)).float()
        tensors["running_var"] = (spec["scale"] ** 2 * (1 + 0.2 * normal(channels)).abs().add(0.1)).float()
    if spec["gradient"]:
        tensors["grad_output"] = normal(*spec["dims"]).to(spec["dtype"])
    metadata = {"mode": spec["mode"], "layout": spec["layout"], "eps": repr(spec["eps"]),
                "momentum": spec["momentum"], "activation": "identity",
                "running_var": "biased" if spec["biased"] else "unbiased"}
    if spec["batches"] is not None:
        metadata["num_batches_tracked"] = str(spec["batches"])
    return axis, tensors, metadata


def run(spec, axis, tensors, dtype):
    """What PyTorch makes of the stored inputs, computing in `dtype`."""
    given = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    x = given["x"].movedim(axis, 1).detach().requires_grad_()
    weight, bias = given.get("weight"), given.get("bias")
    parameters = [parameter.requires_grad_() for parameter in (weight, bias) if parameter is not None]
    mean, var = given.get("running_mean"), given.get("running_var")
    old_var = None if var is None else var.clone()
    momentum = 1 / ((spec["batches"] or 0) + 1) if spec["momentum"] == "cumulative" else float(spec["momentum"])
    by_batch = spec["mode"] == "train" or mean is None
    y = torch.nn.functional.batch_norm(x, mean, var, weight, bias, by_batch, momentum, spec["eps"])
    results = {"output": y.movedim(1, axis)}
    if spec["mode"] == "train":
        values = x.detach().transpose(0, 1).flatten(1)
        results["batch_mean"] = values.mean(1)
        results["batch_var"] = values.var(1, correction=0)
        if mean is not None:
            if spec["biased"]:
                var = (1 - momentum) * old_var + momentum * results["batch_var"]
            results |= {"new_running_mean": mean, "new_running_var": var}
    if spec["gradient"]:
        leaves = torch.autograd.grad(y, [x, *parameters], given["grad_output"].movedim(axis, 1))
        results["grad_input"] = leaves[0].movedim(1, axis)
        names = [f"grad_{name}" for name in ("weight", "bias") if name in given]
        results |= dict(zip(names, leaves[1:]))
    return {name: result.detach().contiguous() for name, result in results.items()}


def peer(spec, axis, tensors, expected):
    """PyTorch's float32 errors by the bounds that run_case holds us to."""
    actual = run(spec, axis, tensors, F32)
    x = tensors["x"].double().movedim(axis, 1).transpose(0, 1).flatten(1)
    by_batch = spec["mode"] == "train" or not spec["running"]
    mean = x.mean(1) if by_batch else tensors["running_mean"].double()
    var = x.var(1, correction=0) if by_batch else tensors["running_var"].double()
    invstd = 1 / (var + spec["eps"]).sqrt()
    weight = tensors.get("weight", torch.ones(len(x))).double()
    x_hat = ((x - mean[:, None]) * invstd[:, None]).abs().max()
    bounds = {"output": 2e-6 * (1 + weight.abs().max() * x_hat)}
    if spec["gradient"]:
        dy = tensors["grad_output"].double().abs().max()
        bounds["grad_input"] = 2e-6 * (weight * invstd).abs().max() * (1 + 1.5 * dy)
        bounds |= {name: 2e-5 * expected[name].abs().max() for name in ("grad_weight", "grad_bias") if name in expected}
    return {name: ((actual[name] - expected[name]).abs().max() / bound).item() for name, bound in bounds.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dir", type=pathlib.Path)
    parser.add_argument("--peer", action="store_true", help="print PyTorch's own float32 errors, by our bounds")
    arguments = parser.parse_args()
    arguments.dir.mkdir(parents=True, exist_ok=True)
    if arguments.peer:
        print(f"PyTorch {torch.__version__} float32, worst error by its bound (above 1: missed)")
    for index, spec in enumerate(CASES):
        axis, tensors, metadata = make(index, spec)
        expected = run(spec, axis, tensors, torch.float64)
        save_file(tensors, arguments.dir / f"{spec['name']}.safetensors", metadata)
        save_file(expected, arguments.dir / f"{spec['name']}.expected.safetensors")
        if arguments.peer:
            errors = peer(spec, axis, tensors, expected)
            print(f"{spec['name']:<26}" + "".join(f" {name} {error:.3g}" for name, error in errors.items()))
    print(f"{len(CASES)} cases in {arguments.dir}")


if __name__ == "__main__":
    main()
