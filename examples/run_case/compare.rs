//! Compares the results of a case with expected values, or with the f64 reference.

use std::error::Error;
use std::path::Path;

use wgpu_batchnorm::Dtype;
use wgpu_batchnorm::reference::{self, Statistics};
use wgpu_batchnorm::verify::{self, Comparison};

use crate::bounds::{Bounds, Quantity, Step};
use crate::case::Case;
use crate::execute::Results;
use crate::print;
use crate::storage;
use crate::tensors::{File, Stored};

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
    let bounds = Bounds::of(&Step {
        shape: &case.shape,
        x: &truth.x,
        statistics: &truth.statistics,
        eps: case.eps,
        gamma: case.weight.as_deref(),
        dy: truth.dy.as_deref(),
        running: case.updated_statistics().map(|running| (running, case.momentum)),
    });
    let mut within = true;
    let mut used = Vec::new();
    for (quantity, actual) in results {
        let key = expected_name(*quantity);
        let judgement = match expected.as_ref().and_then(|file| file.tensors.get(key)) {
            Some(tensor) => {
                used.push(key);
                let dims = if is_tensor(*quantity) { case.dims.clone() } else { vec![actual.len()] };
                let (in_f32, values) = match tensor.dtype {
                    Stored::F32 => (true, storage::decode(Dtype::F32, &tensor.bytes)),
                    Stored::F64 => (false, doubles(&tensor.bytes)),
                    other => {
                        return Err(format!(
                            "{}: {key}: is {other}, needs to be F64 or F32",
                            beside.display()
                        )
                        .into());
                    }
                };
                if tensor.dims != dims {
                    let got = &tensor.dims;
                    return Err(
                        format!("{}: {key}: is {got:?}, needs to be {dims:?}", beside.display()).into()
                    );
                }
                bounds.judge(*quantity, actual, &values, in_f32)
            }
            None => bounds.judge(*quantity, actual, truth.value(*quantity), false),
        };
        let against = if used.last() == Some(&key) { "expected" } else { "reference" };
        within &= line(judgement.quantity.name(), &judgement.comparison, judgement.bound, against);
        if *quantity == Quantity::Output && case.given_statistics().is_none() {
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

fn line(name: &str, comparison: &Comparison, bound: f64, against: &str) -> bool {
    let Comparison { worst, worst_relative, worst_of_bound, .. } = *comparison;
    let relative = if worst_relative.is_nan() { "-".to_owned() } else { format!("{worst_relative:.1e}") };
    let verdict = match comparison.passed() {
        true => format!("ok: at most {worst_of_bound:.3} of its bound, {bound:.1e} there"),
        false => format!("OUT OF BOUNDS: {comparison}"),
    };
    print(&format!(
        "  {name:<13} absolute {worst:<8.1e} relative {relative:<8} against {against:<10} {verdict}"
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

/// The results by the f64 reference.
struct Truth {
    x: Vec<f64>,
    dy: Option<Vec<f64>>,
    /// What x is normalized by.
    statistics: Statistics,
    output: Vec<f64>,
    running: Statistics,
    gradients: reference::Gradients,
}

impl Truth {
    fn of(case: &Case) -> Result<Self, wgpu_batchnorm::Error> {
        let (shape, x, dy) = (&case.shape, case.x(), case.grad_output());
        let (gamma, beta) = (case.weight.as_deref(), case.bias.as_deref());
        let statistics = match case.given_statistics() {
            Some(given) => given.clone(),
            None => reference::statistics(shape, &x)?,
        };
        let output = reference::normalize(shape, &x, &statistics, gamma, beta, case.eps)?;
        let running = match case.updated_statistics() {
            Some(old) => reference::update_running(shape, old, &statistics, case.momentum, case.variance)?,
            None => Statistics::default(),
        };
        let gradients = match &dy {
            Some(dy) => reference::backward(shape, &x, dy, &statistics, gamma, case.eps)?,
            None => reference::Gradients::default(),
        };
        Ok(Self { x, dy, statistics, output, running, gradients })
    }

    fn value(&self, quantity: Quantity) -> &[f64] {
        match quantity {
            Quantity::Output => &self.output,
            Quantity::BatchMean => &self.statistics.mean,
            Quantity::BatchVar => &self.statistics.variance,
            Quantity::RunningMean => &self.running.mean,
            Quantity::RunningVar => &self.running.variance,
            Quantity::GradInput => &self.gradients.dx,
            Quantity::GradWeight => &self.gradients.dgamma,
            Quantity::GradBias => &self.gradients.dbeta,
        }
    }
}

/// Under which name a file of expected values has it.
fn expected_name(quantity: Quantity) -> &'static str {
    match quantity {
        Quantity::RunningMean => "new_running_mean",
        Quantity::RunningVar => "new_running_var",
        other => other.name(),
    }
}

/// Whether it has the dimensions of x, not one value per channel.
pub fn is_tensor(quantity: Quantity) -> bool {
    matches!(quantity, Quantity::Output | Quantity::GradInput)
}

fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytemuck::pod_collect_to_vec::<u8, u64>(bytes)
        .into_iter()
        .map(|bits| f64::from_bits(u64::from_le(bits)))
        .collect()
}
