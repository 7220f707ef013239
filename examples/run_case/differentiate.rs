//! Runs the backward pass of a case on the device.

use std::error::Error;

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    Activation, Backward, BackwardBuffers, Dtype, FrozenBackward, FrozenBackwardBuffers, wgpu,
};

use crate::bounds::Quantity;
use crate::case::Case;
use crate::device::{Device, binding};
use crate::execute::{Inputs, Results};

/// What is written.
struct Written {
    dx: wgpu::Buffer,
    dresidual: Option<wgpu::Buffer>,
    dgamma: Option<wgpu::Buffer>,
    dbeta: Option<wgpu::Buffer>,
}

impl Written {
    fn new(device: &Device, case: &Case) -> Result<Self, Box<dyn Error>> {
        let (gradients, tensor) = (case.gradients(), case.shape.size_in_bytes());
        let parameter = u64::from(case.shape.channels()) * 4;
        let empty = |wanted: bool, bytes| wanted.then(|| device.empty(bytes)).transpose();
        Ok(Self {
            dx: device.empty(tensor)?,
            dresidual: empty(gradients.dresidual, tensor)?,
            dgamma: empty(gradients.dgamma, parameter)?,
            dbeta: empty(gradients.dbeta, parameter)?,
        })
    }

    fn read(&self, device: &Device, case: &Case) -> Result<Results, Box<dyn Error>> {
        let (shape, channels) = (&case.shape, u64::from(case.shape.channels()));
        let mut results = vec![(Quantity::GradInput, device.read(&self.dx, shape.dtype(), shape.len())?)];
        for (quantity, buffer) in [(Quantity::GradWeight, &self.dgamma), (Quantity::GradBias, &self.dbeta)] {
            if let Some(buffer) = buffer {
                results.push((quantity, device.read(buffer, Dtype::F32, channels)?));
            }
        }
        if let Some(buffer) = &self.dresidual {
            results.push((Quantity::GradResidual, device.read(buffer, shape.dtype(), shape.len())?));
        }
        Ok(results)
    }
}

/// What z is computed again from is given where there is an activation to go through.
fn acts(case: &Case) -> bool {
    case.activation != Activation::Identity
}

/// Through the statistics of the batch, which are functions of x.
pub fn by_batch(
    device: &Device,
    case: &Case,
    inputs: &Inputs,
    dy: &wgpu::Buffer,
    saved: &wgpu::Buffer,
) -> Result<Results, Box<dyn Error>> {
    let options = case.layer().backward(case.gradients());
    let backward = Backward::new(&device.context, &case.shape, options)?;
    let written = Written::new(device, case)?;
    let workspace = device.empty(backward.workspace_size())?;
    device.submit(|encoder| {
        let buffers = BackwardBuffers {
            x: inputs.x.as_entire_buffer_binding(),
            dy: dy.as_entire_buffer_binding(),
            saved: saved.as_entire_buffer_binding(),
            residual: binding(&inputs.residual).filter(|_| acts(case)),
            gamma: binding(&inputs.gamma),
            beta: binding(&inputs.beta).filter(|_| acts(case)),
            dx: Some(written.dx.as_entire_buffer_binding()),
            dresidual: binding(&written.dresidual),
            dgamma: binding(&written.dgamma),
            dbeta: binding(&written.dbeta),
            workspace: workspace.as_entire_buffer_binding(),
        };
        backward.encode(encoder, &buffers)
    })?;
    written.read(device, case)
}

/// By statistics that are constants.
pub fn by_constants(
    device: &Device,
    case: &Case,
    inputs: &Inputs,
    dy: &wgpu::Buffer,
    statistics: &Statistics,
) -> Result<Results, Box<dyn Error>> {
    let gradients = case.gradients();
    let options = case.layer().frozen_backward(gradients);
    let backward = FrozenBackward::new(&device.context, &case.shape, options)?;
    let written = Written::new(device, case)?;
    // As given: those that a training pass has updated are in buffers of their own.
    let (mean, variance) = (device.parameter(&statistics.mean)?, device.parameter(&statistics.variance)?);
    let workspace = device.empty(backward.workspace_size())?;
    device.submit(|encoder| {
        let buffers = FrozenBackwardBuffers {
            x: (gradients.dgamma || acts(case)).then(|| inputs.x.as_entire_buffer_binding()),
            dy: dy.as_entire_buffer_binding(),
            residual: binding(&inputs.residual).filter(|_| acts(case)),
            running_mean: mean.as_entire_buffer_binding(),
            running_var: variance.as_entire_buffer_binding(),
            gamma: binding(&inputs.gamma),
            beta: binding(&inputs.beta).filter(|_| acts(case)),
            dx: Some(written.dx.as_entire_buffer_binding()),
            dresidual: binding(&written.dresidual),
            dgamma: binding(&written.dgamma),
            dbeta: binding(&written.dbeta),
            workspace: workspace.as_entire_buffer_binding(),
        };
        backward.encode(encoder, &buffers)
    })?;
    written.read(device, case)
}
