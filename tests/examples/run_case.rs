//! `run_case`, held to its contract.

use safetensors::tensor::Dtype;

use crate::files::{File, Folder};
use crate::process::run_case;

/// 0 for all within bounds, 1 for one beyond them, 2 for an unusable one, whose neighbours run all the same.
pub fn exit_codes(backend: &str) {
    let folder = Folder::new("exit_codes", backend);
    folder.write("good.safetensors", &File::case());
    folder.write("far.safetensors", &File::case());
    folder.write("far.expected.safetensors", &File::default().f64("batch_mean", &[2], &[2.5, 25.001]));
    std::fs::write(folder.0.join("bad.safetensors"), "not a tensor in it").expect("file of the test");

    let run = |files: &[&str]| run_case(backend, &folder.0, files, &[]);
    let good = run(&["good.safetensors"]);
    assert_eq!(good.code, Some(0), "{good:?}");
    assert!(good.stdout.contains("1 case: 1 within bounds, 0 out of bounds, 0 unusable"), "{good:?}");

    let far = run(&["good.safetensors", "far.safetensors", "far.expected.safetensors"]);
    assert_eq!(far.code, Some(1), "{far:?}");
    assert!(far.stdout.contains("2 cases: 1 within bounds, 1 out of bounds, 0 unusable"), "{far:?}");
    let line = far.stdout.lines().find(|line| line.contains("OUT OF BOUNDS")).expect("a line of it");
    assert!(line.contains("batch_mean") && line.contains("absolute 1.0e-3"), "{line}");

    let bad = run(&["bad.safetensors", "far.safetensors", "absent.safetensors", "good.safetensors"]);
    assert_eq!(bad.code, Some(2), "{bad:?}");
    assert!(bad.stdout.contains("4 cases: 1 within bounds, 1 out of bounds, 2 unusable"), "{bad:?}");
    for name in ["bad.safetensors: is no safetensors file", "absent.safetensors: cannot be read"] {
        assert!(bad.stderr.contains(name), "{bad:?}");
    }
}

