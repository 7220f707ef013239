"""Writes cases for the example run_case, with the results that PyTorch computes in float64 from the same stored inputs.

    python export_cases.py DIR            writes DIR/NAME.safetensors and DIR/NAME.expected.safetensors
    python export_cases.py DIR --peer     also prints how far PyTorch's own float32 is from them, in units of the bound

Then: cargo run --release --example run_case -- DIR/*.safetensors
Needs torch and safetensors.
"""

import argparse
import math
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

F32, F16 = torch.float32, torch.float16


def case(name, dims, offset=0.0, scale=1.0, *, dtype=F32, layout="channels_first", mode="train", affine="weight bias",
         running=True, gradient=True, eps=1e-5, momentum="0.1", biased=False, batches=None, constant=False,
         activation="identity", residual=False, update=None, stats=None, poison=None):
    return dict(locals())


# Under the name of a case: that of the metadata, its numbers, and PyTorch's own.
ACTIVATIONS = {
    "identity": ("identity", {}, lambda z: z),
    "relu": ("relu", {}, F.relu),
    "relu6": ("relu6", {}, F.relu6),
    "leaky": ("leaky_relu", {}, F.leaky_relu),
    "leaky_steep": ("leaky_relu", {"alpha": "-1.75"}, lambda z: F.leaky_relu(z, -1.75)),
    "clamp": ("clamp", {"lo": "-0.5", "hi": "0.75"}, lambda z: F.hardtanh(z, -0.5, 0.75)),
    "clamp_below": ("clamp", {"lo": "-inf", "hi": "0.5"}, lambda z: F.hardtanh(z, -math.inf, 0.5)),
    "sigmoid": ("sigmoid", {}, F.sigmoid),
    "tanh": ("tanh", {}, F.tanh),
    "silu": ("silu", {}, F.silu),
    "gelu": ("gelu", {}, lambda z: F.gelu(z, approximate="tanh")),
}
LAST = {"layout": "channels_last"}


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

# Every activation, in both types and layouts, with and without a residual.
for name in ACTIVATIONS:
    acts = {"activation": name}
    if name != "identity":
        CASES += [
            case(f"{name}", (6, 12, 9, 7), 0.5, **acts),
            case(f"{name}_f16", (6, 12, 9, 7), 1e2, 3.0, dtype=F16, **acts),
        ]
    CASES += [
        case(f"{name}_residual_last", (6, 9, 7, 12), 1e4, residual=True, **LAST, **acts),
        case(f"{name}_residual_last_f16", (6, 9, 7, 13), 2.0, dtype=F16, residual=True, **LAST, **acts),
        case(f"{name}_residual_eval_1e3", (4, 7, 6, 5), 1e3, mode="eval", residual=True, **acts),
    ]
