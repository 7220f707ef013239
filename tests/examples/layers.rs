//! `run_case` on whole layers, with values that one can work out by hand.

use std::collections::HashMap;

use safetensors::tensor::Dtype;

use crate::files::{File, Folder};
use crate::process::run_case;

type Tensors = HashMap<String, (Dtype, Vec<usize>, Vec<f64>)>;

/// An activation as one would write it down.
type Definition<'a> = &'a dyn Fn(f64) -> f64;

const NAN: f64 = f64::NAN;

/// Runs each case twice: held against the reference, and for its results.
fn results(test: &str, backend: &str, cases: &[(&str, File)]) -> Vec<Tensors> {
    let folder = Folder::new(test, backend);
    let names: Vec<String> = cases.iter().map(|(name, _)| format!("{name}.safetensors")).collect();
    for (name, (_, file)) in names.iter().zip(cases) {
        folder.write(name, file);
    }
    let files: Vec<&str> = names.iter().map(String::as_str).collect();
    let compared = run_case(backend, &folder.0, &files, &[]);
    assert_eq!(compared.code, Some(0), "{compared:?}");
    assert!(!compared.stdout.contains("note:"), "{compared:?}");
    let out = folder.0.join("out").to_string_lossy().into_owned();
    let written = run_case(backend, &folder.0, &files, &["--out", &out]);
    assert_eq!(written.code, Some(0), "{written:?}");
    names.iter().map(|name| folder.read(&format!("out/{name}"))).collect()
}

#[track_caller]
fn near(case: &str, tensors: &Tensors, name: &str, expected: &[f64]) {
    let (_, _, values) = tensors.get(name).unwrap_or_else(|| panic!("{case}: no {name}"));
    let right = |(a, b): (&f64, &f64)| (a.is_nan() && b.is_nan()) || (a - b).abs() <= 1e-5 * (1.0 + b.abs());
    let all = values.len() == expected.len() && values.iter().zip(expected).all(right);
    assert!(all, "{case}: {name} is {values:?}, needs to be {expected:?}");
}

#[track_caller]
fn names(case: &str, tensors: &Tensors, expected: &str) {
    let mut names: Vec<_> = tensors.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names.join(" "), expected, "{case}");
}