/// Each is named with its reason, all in one process, and the good one among them runs.
pub fn unusable_files(backend: &str) {
    let case = File::case;
    let running = || case().f32("running_mean", &[2], &[0.0; 2]).f32("running_var", &[2], &[1.0; 2]);
    let leaky = |alpha: &str| case().meta("activation", "leaky_relu").meta("alpha", alpha);
    let clamp = |lo: &str, hi: &str| case().meta("activation", "clamp").meta("lo", lo).meta("hi", hi);
    let files: &[(&str, File, &str)] = &[
        ("no_metadata", case().without("mode").without("layout"), "metadata: there is none"),
        ("no_mode", case().without("mode"), "mode: is absent"),
        ("mode", case().meta("mode", "test"), "mode: is \"test\""),
        ("no_layout", case().without("layout"), "neither layout nor channel_axis"),
        ("layout", case().meta("layout", "NCHW"), "layout: is \"NCHW\""),
        ("axis", case().without("layout").meta("channel_axis", "3"), "from -3 to 2"),
        ("axis_text", case().without("layout").meta("channel_axis", "last"), "channel_axis: is \"last\""),
        ("two_axes", case().meta("channel_axis", "2"), "layout says channel axis 1, channel_axis says 2"),
        ("eps", case().meta("eps", "small"), "eps: is \"small\""),
        ("eps_zero", case().meta("eps", "0"), "eps: is 0"),
        ("eps_range", case().meta("eps", "1e-60"), "range of F32"),
        ("momentum", case().meta("momentum", "None"), "momentum: is \"None\""),
        ("momentum_nan", running().meta("momentum", "nan"), "momentum: is NaN"),
        (
            "batches",
            case().meta("momentum", "cumulative").meta("num_batches_tracked", "-1"),
            "num_batches_tracked: is \"-1\"",
        ),
        ("running_var", case().meta("running_var", "both"), "running_var: is \"both\""),
        (
            "batches_many",
            case().meta("momentum", "cumulative").meta("num_batches_tracked", "4294967295"),
            "num_batches_tracked: is 4294967295, needs to be a whole number from 0 to 4294967294",
        ),
        ("activation", case().meta("activation", "softplus"), "activation: is \"softplus\""),
        (
            "alpha_of_relu",
            case().meta("activation", "relu").meta("alpha", "0.1"),
            "alpha: is given with activation relu, needs activation leaky_relu",
        ),
        ("alpha_alone", case().meta("alpha", "0.1"), "alpha: is given with activation identity"),
        ("alpha", leaky("small"), "alpha: is \"small\""),
        ("alpha_infinite", leaky("inf"), "alpha is inf, needs to be finite"),
        ("alpha_range", leaky("1e60"), "range of F32"),
        ("hi_of_relu6", clamp("0", "7").meta("activation", "relu6"), "lo: is given with activation relu6"),
        ("no_hi", clamp("0", "1").without("hi"), "hi: is absent"),
        ("no_lo", clamp("0", "1").without("lo"), "lo: is absent"),
        ("hi_below_lo", clamp("1", "0.5"), "hi is 0.5, needs to be above lo"),
        ("lo_nan", clamp("nan", "1"), "lo is NaN"),
        ("update", running().meta("update", "sometimes"), "update: is \"sometimes\""),
        ("stats", running().meta("stats", "both"), "stats: is \"both\""),
        ("no_stats", case().meta("stats", "running"), "stats: is \"running\", needs running_mean"),
        ("no_x", case().without("x"), "x: is absent"),
        ("rank", case().f32("x", &[2], &[1.0; 2]), "rank is 1"),
        ("no_channels", case().f32("x", &[2, 0, 2], &[]), "0 channels"),
        ("one_value", case().f32("x", &[1, 2, 1], &[1.0; 2]), "1 value per channel"),
        ("x_f64", case().f64("x", &[2, 2], &[1.0; 4]), "x: is F64, needs to be F32 or F16"),
        ("x_bf16", case().tensor("x", Dtype::BF16, &[2, 2], vec![0; 8]), "x: is BF16"),
        ("weight_length", case().f32("weight", &[3], &[1.0; 3]), "weight: is F32 [3], needs to be F32 [2]"),
        ("weight_rank", case().f32("weight", &[1, 2], &[1.0; 2]), "weight: is F32 [1, 2]"),
        (
            "bias_f16",
            case().tensor("bias", Dtype::F16, &[2], vec![0; 4]),
            "bias: is F16 [2], needs to be F32",
        ),
        ("one_running", running().without("running_var"), "running_var: is absent"),
        ("gradient_shape", case().f32("grad_output", &[2, 4], &[1.0; 8]), "grad_output: is F32 [2, 4]"),
        (
            "gradient_type",
            case().tensor("grad_output", Dtype::F16, &[2, 2, 2], vec![0; 16]),
            "grad_output: is F16",
        ),
        (
            "eval_gradient_shape",
            running().meta("mode", "eval").f32("grad_output", &[8], &[1.0; 8]),
            "grad_output: is F32 [8], needs to be F32 [2, 2, 2] like x",
        ),
        (
            "residual_shape",
            case().f32("residual", &[2], &[1.0; 2]),
            "residual: is F32 [2], needs to be F32 [2, 2, 2]",
        ),
        ("residual_type", case().tensor("residual", Dtype::F16, &[2, 2, 2], vec![0; 16]), "residual: is F16"),
    ];
    let folder = Folder::new("unusable_files", backend);
    let mut names = Vec::new();
    for (name, file, _) in files {
        names.push(format!("{name}.safetensors"));
        folder.write(&names[names.len() - 1], file);
    }
    let whole = File::case().bytes();
    std::fs::write(folder.0.join("cut.safetensors"), &whole[..whole.len() - 4]).expect("file of the test");
    std::fs::create_dir(folder.0.join("folder.safetensors")).expect("folder of the test");
    folder.write("good.safetensors", &File::case());
    names.extend(["cut.safetensors", "folder.safetensors", "good.safetensors"].map(str::to_owned));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();

    let ended = run_case(backend, &folder.0, &names, &[]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    let reasons = files.iter().map(|(name, _, reason)| (*name, *reason));
    for (name, reason) in reasons.chain([("cut", "is no safetensors file"), ("folder", "cannot be read")]) {
        let path = folder.0.join(format!("{name}.safetensors")).display().to_string();
        let lines: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with(&path)).collect();
        assert!(lines.len() == 1 && lines[0].contains(reason), "{name}: {lines:?} lacks {reason:?}");
    }
    let count =
        format!("{} cases: 1 within bounds, 0 out of bounds, {} unusable", names.len(), names.len() - 1);
    assert!(ended.stdout.contains(&count), "{ended:?}");
}

