//! Compares the results of a case with expected values, or with the f64 reference.

use std::error::Error;
use std::path::Path;

use wgpu_batchnorm::Dtype;
use wgpu_batchnorm::reference;
use wgpu_batchnorm::verify::{self, Comparison};

use crate::bounds::Quantity;
use crate::case::Case;
use crate::execute::Results;
use crate::print;
use crate::storage;
use crate::tensors::{File, Stored, Tensor};
use crate::truth::Truth;

/// Prints the errors of all results; whether all are within their bounds.
pub fn compare(path: &Path, case: &Case, results: &Results) -> Result<bool, Box<dyn Error>> {
    let mut beside = path.file_stem().unwrap_or_default().to_owned();
    beside.push(".expected.safetensors");
    let beside = path.with_file_name(beside);
    let expected = match beside.try_exists() {
        Ok(false) => None,
        _ => Some(File::read(&beside).map_err(|reason| format!("{} {reason}", beside.display()))?),
    };
    let truth = Truth::of(case)?;
    let (forward, backward) = (truth.forward_bounds(case), truth.backward_bounds(case));
    let mut within = true;
    let mut used = Vec::new();
    for (quantity, actual) in results {
        let key = expected_name(*quantity);
        let bounds = backward.as_ref().filter(|_| is_gradient(*quantity)).unwrap_or(&forward);
        let judgement = match expected.as_ref().and_then(|file| file.tensors.get(key)) {
            Some(tensor) => {
                used.push(key);
                let (in_f32, values) = expected_values(*quantity, case, tensor)
                    .map_err(|reason| format!("{}: {key}: {reason}", beside.display()))?;
                bounds.judge(*quantity, actual, &values, in_f32)
            }
            None => bounds.judge(*quantity, actual, truth.value(*quantity), false),
        };
        let against = if used.last() == Some(&key) { "expected" } else { "reference" };
        within &= line(judgement.quantity.name(), &judgement.comparison, judgement.bound, against);
        if *quantity == Quantity::Output && case.is_plain() && case.given_statistics().is_none() {
            within &= constant_channels(case, &truth.x, actual);
        }
    }
    for key in
        expected.iter().flat_map(|file| file.tensors.keys()).filter(|key| !used.contains(&key.as_str()))
    {
        print(&format!("  note: {key} is expected, but no result of this case"));
    }
    Ok(within)
}

/// Whether they are in f32, and the values.
fn expected_values(quantity: Quantity, case: &Case, tensor: &Tensor) -> Result<(bool, Vec<f64>), String> {
    let channels = case.shape.channels() as usize;
    let dims = match quantity {
        _ if quantity.is_tensor() => case.dims.clone(),
        _ if quantity.is_count() => Vec::new(),
        _ => vec![channels],
    };
    let values = match tensor.dtype {
        Stored::I64 if quantity.is_count() => (false, counts(&tensor.bytes)),
        other if quantity.is_count() => return Err(format!("is {other}, needs to be I64")),
        Stored::F32 => (true, storage::decode(Dtype::F32, &tensor.bytes)),
        Stored::F64 => (false, doubles(&tensor.bytes)),
        other => return Err(format!("is {other}, needs to be F64 or F32")),
    };
    if tensor.dims != dims {
        return Err(format!("is {:?}, needs to be {dims:?}", tensor.dims));
    }
    Ok(values)
}

fn line(name: &str, comparison: &Comparison, bound: f64, against: &str) -> bool {
    let Comparison { worst, worst_relative, worst_of_bound, .. } = *comparison;
    let relative = if worst_relative.is_nan() { "-".to_owned() } else { format!("{worst_relative:.1e}") };
    let verdict = match comparison.passed() {
        true => format!("ok: at most {worst_of_bound:.3} of its bound, {bound:.1e} there"),
        false => format!("OUT OF BOUNDS: {comparison}"),
    };
    print(&format!(
        "  {name:<19} absolute {worst:<8.1e} relative {relative:<8} against {against:<10} {verdict}"
    ));
    comparison.passed()
}

/// Where all values of a channel are equal, its output is the bias, without any error.
fn constant_channels(case: &Case, x: &[f64], output: &[f64]) -> bool {
    let inner = (case.shape.inner() as usize).max(1);
    let channels = case.shape.channels() as usize;
    let mut first = vec![None; channels];
    let mut constant = vec![true; channels];
    for (row, values) in x.chunks(inner).enumerate() {
        let channel = row % channels;
        let first = *first[channel].get_or_insert(values[0]);
        constant[channel] &= first.is_finite() && values.iter().all(|value| *value == first);
    }
    let finite = |value: Option<f64>| value.is_none_or(f64::is_finite);
    let parameter = |values: &Option<Vec<f64>>, channel: usize| values.as_ref().map(|values| values[channel]);
    for (channel, constant) in constant.iter_mut().enumerate() {
        *constant &= finite(parameter(&case.weight, channel)) && finite(parameter(&case.bias, channel));
    }
    let bias: Vec<f64> = (0..channels).map(|channel| parameter(&case.bias, channel).unwrap_or(0.0)).collect();
    let bias = reference::stored(case.shape.dtype(), &bias);
    let of_constant = |index: &usize| constant[index / inner % channels];
    let indices: Vec<usize> = (0..output.len()).filter(of_constant).collect();
    if indices.is_empty() {
        return true;
    }
    let actual: Vec<f64> = indices.iter().map(|&index| output[index]).collect();
    let expected: Vec<f64> = indices.iter().map(|&index| bias[index / inner % channels]).collect();
    line("  constant x", &verify::compare(&actual, &expected, |_| 0.0), 0.0, "bias")
}

/// Under which name a file of expected values has it.
fn expected_name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::RunningMean => "new_running_mean",
        Quantity::RunningVar => "new_running_var",
        Quantity::NumBatchesTracked => "new_num_batches_tracked",
        other => other.name(),
    }
}

fn is_gradient(quantity: Quantity) -> bool {
    use Quantity::{GradBias, GradInput, GradResidual, GradWeight};
    matches!(quantity, GradInput | GradWeight | GradBias | GradResidual)
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytemuck::pod_collect_to_vec::<u8, u64>(bytes)
        .into_iter()
        .map(|bits| f64::from_bits(u64::from_le(bits)))
        .collect()
}

fn counts(bytes: &[u8]) -> Vec<f64> {
    let counts = bytemuck::pod_collect_to_vec::<u8, i64>(bytes);
    counts.into_iter().map(|count| i64::from_le(count) as f64).collect()
}
