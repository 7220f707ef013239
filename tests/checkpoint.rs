//! The state of a layer in files: as PyTorch writes them, as this crate writes them, and as nobody should.

use half::{bf16, f16};
use safetensors::Dtype::{self, BF16, F16, F32, F64, I32, I64, U32, U64};
use safetensors::tensor::TensorView;
use safetensors::{SafeTensors, serialize};
use wgpu_batchnorm::{BatchNormState, Error, StateTensor};

/// A tensor by name, type, shape and bytes.
type Tensor<'a> = (&'a str, Dtype, &'a [usize], Vec<u8>);

fn file(tensors: &[Tensor<'_>]) -> Vec<u8> {
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (*name, TensorView::new(*dtype, shape.to_vec(), data).expect("a tensor"))
    });
    serialize(views, None).expect("a file")
}

fn read(file: &[u8], prefix: &str) -> Result<BatchNormState, Error> {
    BatchNormState::from_safetensors(&SafeTensors::deserialize(file).expect("a valid file"), prefix)
}

#[track_caller]
fn refusal(tensors: &[Tensor<'_>], prefix: &str) -> String {
    read(&file(tensors), prefix).expect_err("refused").to_string()
}

fn f32s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn f16s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
}

fn bf16s(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect()
}

fn f64s(values: &[f64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn i64s(value: i64) -> Vec<u8> {
    value.to_le_bytes().to_vec()
}

/// Different numbers in each place, so that none is taken for another.
fn state() -> BatchNormState {
    BatchNormState {
        weight: Some(vec![1.5, -2.0, 0.1]),
        bias: Some(vec![0.0, -0.0, 1e-40]),
        running_mean: Some(vec![1e6, -3.25, f32::MIN_POSITIVE]),
        running_var: Some(vec![4.0, 1e30, 0.5]),
        num_batches_tracked: Some(12_345_678_901),
    }
}

/// The same as PyTorch writes it.
fn by_pytorch(prefix: &str) -> Vec<(String, Dtype, Vec<usize>, Vec<u8>)> {
    let state = state();
    let mut tensors: Vec<_> = [
        ("weight", state.weight),
        ("bias", state.bias),
        ("running_mean", state.running_mean),
        ("running_var", state.running_var),
    ]
    .into_iter()
    .map(|(name, values)| (format!("{prefix}{name}"), F32, vec![3], f32s(&values.expect("values"))))
    .collect();
    tensors.push((format!("{prefix}num_batches_tracked"), I64, vec![], i64s(12_345_678_901)));
    tensors
}

fn borrowed(tensors: &[(String, Dtype, Vec<usize>, Vec<u8>)]) -> Vec<Tensor<'_>> {
    tensors.iter().map(|(name, dtype, shape, data)| (&**name, *dtype, &**shape, data.clone())).collect()
}

/// Which prefix stands for which beginning of the names.
const PREFIXES: [(&str, &str); 6] = [
    ("", ""),
    ("bn1", "bn1."),
    ("bn1.", "bn1."),
    ("layer1.0.bn1", "layer1.0.bn1."),
    ("running_mean", "running_mean."),
    ("früh.1", "früh.1."),
];

/// What is written is what PyTorch writes, to the byte, and is read back as it was, to the bit.
#[test]
fn there_and_back() {
    for (prefix, beginning) in PREFIXES {
        let written = serialize(state().to_safetensors(prefix).expect("written"), None).expect("a file");
        assert_eq!(written, file(&borrowed(&by_pytorch(beginning))), "{prefix:?}");
        let back = read(&written, prefix).expect("read");
        assert_eq!(back, state());
        assert_eq!(back.bias.map(|bias| bias[1].to_bits()), Some((-0.0f32).to_bits()));
        // Also from an odd address.
        let moved: Vec<u8> = [0].into_iter().chain(written).collect();
        assert_eq!(read(&moved[1..], prefix), Ok(state()));
    }
}

/// Every subset that a layer can have: what is absent stays absent.
#[test]
fn what_there_is() {
    for subset in 0..16 {
        let has = |bit: u32| subset & (1 << bit) != 0;
        let part = BatchNormState {
            weight: state().weight.filter(|_| has(0)),
            bias: state().bias.filter(|_| has(1)),
            running_mean: state().running_mean.filter(|_| has(2)),
            running_var: state().running_var.filter(|_| has(2)),
            num_batches_tracked: state().num_batches_tracked.filter(|_| has(3)),
        };
        let written = serialize(part.to_safetensors("bn").expect("written"), None).expect("a file");
        match read(&written, "bn") {
            Ok(back) => assert_eq!(back, part),
            Err(Error::NoState { .. }) => assert_eq!(part.channels(), None),
            Err(error) => panic!("{error}"),
        }
    }
}

/// Several layers, and tensors of other kinds, in one file.
#[test]
fn many_layers() {
    let others =
        file(&[("conv1.weight", F32, &[2, 1, 1, 1], f32s(&[1.0, 2.0])), ("bn2.odd", I32, &[0], vec![])]);
    let others = SafeTensors::deserialize(&others).expect("a valid file");
    let all = others.tensors().into_iter().map(|(name, view)| (name, StateTensor::from(view)));
    let (large, small) = (BatchNormState::new(70), state());
    let all = all.chain(large.to_safetensors("layer1.0.bn1").expect("written"));
    let all = all.chain(small.to_safetensors("bn1").expect("written"));
    let written = serialize(all, None).expect("a file");
    let tensors = SafeTensors::deserialize(&written).expect("a valid file");
    assert_eq!(BatchNormState::prefixes(&tensors), ["bn1", "layer1.0.bn1"]);
    assert_eq!(read(&written, "bn1"), Ok(small));
    assert_eq!(read(&written, "layer1.0.bn1"), Ok(large));
    let convolution = tensors.tensor("conv1.weight").expect("the tensor beside");
    assert_eq!((convolution.shape(), convolution.data()), (&[2, 1, 1, 1][..], &*f32s(&[1.0, 2.0])));
    assert_eq!(tensors.tensor("bn2.odd").expect("an empty tensor").shape(), [0]);
}

/// Each storage type, by bits: conversions are exact but for F64, which is rounded to the nearest.
#[test]
fn storage_types() {
    let halves = [0.1f32, -65504.0, 2f32.powi(-24)];
    let file = file(&[
        ("weight", F16, &[3], f16s(&halves)),
        ("bias", BF16, &[3], bf16s(&[0.1, -3e38, 1e-39])),
        ("running_mean", F64, &[3], f64s(&[0.1, 1.0 + 2f64.powi(-24) + 2f64.powi(-40), 1e300])),
        ("running_var", F32, &[3], f32s(&[f32::NAN, f32::INFINITY, 7.0])),
        ("num_batches_tracked", I64, &[1], i64s(9)),
    ]);
    let state = read(&file, "").expect("read");
    assert_eq!(state.weight, Some(vec![0.099_975_586, -65504.0, 5.960_464_5e-8]));
    let bias = state.bias.expect("a bias");
    // BF16 is the upper half of an f32.
    assert_eq!([0, 1, 2].map(|index| bias[index].to_bits()), [0x3dcd_0000, 0xff62_0000, 0x000b_0000]);
    assert_eq!(state.running_mean, Some(vec![0.1, 1.0 + f32::EPSILON, f32::INFINITY]));
    let variance = state.running_var.expect("a variance");
    assert!(variance[0].is_nan() && variance[1..] == [f32::INFINITY, 7.0]);
    assert_eq!(state.num_batches_tracked, Some(9));
}

#[test]
fn counters_of_other_types() {
    let with = |dtype, shape: &[usize], data: &[u8]| {
        let tensors = [
            ("a.weight", F32, &[1][..], f32s(&[1.0])),
            ("a.num_batches_tracked", dtype, shape, data.to_vec()),
        ];
        read(&file(&tensors), "a").map(|state| state.num_batches_tracked)
    };
    assert_eq!(with(I32, &[], &i32::MAX.to_le_bytes()), Ok(Some(2_147_483_647)));
    assert_eq!(with(U32, &[1], &u32::MAX.to_le_bytes()), Ok(Some(4_294_967_295)));
    assert_eq!(with(U64, &[], &7u64.to_le_bytes()), Ok(Some(7)));
    assert_eq!(with(I64, &[], &i64::MAX.to_le_bytes()), Ok(Some(i64::MAX.unsigned_abs())));
    let refused = |got| {
        let argument = "a.num_batches_tracked".to_owned();
        Err(Error::BatchesTracked { argument, got, max: i64::MAX.unsigned_abs() })
    };
    assert_eq!(with(I64, &[], &(-1i64).to_le_bytes()), refused(-1));
    assert_eq!(with(I32, &[1], &i32::MIN.to_le_bytes()), refused(i32::MIN.into()));
    assert_eq!(with(U64, &[], &u64::MAX.to_le_bytes()), refused(u64::MAX.into()));
}

/// Files from before PyTorch 0.4.1 do not count.
#[test]
fn an_old_checkpoint() {
    let mut tensors = by_pytorch("bn.");
    tensors.pop();
    let state = read(&file(&borrowed(&tensors)), "bn").expect("read");
    assert_eq!(state, BatchNormState { num_batches_tracked: None, ..self::state() });
    assert_eq!(state.counters(3).expect("counters")[0].updates, 0);
}

fn tracked(dtype: Dtype, shape: &[usize], data: Vec<u8>) -> Tensor<'_> {
    ("a.num_batches_tracked", dtype, shape, data)
}