/// What an expected file says is what counts, under its own names; what it leaves out is compared with the reference.
pub fn expected_files(backend: &str) {
    let folder = Folder::new("expected_files", backend);
    let case = File::case().f32("running_mean", &[2], &[0.0; 2]).f32("running_var", &[2], &[1.0; 2]);
    let expected =
        File::default().f64("batch_mean", &[2], &[2.5, 25.0]).f32("batch_var", &[2], &[1.25, 125.0]);
    let right = expected.clone().f64("new_running_mean", &[2], &[0.25, 2.5]);
    let cases: &[(&str, File, i32, &str)] = &[
        ("right", right.f64("new_running_var", &[2], &[0.9 + 0.5 / 3.0, 0.9 + 50.0 / 3.0]), 0, "batch_var"),
        ("old", expected.clone().f64("new_running_mean", &[2], &[0.0, 0.0]), 1, "running_mean"),
        ("nan", expected.clone().f64("output", &[2, 2, 2], &[f64::NAN; 8]), 1, "output"),
        ("shape", expected.clone().f64("output", &[8], &[0.0; 8]), 2, "needs to be [2, 2, 2]"),
        (
            "type",
            expected.clone().tensor("output", Dtype::F16, &[2, 2, 2], vec![0; 16]),
            2,
            "needs to be F64 or F32",
        ),
        (
            "more",
            expected.f64("grad_input", &[2, 2, 2], &[0.0; 8]),
            0,
            "grad_input is expected, but no result",
        ),
    ];
    for (name, expected, code, text) in cases {
        folder.write(&format!("{name}.safetensors"), &case);
        folder.write(&format!("{name}.expected.safetensors"), expected);
        let ended = run_case(backend, &folder.0, &[&format!("{name}.safetensors")], &[]);
        assert_eq!(ended.code, Some(*code), "{name}: {ended:?}");
        let lines = ended.stdout.lines().chain(ended.stderr.lines());
        let mut lines = lines.filter(|line| *code != 1 || line.contains("OUT OF BOUNDS"));
        assert!(lines.any(|line| line.contains(text)), "{name}: no {text} in {ended:?}");
    }
    std::fs::write(folder.0.join("right.expected.safetensors"), "nothing").expect("file of the test");
    let broken = run_case(backend, &folder.0, &["right.safetensors"], &[]);
    assert!(broken.code == Some(2) && broken.stderr.contains("right.expected.safetensors"), "{broken:?}");
}

