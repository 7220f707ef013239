//! Runs the forward pass of a case on the device, and the backward pass after it.

use std::error::Error;

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    BatchNormState, Dtype, Inference, InferenceBuffers, RunningCounters, SavedStatistics, Training,
    TrainingBuffers, wgpu,
};

use crate::bounds::Quantity;
use crate::case::Case;
use crate::device::{Device, binding};
use crate::differentiate;
use crate::metadata::Mode;

/// The results of a case.
pub type Results = Vec<(Quantity, Vec<f64>)>;

/// What goes into both passes.
pub struct Inputs {
    pub x: wgpu::Buffer,
    pub residual: Option<wgpu::Buffer>,
    pub gamma: Option<wgpu::Buffer>,
    pub beta: Option<wgpu::Buffer>,
}

pub fn run(device: &Device, case: &Case) -> Result<Results, Box<dyn Error>> {
    let inputs = Inputs {
        x: device.buffer(&case.x)?,
        residual: device.buffers(&case.residual)?,
        gamma: device.parameters(&case.weight)?,
        beta: device.parameters(&case.bias)?,
    };
    let (mut results, saved) = match case.given_statistics() {
        Some(statistics) => (infer(device, case, &inputs, statistics)?, None),
        None => train(device, case, &inputs).map(|(results, saved)| (results, Some(saved)))?,
    };
    let Some(gradient) = &case.grad_output else { return Ok(results) };
    let dy = device.buffer(gradient)?;
    results.extend(match (case.frozen_statistics(), saved) {
        (Some(statistics), _) => differentiate::by_constants(device, case, &inputs, &dy, statistics)?,
        (None, Some(saved)) => differentiate::by_batch(device, case, &inputs, &dy, &saved)?,
        // The forward pass was by other statistics: those of the batch are saved by a training pass beside it.
        (None, None) => {
            let (_, saved) = train(device, case, &inputs)?;
            differentiate::by_batch(device, case, &inputs, &dy, &saved)?
        }
    });
    Ok(results)
}

fn infer(
    device: &Device,
    case: &Case,
    inputs: &Inputs,
    statistics: &Statistics,
) -> Result<Results, Box<dyn Error>> {
    let inference = Inference::new(&device.context, &case.shape, case.layer().inference())?;
    let y = device.empty(case.shape.size_in_bytes())?;
    let (mean, variance) = (device.parameter(&statistics.mean)?, device.parameter(&statistics.variance)?);
    device.submit(|encoder| {
        let buffers = InferenceBuffers {
            x: inputs.x.as_entire_buffer_binding(),
            y: y.as_entire_buffer_binding(),
            gamma: binding(&inputs.gamma),
            beta: binding(&inputs.beta),
            running_mean: mean.as_entire_buffer_binding(),
            running_var: variance.as_entire_buffer_binding(),
            residual: binding(&inputs.residual),
        };
        inference.encode(encoder, &buffers)
    })?;
    Ok(vec![(Quantity::Output, device.read(&y, case.shape.dtype(), case.shape.len())?)])
}

/// The results, and the saved statistics of the batch.
fn train(device: &Device, case: &Case, inputs: &Inputs) -> Result<(Results, wgpu::Buffer), Box<dyn Error>> {
    let (shape, channels) = (&case.shape, case.shape.channels());
    let options = case.layer().training();
    let training = Training::new(&device.context, shape, options)?;
    let y = device.empty(shape.size_in_bytes())?;
    let running = case.updated_statistics();
    let mean = running.map(|running| device.parameter(&running.mean)).transpose()?;
    let variance = running.map(|running| device.parameter(&running.variance)).transpose()?;
    let counters = case.counters().map(|counters| device.buffer(bytemuck::cast_slice(&counters)));
    let counters = counters.transpose()?;
    let saved = device.empty(u64::from(channels) * SavedStatistics::SIZE)?;
    let workspace = device.empty(training.workspace_size())?;
    device.submit(|encoder| {
        // Running statistics that are not updated are no part of the layer.
        let of_running = |buffer| binding(buffer).filter(|_| options.running.is_some());
        let buffers = TrainingBuffers {
            x: inputs.x.as_entire_buffer_binding(),
            y: y.as_entire_buffer_binding(),
            gamma: binding(&inputs.gamma),
            beta: binding(&inputs.beta),
            running_mean: of_running(&mean),
            running_var: of_running(&variance),
            saved: saved.as_entire_buffer_binding(),
            workspace: workspace.as_entire_buffer_binding(),
            residual: binding(&inputs.residual),
            new_running_mean: None,
            new_running_var: None,
            counters: binding(&counters),
        };
        training.encode(encoder, &buffers)
    })?;
    let mut results = vec![(Quantity::Output, device.read(&y, shape.dtype(), shape.len())?)];
    if case.mode == Mode::Train {
        let statistics: Vec<SavedStatistics> = device.records(&saved)?;
        results.push((Quantity::BatchMean, statistics.iter().map(SavedStatistics::mean).collect()));
        results.push((Quantity::BatchVar, statistics.iter().map(|s| s.variance.into()).collect()));
    }
    for (quantity, buffer) in [(Quantity::RunningMean, &mean), (Quantity::RunningVar, &variance)] {
        if let Some(buffer) = buffer {
            results.push((quantity, device.read(buffer, Dtype::F32, channels.into())?));
        }
    }
    if let Some(counters) = &counters {
        let counters: Vec<RunningCounters> = device.records(counters)?;
        results.push((Quantity::NumBatchesTracked, vec![BatchNormState::batches_tracked(&counters) as f64]));
    }
    Ok((results, saved))
}
