//! An operation of the library over the tensors that are measured.

use std::error::Error;

use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Caps, Context, Dtype, FrozenBackward, FrozenBackwardBuffers,
    FrozenBackwardOptions, Inference, InferenceBuffers, InferenceOptions, Plan, Shape, Training,
    TrainingBuffers, TrainingOptions, read_back, wgpu,
};

use crate::cell::{Dims, Layout, Operation};
use crate::gpu::Gpu;
use crate::row::Row;
use crate::stopwatch::{Timed, Times, begin_pass};
use crate::tensors::Tensors;

/// Words of an output that are looked at, from its beginning and from its end.
const LOOKED_AT: u64 = 1024;

/// The plan of an operation as users get it.
pub fn plan(operation: Operation, shape: &Shape, caps: &Caps) -> Result<Plan, wgpu_batchnorm::Error> {
    match operation {
        Operation::Training => Plan::training(shape, &TrainingOptions::default(), caps),
        Operation::Inference => Plan::inference(shape, &InferenceOptions::default(), caps),
        Operation::Backward => Plan::backward(shape, &BackwardOptions::default(), caps),
        Operation::Frozen => Plan::frozen_backward(shape, &FrozenBackwardOptions::default(), caps),
    }
}

enum Compiled {
    Training(Training),
    Inference(Inference),
    Backward(Backward),
    Frozen(FrozenBackward),
}

/// A compiled operation and where it belongs.
pub struct Layer<'a> {
    pub operation: Operation,
    pub layout: Layout,
    compiled: Compiled,
    tensors: &'a Tensors,
}

impl<'a> Layer<'a> {
    pub fn new(
        context: &Context,
        operation: Operation,
        layout: Layout,
        plan: Plan,
        tensors: &'a Tensors,
    ) -> Result<Self, wgpu_batchnorm::Error> {
        let compiled = match operation {
            Operation::Training => Compiled::Training(Training::from_plan(context, plan)?),
            Operation::Inference => Compiled::Inference(Inference::from_plan(context, plan)?),
            Operation::Backward => Compiled::Backward(Backward::from_plan(context, plan)?),
            Operation::Frozen => Compiled::Frozen(FrozenBackward::from_plan(context, plan)?),
        };
        Ok(Self { operation, layout, compiled, tensors })
    }

    pub fn plan(&self) -> &Plan {
        match &self.compiled {
            Compiled::Training(layer) => layer.plan(),
            Compiled::Inference(layer) => layer.plan(),
            Compiled::Backward(layer) => layer.plan(),
            Compiled::Frozen(layer) => layer.plan(),
        }
    }

    /// The row of this operation, before its times.
    pub fn row(&self, gpu: &Gpu, dims: &Dims, dtype: Dtype) -> Row {
        let plan = self.plan();
        let variant = plan.strategy().map_or_else(|| "flat".to_owned(), |strategy| strategy.to_string());
        Row {
            shape: dims.to_string(),
            operation: self.operation.to_string(),
            dtype: dtype.to_string(),
            layout: self.layout.to_string(),
            variant,
            plan: plan.to_string(),
            passes: Some(plan.passes()),
            launches: Some(plan.launches().len()),
            bytes: plan.tensor_traffic(),
            ..gpu.row()
        }
    }

    /// Runs it once over an output of zeros, and sees that numbers have come in their place. Whether they are right is
    /// for the tests to say; that something has been computed, for what is timed.
    pub fn look(&self, gpu: &Gpu) -> Result<(), Box<dyn Error>> {
        let out = &self.tensors.sets[0].out;
        let mut encoder = gpu.encoder();
        encoder.clear_buffer(out, 0, None);
        self.record(&mut encoder, 0, None)?;
        gpu.submit(encoder);
        let size = self.tensors.bytes.min(LOOKED_AT * 4);
        for offset in [0, self.tensors.bytes - size] {
            let size = wgpu::BufferSize::new(size);
            let binding = wgpu::BufferBinding { buffer: out, offset, size };
            let words: Vec<u32> = pollster::block_on(read_back(&gpu.device, &gpu.queue, binding))?;
            // The last ones may fill a vector up.
            let written = words.iter().filter(|&&word| word != 0).count();
            if written + 8 < words.len() {
                return Err(format!("{}: wrote {written} words of {}", self.plan(), words.len()).into());
            }
        }
        Ok(())
    }

    fn pass(&self, pass: &mut wgpu::ComputePass<'_>, set: usize) -> Result<(), wgpu_batchnorm::Error> {
        let (tensors, whole) = (self.tensors, wgpu::Buffer::as_entire_buffer_binding);
        let set = &tensors.sets[set];
        match &self.compiled {
            Compiled::Training(layer) => layer.record(
                pass,
                &TrainingBuffers {
                    gamma: Some(whole(&tensors.gamma)),
                    beta: Some(whole(&tensors.beta)),
                    running_mean: Some(whole(&tensors.running_mean)),
                    running_var: Some(whole(&tensors.running_var)),
                    ..TrainingBuffers::new(
                        whole(&set.x),
                        whole(&set.out),
                        whole(&tensors.saved),
                        whole(&tensors.workspace),
                    )
                },
            ),
            Compiled::Inference(layer) => layer.record(
                pass,
                &InferenceBuffers {
                    gamma: Some(whole(&tensors.gamma)),
                    beta: Some(whole(&tensors.beta)),
                    ..InferenceBuffers::new(
                        whole(&set.x),
                        whole(&set.out),
                        whole(&tensors.running_mean),
                        whole(&tensors.running_var),
                    )
                },
            ),
            Compiled::Backward(layer) => layer.record(
                pass,
                &BackwardBuffers {
                    gamma: Some(whole(&tensors.gamma)),
                    dx: Some(whole(&set.out)),
                    dgamma: Some(whole(&tensors.dgamma)),
                    dbeta: Some(whole(&tensors.dbeta)),
                    ..BackwardBuffers::new(
                        whole(&set.x),
                        whole(&set.dy),
                        whole(&tensors.saved),
                        whole(&tensors.workspace),
                    )
                },
            ),
            Compiled::Frozen(layer) => layer.record(
                pass,
                &FrozenBackwardBuffers {
                    x: Some(whole(&set.x)),
                    gamma: Some(whole(&tensors.gamma)),
                    dx: Some(whole(&set.out)),
                    dgamma: Some(whole(&tensors.dgamma)),
                    dbeta: Some(whole(&tensors.dbeta)),
                    ..FrozenBackwardBuffers::new(
                        whole(&set.dy),
                        whole(&tensors.running_mean),
                        whole(&tensors.running_var),
                        whole(&tensors.workspace),
                    )
                },
            ),
        }
    }
}

impl Timed for Layer<'_> {
    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        set: usize,
        times: Option<Times<'_>>,
    ) -> Result<(), Box<dyn Error>> {
        Ok(self.pass(&mut begin_pass(encoder, times), set)?)
    }
}