/// Each refusal: the tensor by its full name, what it is, and what it needs.
#[test]
fn refusals() {
    let two = || f32s(&[1.0, 2.0]);
    let weight = ("a.weight", F32, &[2][..], two());
    let mean = ("a.running_mean", F32, &[2][..], two());
    let variance = ("a.running_var", F32, &[2][..], two());
    let shape = "needs to be [channels] with at least 1 channel";

    let said = refusal(&[("a.weight", F32, &[2, 1], two())], "a");
    assert_eq!(said, format!("a.weight: shape is [2, 1], {shape}"));
    let said = refusal(&[("a.bias", F32, &[], f32s(&[1.0]))], "a");
    assert_eq!(said, format!("a.bias: shape is [], {shape}"));
    let said = refusal(&[("a.running_var", F32, &[0], vec![])], "a");
    assert_eq!(said, format!("a.running_var: shape is [0], {shape}"));
    let said = refusal(&[weight.clone(), tracked(I64, &[2], [i64s(1), i64s(1)].concat())], "a");
    assert_eq!(said, "a.num_batches_tracked: shape is [2], needs to be [] or [1]");
    let said = refusal(&[weight.clone(), tracked(I64, &[0], vec![])], "a");
    assert_eq!(said, "a.num_batches_tracked: shape is [0], needs to be [] or [1]");

    let said = refusal(&[("a.weight", I64, &[2], [i64s(1), i64s(2)].concat())], "a");
    assert_eq!(said, "a.weight: storage type is I64, needs to be F32, F16, BF16 or F64");
    let said = refusal(&[("a.running_mean", Dtype::F8_E5M2, &[2], vec![1, 2]), variance.clone()], "a.");
    assert_eq!(said, "a.running_mean: storage type is F8_E5M2, needs to be F32, F16, BF16 or F64");
    let said = refusal(&[weight.clone(), tracked(F16, &[], f16s(&[3.0]))], "a");
    assert_eq!(said, "a.num_batches_tracked: storage type is F16, needs to be I64, I32, U64 or U32");

    let said = refusal(&[weight.clone(), ("a.bias", F32, &[3], f32s(&[0.0; 3]))], "a");
    assert_eq!(said, "a.bias: has 3 elements, needs 2, as a.weight has");
    let said = refusal(&[mean.clone(), ("a.running_var", F16, &[1], f16s(&[1.0]))], "a");
    assert_eq!(said, "a.running_var: has 1 elements, needs 2, as a.running_mean has");

    let said = refusal(&[weight.clone(), mean.clone()], "a");
    assert_eq!(said, "a.running_var: is absent, needs to be given together with a.running_mean");
    let said = refusal(std::slice::from_ref(&variance), "a");
    assert_eq!(said, "a.running_mean: is absent, needs to be given together with a.running_var");

    let said = refusal(&[weight.clone(), mean, variance], "b");
    assert_eq!(said, r#"prefix: is "b", needs to be that of a layer, as one of ["a"]"#);
    let said = refusal(std::slice::from_ref(&weight), "");
    assert_eq!(said, r#"prefix: is "", needs to be that of a layer, as one of []"#);
    // A number of batches, and nothing that they were of.
    let said = refusal(&[tracked(I64, &[], i64s(1))], "a");
    assert_eq!(said, r#"prefix: is "a", needs to be that of a layer, as one of []"#);
    // A name is not to be guessed at.
    assert_eq!(refusal(&[weight], "a.."), r#"prefix: is "a..", needs to be that of a layer, as one of []"#);
}

/// The same by their types, for callers who look at them.
#[test]
fn refusals_by_type() {
    let of = |tensors: &[Tensor<'_>]| read(&file(tensors), "a").expect_err("refused");
    assert!(matches!(of(&[]), Error::NoState { .. }));
    assert!(matches!(of(&[("a.weight", F32, &[], f32s(&[1.0]))]), Error::TensorShape { .. }));
    assert!(matches!(of(&[("a.weight", Dtype::BOOL, &[1], vec![1])]), Error::TensorDtype { .. }));
    let lengths = [("a.weight", F32, &[1][..], f32s(&[1.0])), ("a.bias", F32, &[2], f32s(&[1.0, 2.0]))];
    assert!(matches!(of(&lengths), Error::TensorLength { got: 2, needs: 1, .. }));
    assert!(matches!(of(&[("a.running_var", F32, &[1], f32s(&[1.0]))]), Error::Unpaired { .. }));
}

/// What could not be read back is not written.
#[test]
fn not_written() {
    let refused = |state: BatchNormState| state.to_safetensors("a").expect_err("refused").to_string();
    let said = refused(BatchNormState { running_var: Some(vec![1.0; 2]), ..BatchNormState::new(3) });
    assert_eq!(said, "a.running_var: has 2 elements, needs 3, as a.weight has");
    let said = refused(BatchNormState { running_var: None, ..BatchNormState::new(3) });
    assert_eq!(said, "a.running_var: is absent, needs to be given together with a.running_mean");
    let said = refused(BatchNormState::new(0));
    assert_eq!(said, "a.weight: shape is [0], needs to be [channels] with at least 1 channel");
    let tracked = |tracked| BatchNormState { num_batches_tracked: Some(tracked), ..BatchNormState::new(1) };
    assert!(tracked(i64::MAX.unsigned_abs()).to_safetensors("a").is_ok());
    let said = refused(tracked(1 << 63));
    let message = "is 9223372036854775808, needs to be between 0 and 9223372036854775807";
    assert_eq!(said, format!("a.num_batches_tracked: {message}"));
}

/// Each prefix that is found leads back to the tensor by which it was found, and to no other layer.
#[test]
fn prefixes_of_odd_names() {
    let (one, mean) = (|value: f32| f32s(&[value]), "running_mean");
    let beginnings = ["", ".", "..", "a.", "a..", ".a.", "running_mean.", "a.running_mean.", "b c\"\n."];
    // Not the name itself, or not the whole of it.
    let others = ["xrunning_mean", "a.xrunning_mean", "a.running_mean.x", "a.Running_mean", "a/running_mean"];
    let names: Vec<String> = beginnings.iter().map(|beginning| format!("{beginning}{mean}")).collect();
    let variances: Vec<String> =
        beginnings.iter().map(|beginning| format!("{beginning}running_var")).collect();
    let mut tensors: Vec<Tensor<'_>> = Vec::new();
    for (index, (name, variance)) in names.iter().zip(&variances).enumerate() {
        tensors.push((name, F32, &[1], one(index as f32)));
        tensors.push((variance, F32, &[1], one(-1.0 - index as f32)));
    }
    tensors.extend(others.map(|name| (name, F32, &[1][..], one(99.0))));
    let file = file(&tensors);
    let found = BatchNormState::prefixes(&SafeTensors::deserialize(&file).expect("a valid file"));
    assert_eq!(found, ["", ".", "..", ".a", "a", "a..", "a.running_mean", "b c\"\n", "running_mean"]);
    let mut seen: Vec<usize> = Vec::new();
    for prefix in &found {
        let state = read(&file, prefix).expect("read");
        let (mean, variance) = (state.running_mean.expect("a mean")[0], state.running_var.expect("one")[0]);
        assert_eq!(variance, -1.0 - mean, "{prefix:?}");
        seen.push(mean as usize);
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..beginnings.len()).collect::<Vec<_>>());
}

/// Files with one byte changed: most are refused when they are opened, and the rest is read or refused, without panic.
#[test]
fn hostile_files() {
    let written = file(&borrowed(&by_pytorch("bn.")));
    let (mut opened, mut read) = (0, 0);
    for place in 0..written.len() {
        for byte in (0..=255).step_by(if place < 8 { 1 } else { 3 }) {
            let mut hostile = written.clone();
            hostile[place] = byte;
            let Ok(tensors) = SafeTensors::deserialize(&hostile) else { continue };
            opened += 1;
            for prefix in BatchNormState::prefixes(&tensors).iter().map(String::as_str).chain(["", "bn"]) {
                if let Ok(state) = BatchNormState::from_safetensors(&tensors, prefix) {
                    read += 1;
                    assert_eq!(state.channels().map(|channels| state.check(channels as u32)), Some(Ok(())));
                    assert!(state.to_safetensors(prefix).is_ok());
                }
            }
        }
    }
    assert!(opened > 5000 && read > 5000, "{opened} opened, {read} read");
}

/// From a file to a result, by way of the reference and, where it is there, the CPU path.
#[test]
fn from_a_file_to_a_result() {
    use wgpu_batchnorm::reference::{Statistics, normalize};
    use wgpu_batchnorm::{Convention, Layer, Shape};

    let file = file(&[
        ("norm.weight", F64, &[2], f64s(&[3.0, 0.5])),
        ("norm.running_mean", F32, &[2], f32s(&[1.0, -4.0])),
        ("norm.running_var", BF16, &[2], bf16s(&[4.0, 0.25])),
        ("norm.num_batches_tracked", I64, &[], i64s(100)),
    ]);
    let state = read(&file, "norm").expect("read");
    let layer = Layer { affine: state.affine(), ..Convention::PyTorch.describe(0.0, 0.1) };
    let shape = Shape::new(&[1, 2, 2], 1, wgpu_batchnorm::Dtype::F32).expect("a shape");
    state.check(shape.channels()).expect("a fit");

    // 3 (x - 1) / 2, and (x + 4).
    let (x, expected) = ([5.0, -1.0, 2.0, -4.5], [6.0, -3.0, 6.0, -0.5]);
    let wide = |values: &Option<Vec<f32>>| -> Option<Vec<f64>> {
        Some(values.as_ref()?.iter().map(|&value| value.into()).collect())
    };
    let mean = wide(&state.running_mean).expect("a mean");
    let statistics = Statistics { mean, variance: wide(&state.running_var).expect("a variance") };
    let (gamma, beta) = (wide(&state.weight), wide(&state.bias));
    let y = normalize(&shape, &x, &statistics, gamma.as_deref(), beta.as_deref(), layer.eps.into());
    assert_eq!(y.expect("normalized"), expected);

    #[cfg(feature = "cpu")]
    {
        use wgpu_batchnorm::cpu::{InferenceSlices, inference};
        let mut y = [f32::NAN; 4];
        let slices = InferenceSlices {
            x: &x.map(|x| x as f32),
            y: &mut y,
            gamma: state.weight.as_deref(),
            beta: state.bias.as_deref(),
            running_mean: state.running_mean.as_deref().expect("a mean"),
            running_var: state.running_var.as_deref().expect("a variance"),
        };
        inference(&shape, &layer.inference(), slices).expect("inference");
        assert_eq!(y.map(f64::from), expected);
    }
}