CASES += [
    case("relu_1e6", (8, 12, 9, 9), 1e6, activation="relu"),
    case("relu_residual_1e6_last", (8, 9, 9, 12), 1e6, residual=True, activation="relu", **LAST),
    case("silu_residual_1e6", (8, 12, 9, 9), 1e6, residual=True, activation="silu"),
    case("gelu_1e6_last", (8, 9, 9, 12), -1e6, activation="gelu", **LAST),
    case("tanh_scale_1e_minus_6", (16, 6, 50), 0.0, 1e-6, activation="tanh"),
    case("relu_flat", (33, 130), activation="relu"),
    case("silu_residual_flat_f16", (33, 131), dtype=F16, residual=True, activation="silu"),
    case("relu_wide", (7, 2048, 3), activation="relu", residual=True),
    case("relu_tiny_batch", (2, 9), activation="relu"),
    case("relu_constant_channel", (6, 4, 5, 5), 3.3, constant=True, affine="weight", activation="relu"),
    case("gelu_constant_channel_residual", (6, 4, 5, 5), 3.3, constant=True, residual=True, activation="gelu"),
    case("relu_forward_only", (4, 6, 10), gradient=False, residual=True, activation="relu"),

    # Through running statistics.
    case("eval_gradient", (4, 6, 5, 7), 2.0, mode="eval"),
    case("eval_gradient_last", (4, 5, 7, 6), 2.0, mode="eval", **LAST),
    case("eval_gradient_f16", (4, 6, 5, 7), 2.0, mode="eval", dtype=F16),
    case("eval_gradient_last_f16", (4, 5, 7, 6), 2.0, mode="eval", dtype=F16, **LAST),
    case("eval_gradient_1e4", (8, 12, 9, 9), 1e4, mode="eval"),
    case("eval_gradient_1e6_last", (8, 9, 9, 12), 1e6, mode="eval", **LAST),
    case("eval_gradient_no_affine", (4, 6, 10), 2.0, mode="eval", affine=""),
    case("eval_gradient_weight_only", (4, 6, 10), 2.0, mode="eval", affine="weight"),
    case("eval_gradient_bias_only", (4, 6, 10), 2.0, mode="eval", affine="bias"),
    case("eval_gradient_no_running", (4, 6, 5, 7), 2.0, mode="eval", running=False),
    case("eval_gradient_stats_batch", (4, 6, 5, 7), 2.0, mode="eval", stats="batch"),
    case("eval_gradient_flat_f16", (33, 131), mode="eval", dtype=F16),
    case("eval_relu", (4, 6, 5, 7), 2.0, mode="eval", activation="relu"),
    case("eval_relu_last_f16", (4, 5, 7, 6), 2.0, mode="eval", dtype=F16, activation="relu", **LAST),
    case("eval_silu_1e6", (8, 12, 9, 9), 1e6, mode="eval", activation="silu"),
    case("eval_gelu_residual_last_f16", (4, 5, 7, 6), 2.0, mode="eval", dtype=F16, residual=True, activation="gelu",
         **LAST),
    case("eval_relu_stats_batch", (4, 6, 5, 7), 2.0, mode="eval", stats="batch", residual=True, activation="relu"),
    case("train_stats_batch", (4, 6, 5, 7), 2.0, stats="batch"),
    case("train_stats_running", (4, 6, 5, 7), 2.0, stats="running"),
    case("train_stats_running_last_f16", (4, 5, 7, 6), 2.0, stats="running", dtype=F16, **LAST),
    case("train_stats_running_relu", (4, 6, 5, 7), 2.0, stats="running", residual=True, activation="relu"),
    case("train_stats_running_silu_1e4", (8, 12, 9, 9), 1e4, stats="running", activation="silu"),

    # How the running statistics follow.
    case("momentum_0", (4, 6, 10), 2.0, momentum="0.0", update="always"),
    case("momentum_1_biased", (4, 6, 10), 1e4, momentum="1.0", biased=True, update="always"),
    case("momentum_negative", (4, 6, 10), 2.0, momentum="-0.5", update="always"),
    case("cumulative_first_1e6", (8, 6, 10), 1e6, momentum="cumulative", update="always"),
    case("cumulative_100th_biased_last", (8, 10, 6), 1e3, momentum="cumulative", batches=99, biased=True,
         update="always", **LAST),
    case("cumulative_relu_residual", (4, 6, 10), 2.0, momentum="cumulative", batches=3, update="always",
         residual=True, activation="relu"),
    case("finite", (4, 6, 10), 2.0, update="finite"),
    case("finite_nan", (4, 6, 10), 2.0, update="finite", poison="nan"),
    case("finite_nan_last_f16", (4, 10, 6), 2.0, update="finite", poison="nan", dtype=F16, **LAST),
    case("finite_inf", (4, 6, 10), 2.0, update="finite", poison="inf"),
    case("finite_minus_inf_cumulative", (4, 6, 10), 2.0, update="finite", poison="-inf", momentum="cumulative",
         batches=5),
    case("finite_nan_relu_residual", (4, 6, 10), 2.0, update="finite", poison="nan", residual=True, activation="relu"),
    case("finite_nan_silu", (4, 6, 10), 2.0, update="finite", poison="nan", activation="silu"),
    case("finite_layer_nan", (4, 6, 10), 2.0, update="finite_layer", poison="nan"),
    case("finite_layer_cumulative", (4, 6, 10), 2.0, update="finite_layer", momentum="cumulative", batches=2),
    case("finite_nan_counted", (4, 6, 10), 2.0, update="finite", poison="nan", batches=8),
    case("always_inf", (4, 6, 10), 2.0, update="always", poison="inf"),
    case("always_nan", (4, 6, 10), 2.0, update="always", poison="nan"),
    case("never", (4, 6, 10), 2.0, update="never"),
    case("never_nan_f16", (4, 6, 10), 2.0, update="never", poison="nan", dtype=F16),
    case("never_stats_running_relu", (4, 6, 10), 2.0, update="never", stats="running", activation="relu"),
    case("finite_nan_stats_running", (4, 6, 10), 2.0, update="finite", stats="running", poison="nan"),

    # Parameters that are absent.
    case("relu_no_affine", (4, 6, 10), 2.0, affine="", activation="relu"),
    case("relu_weight_only_last", (4, 10, 6), 2.0, affine="weight", activation="relu", **LAST),
    case("silu_bias_only_residual", (4, 6, 10), 2.0, affine="bias", residual=True, activation="silu"),
    case("gelu_no_affine_residual_f16", (4, 6, 10), 2.0, affine="", residual=True, dtype=F16, activation="gelu"),
    case("clamp_weight_only_f16", (4, 6, 10), 2.0, affine="weight", dtype=F16, activation="clamp"),
    case("leaky_bias_only", (4, 6, 10), 2.0, affine="bias", activation="leaky"),
    case("tanh_bias_only_eval", (4, 6, 10), 2.0, affine="bias", mode="eval", activation="tanh"),
    case("sigmoid_no_affine_eval", (4, 6, 10), 2.0, affine="", mode="eval", residual=True, activation="sigmoid"),
    case("relu_weight_only_eval_last", (4, 10, 6), 2.0, affine="weight", mode="eval", activation="relu", **LAST),
]
assert len({spec["name"] for spec in CASES}) == len(CASES)


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
    if spec["poison"]:
        x[tuple(int(dim == axis) for dim in range(x.dim()))] = float(spec["poison"])
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
    if spec["residual"]:
        tensors["residual"] = (1.5 * normal(*spec["dims"])).to(spec["dtype"])
    activation, numbers, _ = ACTIVATIONS[spec["activation"]]
    metadata = {"mode": spec["mode"], "layout": spec["layout"], "eps": repr(spec["eps"]),
                "momentum": spec["momentum"], "activation": activation,
                "running_var": "biased" if spec["biased"] else "unbiased", **numbers}
    metadata |= {key: spec[key] for key in ("update", "stats") if spec[key] is not None}
    if spec["batches"] is not None:
        metadata["num_batches_tracked"] = str(spec["batches"])
    return axis, tensors, metadata