/// All that a case implies, and nothing else, with the values that one can work out by hand.
pub fn written_files(backend: &str) {
    let folder = Folder::new("written_files", backend);
    let case = File::case()
        .f32("running_mean", &[2], &[1.0, -1.0])
        .f32("running_var", &[2], &[1.0, 2.0])
        .f32("bias", &[2], &[0.5, -0.5])
        .f32("grad_output", &[2, 2, 2], &[1.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    folder.write("forward.safetensors", &File::case());
    folder.write("full.safetensors", &case);
    let half: Vec<u8> =
        [1.0f32, 2.0, 3.0, 4.0].iter().flat_map(|&v| half::f16::from_f32(v).to_le_bytes()).collect();
    folder.write(
        "half.safetensors",
        &File::case().tensor("x", Dtype::F16, &[4, 1], half).meta("layout", "channels_last"),
    );
    folder.write("eval.safetensors", &case.without("grad_output").meta("mode", "eval"));
    let out = folder.0.join("new/out");
    let files = ["forward.safetensors", "full.safetensors", "half.safetensors", "eval.safetensors"];
    let ended = run_case(backend, &folder.0, &files, &["--out", &out.to_string_lossy()]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("4 cases: 4 written"), "{ended:?}");

    let names = |file: &str| {
        let mut names: Vec<_> = folder.read(&format!("new/out/{file}")).into_keys().collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(names("forward.safetensors"), "batch_mean batch_var output");
    let full = "batch_mean batch_var grad_bias grad_input output running_mean running_var";
    assert_eq!(names("full.safetensors"), full);
    assert_eq!(names("eval.safetensors"), "output");

    let full = folder.read("new/out/full.safetensors");
    let near = |name: &str, dims: &[usize], expected: &[f64]| {
        let (dtype, got_dims, values) = &full[name];
        assert_eq!((*dtype, got_dims.as_slice()), (Dtype::F32, dims), "{name}");
        let right = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-5 * (1.0 + b.abs());
        assert!(
            values.len() == expected.len() && values.iter().zip(expected).all(right),
            "{name}: {values:?}"
        );
    };
    near("batch_mean", &[2], &[2.5, 25.0]);
    near("batch_var", &[2], &[1.25, 125.0]);
    near("running_mean", &[2], &[1.15, 1.6]);
    near("running_var", &[2], &[0.9 + 0.5 / 3.0, 1.8 + 50.0 / 3.0]);
    near("grad_bias", &[2], &[1.0, 3.0]);
    let x_hat = [-1.5, -0.5, -1.5, -0.5, 0.5, 1.5, 0.5, 1.5].map(|deviation| deviation / 1.25f64.sqrt());
    let bias = [0.5, 0.5, -0.5, -0.5, 0.5, 0.5, -0.5, -0.5];
    let output: Vec<f64> = x_hat.iter().zip(bias).map(|(x_hat, bias)| x_hat + bias).collect();
    near("output", &[2, 2, 2], &output);
    let (dtype, dims, values) = &folder.read("new/out/half.safetensors")["output"];
    assert_eq!((*dtype, dims.as_slice()), (Dtype::F16, [4, 1].as_slice()));
    assert!((values[3] - 1.5 / 1.25f64.sqrt()).abs() < 1e-3, "{values:?}");
}

/// Neither a case nor the results of another one.
pub fn nothing_is_written_over(backend: &str) {
    let folder = Folder::new("nothing_is_written_over", backend);
    std::fs::create_dir(folder.0.join("other")).expect("folder of the test");
    folder.write("case.safetensors", &File::case());
    folder.write("other/case.safetensors", &File::case());
    let (case, here) = (folder.0.join("case.safetensors"), folder.0.to_string_lossy().into_owned());
    let before = std::fs::read(&case).expect("file of the test");
    let onto = run_case(backend, &folder.0, &["case.safetensors"], &["--out", &here]);
    assert!(onto.code == Some(2) && onto.stderr.contains("would be written over the case"), "{onto:?}");
    assert!(std::fs::read(&case).is_ok_and(|after| after == before), "the case is not what it was");

    let out = folder.0.join("out").to_string_lossy().into_owned();
    let twice =
        run_case(backend, &folder.0, &["case.safetensors", "other/case.safetensors"], &["--out", &out]);
    assert!(twice.code == Some(2) && twice.stderr.contains("already holds the results"), "{twice:?}");
    assert!(twice.stdout.contains("2 cases: 1 written, 0 out of bounds, 1 unusable"), "{twice:?}");

    folder.write("case.expected.bin", &File::case());
    let named = run_case(backend, &folder.0, &["case.expected.bin"], &["--out", &out]);
    assert!(named.code == Some(2) && named.stderr.contains("named like expected values"), "{named:?}");

    let file = folder.0.join("case.safetensors/out").to_string_lossy().into_owned();
    let no_folder = run_case(backend, &folder.0, &["case.safetensors"], &["--out", &file]);
    assert!(no_folder.code == Some(2) && no_folder.stderr.contains("--out"), "{no_folder:?}");
}

/// What the metadata chooses, by the running statistics and outputs that come of it.
pub fn conventions(backend: &str) {
    let folder = Folder::new("conventions", backend);
    let case = || File::case().f32("running_mean", &[2], &[1.0; 2]).f32("running_var", &[2], &[1.0; 2]);
    let count = 3i64.to_le_bytes().to_vec();
    let cumulative = || case().meta("momentum", "cumulative");
    // The first channel has mean 2.5, biased variance 1.25 and unbiased variance 5 / 3.
    let cases: &[(&str, File, f64, f64)] = &[
        ("default", case(), 1.15, 0.9 + 0.5 / 3.0),
        ("momentum", case().meta("momentum", "0.5"), 1.75, 0.5 + 2.5 / 3.0),
        ("biased", case().meta("running_var", "biased"), 1.15, 1.025),
        ("cumulative", cumulative(), 2.5, 5.0 / 3.0),
        ("batches", cumulative().meta("num_batches_tracked", "3"), 1.375, 0.75 + 1.25 / 3.0),
        (
            "batches_tensor",
            cumulative().tensor("num_batches_tracked", Dtype::I64, &[], count),
            1.375,
            0.75 + 1.25 / 3.0,
        ),
        ("empty", case().f32("x", &[0, 2, 2], &[]), 1.0, 1.0),
    ];
    let names: Vec<String> = cases.iter().map(|(name, ..)| format!("{name}.safetensors")).collect();
    for (name, (_, file, ..)) in names.iter().zip(cases) {
        folder.write(name, file);
    }
    let mut files: Vec<&str> = names.iter().map(String::as_str).collect();
    let eval = File::case().meta("mode", "eval");
    folder.write("by_itself.safetensors", &eval);
    folder.write("eval.safetensors", &case().meta("mode", "eval").meta("eps", "3"));
    let last = File::case().without("layout").meta("channel_axis", "-1");
    folder.write("axis.safetensors", &last);
    files.extend(["by_itself.safetensors", "eval.safetensors", "axis.safetensors"]);

    let compared = run_case(backend, &folder.0, &files, &[]);
    assert_eq!(compared.code, Some(0), "{compared:?}");
    let out = folder.0.join("out").to_string_lossy().into_owned();
    let written = run_case(backend, &folder.0, &files, &["--out", &out]);
    assert_eq!(written.code, Some(0), "{written:?}");
    let first = |name: &str, tensor: &str| folder.read(&format!("out/{name}.safetensors"))[tensor].2[0];
    let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
    for (name, _, mean, variance) in cases {
        let (got_mean, got_variance) = (first(name, "running_mean"), first(name, "running_var"));
        assert!(near(got_mean, *mean) && near(got_variance, *variance), "{name}: {got_mean}, {got_variance}");
    }
    // Without running statistics by those of the batch; else by the given ones: (1 - 1) / sqrt(1 + 3).
    assert!(near(first("by_itself", "output"), -1.5 / 1.25f64.sqrt()));
    assert!(near(first("eval", "output"), 0.0));
    // Channels of 1, 10, 3, 30.
    assert!(near(first("axis", "batch_mean"), 11.0));
}
