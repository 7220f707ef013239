//! The examples as a user meets them: processes with arguments, files, output and an exit code.
//!
//! `cargo test` builds them beside the tests; `cargo test --test examples` alone does not, and runs those that are there.
//! What needs an adapter runs on each backend that `run_case --list` finds. Without any it is shown as ignored;
//! `WGPU_BATCHNORM_REQUIRE=vulkan,gl` makes a missing one a failure.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// A test that needs no adapter.
type Plain = (&'static str, fn());
/// A test that runs on the backend of that name.
type OnBackend = (&'static str, fn(&str));

const EXAMPLES: [&str; 3] = ["demo", "embed", "run_case"];
const BACKENDS: [&str; 4] = ["vulkan", "metal", "dx12", "gl"];

const PLAIN: &[Plain] = &[
    ("help", help),
    ("wrong_arguments", wrong_arguments),
    ("no_adapter", no_adapter),
    ("run_case_without_files", run_case_without_files),
];
const ON_BACKEND: &[OnBackend] = &[
    ("list", list),
    ("embed", embed),
    ("exit_codes", exit_codes),
    ("unusable_files", unusable_files),
    ("expected_files", expected_files),
    ("written_files", written_files),
    ("nothing_is_written_over", nothing_is_written_over),
    ("conventions", conventions),
];
/// Too slow where nothing is optimized.
const SLOW_ON_BACKEND: &[OnBackend] = &[("demo", demo)];

fn main() {
    let arguments = Arguments::from_args();
    let present: Vec<&str> = BACKENDS.into_iter().filter(|backend| is_present(backend)).collect();
    let required = std::env::var("WGPU_BATCHNORM_REQUIRE").unwrap_or_default();
    let mut trials: Vec<Trial> =
        PLAIN.iter().map(|&(name, test)| trial(&format!("examples::{name}"), test)).collect();
    for backend in required.split(',').map(str::trim).filter(|name| !name.is_empty()) {
        if !present.contains(&backend) {
            let message = format!("no {backend} adapter, but WGPU_BATCHNORM_REQUIRE names it");
            let fail = move || Err(Failed::from(message));
            trials.push(Trial::test(format!("{backend}/examples::adapter"), fail));
        }
    }
    let all = ON_BACKEND.iter().map(|test| (test, false));
    for (&(name, test), slow) in all.chain(SLOW_ON_BACKEND.iter().map(|test| (test, true))) {
        if present.is_empty() {
            trials.push(trial(&format!("no-adapter/examples::{name}"), || ()).with_ignored_flag(true));
        }
        for &backend in &present {
            let trial = trial(&format!("{backend}/examples::{name}"), move || test(backend));
            trials.push(trial.with_ignored_flag(slow && cfg!(debug_assertions)));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}

fn trial(name: &str, test: impl FnOnce() + Send + 'static) -> Trial {
    Trial::test(name, move || {
        test();
        Ok(())
    })
}

/// What a process said, and how it ended.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

/// Examples are built into a folder beside that of the tests.
fn binary(example: &str) -> PathBuf {
    let test = std::env::current_exe().expect("path of the test");
    let profile = test.parent().and_then(Path::parent).expect("target/profile/deps/test");
    profile.join("examples").join(format!("{example}{}", std::env::consts::EXE_SUFFIX))
}

fn run<S: AsRef<std::ffi::OsStr>>(example: &str, arguments: impl IntoIterator<Item = S>) -> Ended {
    let binary = binary(example);
    let output = Command::new(&binary).args(arguments).stdin(Stdio::null()).output();
    let output = output
        .unwrap_or_else(|error| panic!("{}: {error}; cargo build --examples makes it", binary.display()));
    Ended {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Runs run_case on files of a folder.
fn run_case(backend: &str, folder: &Path, files: &[&str], more: &[&str]) -> Ended {
    let files = files.iter().map(|file| folder.join(file).into_os_string());
    let more = ["--backend", backend].into_iter().chain(more.iter().copied()).map(OsString::from);
    run("run_case", files.chain(more))
}

fn is_present(backend: &str) -> bool {
    binary("run_case").exists() && run("run_case", ["--list", "--backend", backend]).code == Some(0)
}

/// A folder of a test's own, gone at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str, backend: &str) -> Self {
        let name = format!("examples-{test}-{backend}-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).expect("folder of the test");
        Self(path)
    }

    fn write(&self, name: &str, file: &File) {
        std::fs::write(self.0.join(name), file.bytes()).expect("file of the test");
    }

    /// The tensors of a file, their types and values.
    fn read(&self, name: &str) -> HashMap<String, (Dtype, Vec<usize>, Vec<f64>)> {
        let bytes = std::fs::read(self.0.join(name)).expect("file of the example");
        let file = SafeTensors::deserialize(&bytes).expect("safetensors");
        let tensors = file.iter().map(|(name, view)| {
            let values = match view.dtype() {
                Dtype::F32 => view
                    .data()
                    .chunks_exact(4)
                    .map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]]).into())
                    .collect(),
                Dtype::F16 => view
                    .data()
                    .chunks_exact(2)
                    .map(|b| half::f16::from_le_bytes([b[0], b[1]]).into())
                    .collect(),
                other => panic!("{name} is {other}"),
            };
            (name.to_owned(), (view.dtype(), view.shape().to_vec(), values))
        });
        tensors.collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind lies in the target folder.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A file to be.
#[derive(Clone, Default)]
struct File {
    metadata: Vec<(&'static str, String)>,
    tensors: Vec<(&'static str, Dtype, Vec<usize>, Vec<u8>)>,
}

impl File {
    /// Two channels of four values: 1, 2, 3, 4 and ten times that.
    fn case() -> Self {
        Self::default().meta("mode", "train").meta("layout", "channels_first").f32(
            "x",
            &[2, 2, 2],
            &[1.0, 2.0, 10.0, 20.0, 3.0, 4.0, 30.0, 40.0],
        )
    }

    fn meta(mut self, key: &'static str, value: &str) -> Self {
        self.metadata.retain(|(known, _)| *known != key);
        self.metadata.push((key, value.to_owned()));
        self
    }

    fn without(mut self, key: &'static str) -> Self {
        self.metadata.retain(|(known, _)| *known != key);
        self.tensors.retain(|(known, ..)| *known != key);
        self
    }

    fn tensor(self, name: &'static str, dtype: Dtype, dims: &[usize], bytes: Vec<u8>) -> Self {
        let mut file = self;
        file.tensors.retain(|(known, ..)| *known != name);
        file.tensors.push((name, dtype, dims.to_vec(), bytes));
        file
    }

    fn f32(self, name: &'static str, dims: &[usize], values: &[f32]) -> Self {
        self.tensor(name, Dtype::F32, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn f64(self, name: &'static str, dims: &[usize], values: &[f64]) -> Self {
        self.tensor(name, Dtype::F64, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn bytes(&self) -> Vec<u8> {
        let view = |dtype: &Dtype, dims: &Vec<usize>, bytes| TensorView::new(*dtype, dims.clone(), bytes);
        let views = self
            .tensors
            .iter()
            .map(|(name, dtype, dims, bytes)| (*name, view(dtype, dims, bytes).expect("tensor")));
        let metadata: HashMap<_, _> = self.metadata.iter().map(|(k, v)| (k.to_string(), v.clone())).collect();
        let metadata = (!metadata.is_empty()).then_some(metadata);
        safetensors::serialize(views.collect::<Vec<_>>(), metadata).expect("safetensors")
    }
}

fn help() {
    for example in EXAMPLES {
        for option in ["--help", "-h"] {
            let ended = run(example, [option]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(ended.stdout.starts_with(example), "{ended:?}");
            for expected in ["--backend", "--adapter", "--list", "--help", "Exit code"] {
                assert!(ended.stdout.contains(expected), "{example}: no {expected} in {ended:?}");
            }
        }
    }
}

fn wrong_arguments() {
    let wrong: &[(&str, &[&str], &str)] = &[
        ("demo", &["--speed"], "--speed"),
        ("demo", &["file"], "file"),
        ("demo", &["--batch"], "--batch"),
        ("demo", &["--batch", "many"], "many"),
        ("demo", &["--batch", "1"], "--batch"),
        ("demo", &["--list=yes"], "--list"),
        ("embed", &["file"], "file"),
        ("embed", &["--backend", "opengl"], "needs to be vulkan, metal, dx12 or gl"),
        ("run_case", &["--adapter"], "--adapter"),
        ("run_case", &["--out"], "--out"),
        ("run_case", &["case.safetensors", "-o", "folder"], "-o"),
    ];
    for (example, arguments, expected) in wrong {
        let ended = run(example, *arguments);
        assert_eq!(ended.code, Some(2), "{example} {arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{example} {arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(&format!("usage: {example} ")), "{example} {arguments:?}: {ended:?}");
    }
}

fn no_adapter() {
    let name = "a name that no adapter has";
    for example in EXAMPLES {
        let listed = run(example, ["--list", "--adapter", name]);
        assert_eq!(listed.code, Some(3), "{listed:?}");
        assert!(listed.stdout.is_empty() && listed.stderr.contains("no adapter"), "{listed:?}");
        let ran = run(example, ["--adapter", name].iter().chain((example == "run_case").then_some(&"file")));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(name), "{ran:?}");
    }
}

fn run_case_without_files() {
    let none: [&[&str]; 2] = [&[], &["case.expected.safetensors"]];
    for arguments in none {
        let ended = run("run_case", arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("no FILE given"), "{ended:?}");
    }
}

fn list(backend: &str) {
    for example in EXAMPLES {
        let all = run(example, ["--list", "--backend", backend]);
        assert_eq!(all.code, Some(0), "{all:?}");
        let first = all.stdout.lines().next().unwrap_or_default();
        assert!(first.contains(&format!(", {backend}, ")), "{all:?}");
        // Whatever part of the name, in whatever case.
        let name: String = first.split(',').next().unwrap_or_default().chars().take(6).collect();
        let by_name = run(example, ["--list", "--backend", backend, "--adapter", &name.to_uppercase()]);
        assert_eq!(by_name.stdout.lines().next(), Some(first), "{by_name:?}");
    }
}

fn demo(backend: &str) {
    let ended = run("demo", ["--backend", backend, "--batch", "2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // 11 layers in 2 layouts and a flat one, 2 types, 3 operations.
    let rows = ended.stdout.lines().filter(|line| line.starts_with("2x") && line.contains(" ok ")).count();
    assert_eq!(rows, 23 * 2 * 3, "{ended:?}");
    assert!(ended.stdout.contains("138 rows in") && ended.stdout.contains("within its bound"), "{ended:?}");
    assert!(!ended.stderr.contains('\r'), "progress without a terminal: {ended:?}");
}

fn embed(backend: &str) {
    let ended = run("embed", ["--backend", backend]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().filter(|line| line.ends_with(" right")).count(), 12, "{ended:?}");
}

/// 0 for all within bounds, 1 for one beyond them, 2 for an unusable one, whose neighbours run all the same.
fn exit_codes(backend: &str) {
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
fn unusable_files(backend: &str) {
    let case = File::case;
    let running = || case().f32("running_mean", &[2], &[0.0; 2]).f32("running_var", &[2], &[1.0; 2]);
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
        ("activation", case().meta("activation", "relu"), "activation: is \"relu\""),
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
            "eval_gradient",
            running().meta("mode", "eval").f32("grad_output", &[2, 2, 2], &[1.0; 8]),
            "grad_output: is given with mode eval",
        ),
        ("residual", case().f32("residual", &[2, 2, 2], &[1.0; 8]), "residual: is given"),
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
fn expected_files(backend: &str) {
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
fn written_files(backend: &str) {
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
fn nothing_is_written_over(backend: &str) {
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

    let file = folder.0.join("case.safetensors/out").to_string_lossy().into_owned();
    let no_folder = run_case(backend, &folder.0, &["case.safetensors"], &["--out", &file]);
    assert!(no_folder.code == Some(2) && no_folder.stderr.contains("--out"), "{no_folder:?}");
}

/// What the metadata chooses, by the running statistics and outputs that come of it.
fn conventions(backend: &str) {
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