def by_batch(spec):
    """Whether the forward and the backward pass go through the statistics of the batch."""
    forward = spec["mode"] == "train" or not spec["running"]
    return forward, {"batch": True, "running": False, None: forward}[spec["stats"]]


def run(spec, axis, tensors, dtype):
    """What PyTorch makes of the stored inputs, computing in `dtype`."""
    given = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    x = given["x"].movedim(axis, 1).detach().requires_grad_()
    residual = given["residual"].movedim(axis, 1).detach().requires_grad_() if spec["residual"] else None
    weight, bias = given.get("weight"), given.get("bias")
    leaves = {"grad_input": x, "grad_weight": weight, "grad_bias": bias, "grad_residual": residual}
    leaves = {name: leaf.requires_grad_() for name, leaf in leaves.items() if leaf is not None}
    mean, var = given.get("running_mean"), given.get("running_var")
    momentum = 1 / ((spec["batches"] or 0) + 1) if spec["momentum"] == "cumulative" else float(spec["momentum"])

    def layer(batch, mean, var):
        z = F.batch_norm(x, mean, var, weight, bias, batch, momentum, spec["eps"])
        return ACTIVATIONS[spec["activation"]][2](z if residual is None else z + residual)

    forward, backward = by_batch(spec)
    running = [None if value is None else value.clone() for value in (mean, var)]
    y = layer(forward, *running)
    results = {"output": y.movedim(1, axis)}
    if spec["mode"] == "train":
        values = x.detach().transpose(0, 1).flatten(1)
        results["batch_mean"] = values.mean(1)
        results["batch_var"] = values.var(1, correction=0)
        if mean is not None:
            results |= follow(spec, momentum, [mean, var], running, results["batch_mean"], results["batch_var"])
    if spec["gradient"]:
        if backward != forward:
            y = layer(backward, *([None, None] if backward else [mean, var]))
        gradients = torch.autograd.grad(y, list(leaves.values()), given["grad_output"].movedim(axis, 1))
        results |= dict(zip(leaves, gradients))
        for name in {"grad_input", "grad_residual"} & set(leaves):
            results[name] = results[name].movedim(1, axis)
    return {name: result.detach().contiguous() for name, result in results.items()}


def follow(spec, momentum, old, new, batch_mean, batch_var):
    """The running statistics after the batch; `new` are PyTorch's own, which let every batch in."""
    if spec["biased"]:
        new[1] = (1 - momentum) * old[1] + momentum * batch_var
    finite = batch_mean.isfinite() & batch_var.isfinite()
    accepted = {"never": torch.zeros_like(finite), "finite": finite, "finite_layer": finite.all().expand_as(finite)}
    accepted = accepted.get(spec["update"], torch.ones_like(finite))
    names = ("new_running_mean", "new_running_var")
    results = {name: torch.where(accepted, *pair) for name, *pair in zip(names, new, old)}
    counted = spec["update"] in ("finite", "finite_layer") or spec["update"] and spec["momentum"] == "cumulative"
    if counted and spec["update"] != "never":
        # Batches that no channel lets in are no part of the average, and not counted.
        results["new_num_batches_tracked"] = torch.tensor((spec["batches"] or 0) + int(accepted.any()))
    return results


def peer(spec, axis, tensors, expected):
    """PyTorch's float32 errors by the bounds that run_case holds us to, for layers that only normalize."""
    forward, backward = by_batch(spec)
    frozen = spec["gradient"] and not (forward and backward)
    if spec["activation"] != "identity" or spec["residual"] or spec["poison"] or frozen:
        return {}
    actual = run(spec, axis, tensors, F32)
    x = tensors["x"].double().movedim(axis, 1).transpose(0, 1).flatten(1)
    mean = x.mean(1) if forward else tensors["running_mean"].double()
    var = x.var(1, correction=0) if forward else tensors["running_var"].double()
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
        errors = peer(spec, axis, tensors, expected) if arguments.peer else {}
        if errors:
            print(f"{spec['name']:<26}" + "".join(f" {name} {error:.3g}" for name, error in errors.items()))
    print(f"{len(CASES)} cases in {arguments.dir}")


if __name__ == "__main__":
    main()