/// x_hat is 0, 0.5, 1, 1.5 and 0, 1, 2, 3 by these running statistics.
fn frozen() -> File {
    File::case()
        .meta("mode", "eval")
        .meta("eps", "1")
        .f32("running_mean", &[2], &[1.0, 10.0])
        .f32("running_var", &[2], &[3.0, 99.0])
        .f32("weight", &[2], &[2.0, -10.0])
        .f32("bias", &[2], &[0.5, -0.5])
        .f32("grad_output", &[2, 2, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
}

/// The gradients of inference: the slope of each channel is 1 and -1.
fn is_frozen(case: &str, tensors: &Tensors) {
    near(case, tensors, "grad_input", &[1.0, 2.0, -3.0, -4.0, 5.0, 6.0, -7.0, -8.0]);
    near(case, tensors, "grad_weight", &[15.0, 42.0]);
    near(case, tensors, "grad_bias", &[14.0, 22.0]);
}

pub fn gradients_in_inference(backend: &str) {
    let residual = [-1.0, -1.0, 1.0, 1.0, 0.0, 0.0, 30.0, 30.0];
    let acts = frozen().meta("activation", "relu").f32("residual", &[2, 2, 2], &residual);
    let plain = frozen().without("weight").without("bias");
    let cases = [("eval_gradient", frozen()), ("relu", acts), ("no_affine", plain)];
    let all = results("gradients_in_inference", backend, &cases);
    near("eval_gradient", &all[0], "output", &[0.5, 1.5, -0.5, -10.5, 2.5, 3.5, -20.5, -30.5]);
    is_frozen("eval_gradient", &all[0]);
    names("eval_gradient", &all[0], "grad_bias grad_input grad_weight output");

    // z is -0.5, 0.5, 0.5, -9.5, 2.5, 3.5, 9.5, -0.5.
    near("relu", &all[1], "output", &[0.0, 0.5, 0.5, 0.0, 2.5, 3.5, 9.5, 0.0]);
    near("relu", &all[1], "grad_residual", &[0.0, 2.0, 3.0, 0.0, 5.0, 6.0, 7.0, 0.0]);
    near("relu", &all[1], "grad_input", &[0.0, 2.0, -3.0, 0.0, 5.0, 6.0, -7.0, 0.0]);
    near("relu", &all[1], "grad_weight", &[15.0, 14.0]);
    near("relu", &all[1], "grad_bias", &[13.0, 10.0]);
    let (dtype, dims, _) = &all[1]["grad_residual"];
    assert_eq!((*dtype, dims.as_slice()), (Dtype::F32, [2, 2, 2].as_slice()));

    near("no_affine", &all[2], "grad_input", &[0.5, 1.0, 0.3, 0.4, 2.5, 3.0, 0.7, 0.8]);
    names("no_affine", &all[2], "grad_input output");
}

/// Channels of -1, 1 and 9, 11, whose x_hat is -0.5, 0.5 with an eps of 3, and whose slope is 1.
fn trained() -> File {
    File::case()
        .meta("eps", "3")
        .f32("x", &[2, 2, 2], &[-1.0, 1.0, 9.0, 11.0, -1.0, 1.0, 9.0, 11.0])
        .f32("weight", &[2], &[2.0; 2])
        .f32("bias", &[2], &[0.5; 2])
        .f32("residual", &[2, 2, 2], &[0.0, 0.0, 1.0, 1.0, 0.0, -2.0, 0.0, 0.0])
        .f32("grad_output", &[2, 2, 2], &[4.0; 8])
}

pub fn residual_in_training(backend: &str) {
    let halves = |values: &[f32]| values.iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    let half = |file: File, name, values: &[f32]| file.tensor(name, Dtype::F16, &[2, 2, 2], halves(values));
    let relu = trained().meta("activation", "relu");
    let in_f16 = half(relu.clone(), "x", &[-1.0, 1.0, 9.0, 11.0, -1.0, 1.0, 9.0, 11.0]);
    let in_f16 = half(in_f16, "residual", &[0.0, 0.0, 1.0, 1.0, 0.0, -2.0, 0.0, 0.0]);
    let in_f16 = half(in_f16, "grad_output", &[4.0; 8]);
    let cases = [("identity", trained()), ("relu", relu), ("f16", in_f16)];
    let all = results("residual_in_training", backend, &cases);
    near("identity", &all[0], "output", &[-0.5, 1.5, 0.5, 2.5, -0.5, -0.5, -0.5, 1.5]);
    near("identity", &all[0], "grad_residual", &[4.0; 8]);
    // Adding a constant to x changes nothing.
    near("identity", &all[0], "grad_input", &[0.0; 8]);
    for (case, tensors) in [("relu", &all[1]), ("f16", &all[2])] {
        near(case, tensors, "output", &[0.0, 1.5, 0.5, 2.5, 0.0, 0.0, 0.0, 1.5]);
        near(case, tensors, "grad_residual", &[0.0, 4.0, 4.0, 4.0, 0.0, 0.0, 0.0, 4.0]);
        near(case, tensors, "grad_bias", &[4.0, 12.0]);
        near(case, tensors, "grad_weight", &[2.0, 2.0]);
        near(case, tensors, "grad_input", &[-0.75, 2.75, 1.25, 0.75, -0.75, -1.25, -2.75, 0.75]);
        let all = "batch_mean batch_var grad_bias grad_input grad_residual grad_weight output";
        names(case, tensors, all);
    }
    assert!(["output", "grad_input", "grad_residual"].iter().all(|name| all[2][*name].0 == Dtype::F16));
}

/// The backward pass goes through what `stats` says, the forward pass does not follow it.
pub fn statistics_of_the_backward_pass(backend: &str) {
    let by_batch = frozen().without("running_mean").without("running_var");
    let cases = [
        ("frozen_training", frozen().meta("mode", "train").meta("stats", "running")),
        ("inference_by_batch", frozen().meta("stats", "batch")),
        ("by_batch", by_batch.meta("stats", "batch")),
        ("training", frozen().meta("mode", "train")),
    ];
    let all = results("statistics_of_the_backward_pass", backend, &cases);
    // By the running statistics as they were: those of the batch have been let in since.
    is_frozen("frozen_training", &all[0]);
    near("frozen_training", &all[0], "running_mean", &[1.15, 11.5]);
    let [training, frozen_training] = [&all[3], &all[0]].map(|tensors| tensors["output"].2.as_slice());
    near("frozen_training", &all[0], "output", training);
    assert_ne!(frozen_training[0], 0.5);
    let gradients = all[3]["grad_input"].2.as_slice();
    near("inference_by_batch", &all[1], "output", &[0.5, 1.5, -0.5, -10.5, 2.5, 3.5, -20.5, -30.5]);
    near("inference_by_batch", &all[1], "grad_input", gradients);
    near("by_batch", &all[2], "grad_input", gradients);
    // They sum to zero.
    assert!(gradients[..2].iter().chain(&gradients[4..6]).sum::<f64>().abs() < 1e-5, "{gradients:?}");
}

/// What is let into the running statistics. The second channel has mean 25 and unbiased variance 500 / 3.
pub fn updates(backend: &str) {
    let plain = File::case().meta("momentum", "0.5").f32("running_mean", &[2], &[1.0; 2]).f32(
        "running_var",
        &[2],
        &[1.0; 2],
    );
    let poisoned =
        |value: f32| plain.clone().f32("x", &[2, 2, 2], &[1.0, value, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0]);
    let nan = || poisoned(f32::NAN);
    let cumulative = || nan().meta("momentum", "cumulative").meta("num_batches_tracked", "3");
    let (mean, var) = ([1.0, 13.0], [1.0, 0.5 + 250.0 / 3.0]);
    let (fourth_mean, fourth_var) = ([1.0, 7.0], [1.0, 0.75 + 125.0 / 3.0]);
    let cases = [
        ("always", nan(), [NAN, 13.0], [NAN, var[1]], None),
        ("finite", nan().meta("update", "finite"), mean, var, Some(1.0)),
        ("infinity", poisoned(f32::INFINITY).meta("update", "finite"), mean, var, Some(1.0)),
        ("finite_layer", nan().meta("update", "finite_layer"), [1.0; 2], [1.0; 2], Some(0.0)),
        ("never", nan().meta("update", "never"), [1.0; 2], [1.0; 2], None),
        ("counted", nan().meta("update", "finite").meta("num_batches_tracked", "8"), mean, var, Some(9.0)),
        ("cumulative", cumulative().meta("update", "finite"), fourth_mean, fourth_var, Some(4.0)),
        ("never_cumulative", cumulative().meta("update", "never"), [1.0; 2], [1.0; 2], None),
        (
            "all_finite",
            plain.clone().meta("update", "finite_layer"),
            [1.75, 13.0],
            [4.0 / 3.0, var[1]],
            Some(1.0),
        ),
    ];
    let files: Vec<(&str, File)> = cases.iter().map(|(name, file, ..)| (*name, file.clone())).collect();
    let all = results("updates", backend, &files);
    for (tensors, (case, _, mean, var, tracked)) in all.iter().zip(&cases) {
        near(case, tensors, "running_mean", mean);
        near(case, tensors, "running_var", var);
        let got = tensors.get("num_batches_tracked").map(|(dtype, dims, values)| {
            assert_eq!((*dtype, dims.len()), (Dtype::I64, 0), "{case}");
            values[0]
        });
        assert_eq!(got, *tracked, "{case}");
        let output = &tensors["output"].2;
        let of_channel = |c: usize| [0, 1, 4, 5].map(|i| output[i + 2 * c]);
        assert!(of_channel(1).iter().all(|value| value.is_finite()), "{case}: {output:?}");
        assert_eq!(of_channel(0).iter().all(|value| value.is_nan()), *case != "all_finite", "{case}");
    }
}

/// A NaN is right only where one is expected, a count only if it is the same.
pub fn expected_of_layers(backend: &str) {
    let folder = Folder::new("expected_of_layers", backend);
    let case = File::case()
        .meta("update", "finite")
        .f32("x", &[2, 2, 2], &[1.0, f32::NAN, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0])
        .f32("running_mean", &[2], &[1.0; 2])
        .f32("running_var", &[2], &[1.0; 2]);
    let count = |count: i64| {
        File::default().tensor("new_num_batches_tracked", Dtype::I64, &[], count.to_le_bytes().to_vec())
    };
    let never = File::default().f64("new_running_mean", &[2], &[1.0, 1.000_000_1]);
    let relu = trained().meta("activation", "relu");
    let residual = |third: f64| {
        let values = [0.0, 4.0, third, 4.0, 0.0, 0.0, 0.0, 4.0];
        File::default().f64("grad_residual", &[2, 2, 2], &values)
    };
    // z is 0, where the slope may be that of either side, and 0.5, where it may not.
    let corner = frozen().without("weight").without("bias").meta("activation", "relu");
    let around = |at_0: f64, at_half: f64| {
        let values = [at_0, at_half, 0.0, 0.4, 2.5, 3.0, 0.7, 0.8];
        File::default().f64("grad_input", &[2, 2, 2], &values)
    };
    let cases: &[(&str, &File, File, i32, &str)] = &[
        ("corner", &corner, around(0.5, 1.0), 0, "grad_input"),
        ("corner_turned", &corner, around(0.6, 1.0), 1, "grad_input"),
        ("no_corner", &corner, around(0.0, 0.0), 1, "grad_input"),
        ("right", &case, count(1).f64("batch_mean", &[2], &[NAN, 25.0]), 0, "num_batches_tracked"),
        ("count", &case, count(2), 1, "num_batches_tracked"),
        ("count_type", &case, File::default().f64("new_num_batches_tracked", &[], &[1.0]), 2, "to be I64"),
        ("nan", &case, File::default().f64("new_running_mean", &[2], &[NAN, 3.4]), 1, "running_mean"),
        ("finite", &case, File::default().f64("batch_var", &[2], &[1.25, 125.0]), 1, "batch_var"),
        ("never", &case.clone().meta("update", "never"), never, 1, "running_mean"),
        ("residual", &relu, residual(4.0), 0, "grad_residual"),
        // What a ReLU lets through it does not touch.
        ("residual_off", &relu, residual(4.000_001), 1, "grad_residual"),
        ("residual_stopped", &relu, residual(0.0), 1, "grad_residual"),
        ("output", &relu, File::default().f64("output", &[2, 2, 2], &[0.0; 8]), 1, "output"),
    ];
    for (name, case, expected, code, text) in cases {
        folder.write(&format!("{name}.safetensors"), case);
        folder.write(&format!("{name}.expected.safetensors"), expected);
        let ended = run_case(backend, &folder.0, &[&format!("{name}.safetensors")], &[]);
        assert_eq!(ended.code, Some(*code), "{name}: {ended:?}");
        let mut lines = ended.stdout.lines().chain(ended.stderr.lines());
        let mark = ["ok:", "OUT OF BOUNDS", ""][*code as usize];
        assert!(lines.any(|line| line.contains(mark) && line.contains(text)), "{name}: {ended:?}");
    }
}

/// Each activation by its name and numbers, of x itself.
pub fn activations(backend: &str) {
    let z = [-2.0f32, -0.25, 0.0, 0.25, 0.75, 1.0, 3.0, 7.0];
    let case = |activation: &str| {
        File::case()
            .meta("mode", "eval")
            .meta("eps", "0")
            .meta("activation", activation)
            .f32("x", &[2, 2, 2], &z)
            .f32("running_mean", &[2], &[0.0; 2])
            .f32("running_var", &[2], &[1.0; 2])
            .f32("grad_output", &[2, 2, 2], &[1.0; 8])
    };
    let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
    let gelu = |z: f64| {
        let u = (2.0 / std::f64::consts::PI).sqrt() * (z + 0.044715 * z * z * z);
        0.5 * z * (1.0 + u.tanh())
    };
    let cases: &[(&str, File, Definition<'_>)] = &[
        ("identity", case("identity"), &|z| z),
        ("relu", case("relu"), &|z| z.max(0.0)),
        ("relu6", case("relu6"), &|z| z.clamp(0.0, 6.0)),
        ("leaky_relu", case("leaky_relu"), &|z| z.max(0.01 * z)),
        ("alpha", case("leaky_relu").meta("alpha", "0.5"), &|z| z.max(0.5 * z)),
        ("clamp", case("clamp").meta("lo", "-0.5").meta("hi", "0.5"), &|z| z.clamp(-0.5, 0.5)),
        ("above", case("clamp").meta("lo", "-inf").meta("hi", "0.5"), &|z| z.min(0.5)),
        ("below", case("clamp").meta("lo", "-0.5").meta("hi", "inf"), &|z| z.max(-0.5)),
        ("sigmoid", case("sigmoid"), &sigmoid),
        ("tanh", case("tanh"), &f64::tanh),
        ("silu", case("silu"), &|z| z * sigmoid(z)),
        ("gelu", case("gelu"), &gelu),
    ];
    let files: Vec<(&str, File)> = cases.iter().map(|(name, file, _)| (*name, file.clone())).collect();
    let all = results("activations", backend, &files);
    for (tensors, (case, _, activation)) in all.iter().zip(cases) {
        let z = z.map(f64::from);
        near(case, tensors, "output", &z.map(activation));
        // From the left: there lies the flat side of every corner that is met here.
        let slope = |z: f64| (activation(z) - activation(z - 1e-7)) / 1e-7;
        near(case, tensors, "grad_input", &z.map(slope));
    }
}
