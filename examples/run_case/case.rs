//! A case: a file that was found to be complete and consistent.

use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    Activation, Affine, Dtype, Gradients, Layer, Residual, RunningCounters, RunningStatistics, Shape,
};

use crate::metadata::{Metadata, Mode, Source};
use crate::storage;
use crate::tensors::{File, Stored, Tensor};

const TENSORS: [&str; 8] =
    ["x", "weight", "bias", "residual", "running_mean", "running_var", "grad_output", "num_batches_tracked"];

/// One step of a layer, with all that goes into it.
pub struct Case {
    pub mode: Mode,
    pub dims: Vec<usize>,
    pub channel_axis: usize,
    pub shape: Shape,
    pub eps: f64,
    pub activation: Activation,
    /// Weight of the new value.
    pub momentum: f64,
    /// How the running statistics follow the batch, if they do.
    pub following: Option<RunningStatistics>,
    batches: u32,
    stats: Option<Source>,
    /// In the bytes of x's type, as are `residual` and `grad_output`.
    pub x: Vec<u8>,
    pub residual: Option<Vec<u8>>,
    pub grad_output: Option<Vec<u8>>,
    pub weight: Option<Vec<f64>>,
    pub bias: Option<Vec<f64>>,
    pub running: Option<Statistics>,
    /// What was left aside.
    pub notes: Vec<String>,
}

impl Case {
    pub fn new(file: &File) -> Result<Self, String> {
        let x = file.tensors.get("x").ok_or("x: is absent, needs to be an F32 or F16 tensor")?;
        let dtype = match x.dtype {
            Stored::F32 => Dtype::F32,
            Stored::F16 => Dtype::F16,
            other => return Err(format!("x: is {other}, needs to be F32 or F16")),
        };
        let metadata = Metadata::new(file, x.dims.len())?;
        let shape = Shape::new(&x.dims, metadata.channel_axis, dtype).map_err(|error| error.to_string())?;
        let like_x = |name: &str| match file.tensors.get(name) {
            None => Ok(None),
            Some(Tensor { dtype, dims, bytes }) if *dtype == x.dtype && *dims == x.dims => {
                Ok(Some(bytes.clone()))
            }
            Some(Tensor { dtype, dims, .. }) => {
                let needs = format!("{} {:?} like x", x.dtype, x.dims);
                Err(format!("{name}: is {dtype} {dims:?}, needs to be {needs}"))
            }
        };
        let parameter = |name: &str| parameter(name, file.tensors.get(name), &shape);
        let running = match (parameter("running_mean")?, parameter("running_var")?) {
            (Some(mean), Some(variance)) => Some(Statistics { mean, variance }),
            (None, None) => None,
            (Some(_), None) => return Err("running_var: is absent, but running_mean is given".into()),
            (None, Some(_)) => return Err("running_mean: is absent, but running_var is given".into()),
        };
        if metadata.stats == Some(Source::Running) && running.is_none() {
            return Err("metadata stats: is \"running\", needs running_mean and running_var, or batch".into());
        }
        let mut unknown: Vec<_> =
            file.tensors.keys().filter(|name| !TENSORS.contains(&name.as_str())).cloned().collect();
        unknown.sort();
        let has = |name: &str| file.metadata.contains_key(name) || file.tensors.contains_key(name);
        let updates = metadata.mode == Mode::Train && running.is_some();
        let idle = [
            ("update", !updates),
            ("stats", !file.tensors.contains_key("grad_output")),
            ("num_batches_tracked", !metadata.counts || !updates),
        ];
        let idle = idle.into_iter().filter(|(name, idle)| *idle && has(name)).map(|(name, _)| name);
        let notes = (metadata.unknown.iter().map(|key| format!("metadata {key} means nothing here")))
            .chain(unknown.iter().map(|name| format!("tensor {name} means nothing here")))
            .chain(idle.map(|name| format!("{name} says nothing in this case")));
        Ok(Self {
            mode: metadata.mode,
            dims: x.dims.clone(),
            channel_axis: metadata.channel_axis,
            shape,
            eps: metadata.eps,
            activation: metadata.activation,
            momentum: metadata.momentum,
            following: metadata.following,
            batches: metadata.batches,
            stats: metadata.stats,
            x: x.bytes.clone(),
            residual: like_x("residual")?,
            grad_output: like_x("grad_output")?,
            weight: parameter("weight")?,
            bias: parameter("bias")?,
            running,
            notes: notes.collect(),
        })
    }

    pub fn affine(&self) -> Affine {
        match (&self.weight, &self.bias) {
            (Some(_), Some(_)) => Affine::GammaBeta,
            (Some(_), None) => Affine::Gamma,
            (None, Some(_)) => Affine::Beta,
            (None, None) => Affine::None,
        }
    }

    pub fn gradients(&self) -> Gradients {
        Gradients {
            dx: true,
            dgamma: self.weight.is_some(),
            dbeta: self.bias.is_some(),
            dresidual: self.residual.is_some(),
        }
    }

    /// What the operations of the case are described by.
    pub fn layer(&self) -> Layer {
        let residual = if self.residual.is_some() { Residual::Added } else { Residual::None };
        let running = self.updated_statistics().and(self.following);
        Layer { eps: self.eps as f32, affine: self.affine(), residual, activation: self.activation, running }
    }

    /// Whether the layer does no more than normalize.
    pub fn is_plain(&self) -> bool {
        self.activation == Activation::Identity && self.residual.is_none()
    }

    /// The statistics that x is normalized by, where they are given; else it is normalized by its own.
    pub fn given_statistics(&self) -> Option<&Statistics> {
        self.running.as_ref().filter(|_| self.mode == Mode::Eval)
    }

    /// The statistics that the backward pass takes for constants; else it goes through those of the batch.
    pub fn frozen_statistics(&self) -> Option<&Statistics> {
        match self.stats {
            Some(Source::Batch) => None,
            Some(Source::Running) => self.running.as_ref(),
            None => self.given_statistics(),
        }
    }

    /// The counters of all channels before the step, where its update needs some.
    pub fn counters(&self) -> Option<Vec<RunningCounters>> {
        let needed = self.layer().running.is_some_and(|running| running.needs_counters());
        let before = RunningCounters { updates: self.batches, skipped: 0 };
        needed.then(|| vec![before; self.shape.channels() as usize])
    }

    /// The running statistics that the step updates, or leaves as they are.
    pub fn updated_statistics(&self) -> Option<&Statistics> {
        self.running.as_ref().filter(|_| self.mode == Mode::Train)
    }

    pub fn x(&self) -> Vec<f64> {
        storage::decode(self.shape.dtype(), &self.x)
    }

    pub fn residual(&self) -> Option<Vec<f64>> {
        self.residual.as_ref().map(|bytes| storage::decode(self.shape.dtype(), bytes))
    }

    pub fn grad_output(&self) -> Option<Vec<f64>> {
        self.grad_output.as_ref().map(|bytes| storage::decode(self.shape.dtype(), bytes))
    }
}

/// As in `train, 8x3x5x7 f32, channel axis 1, relu, residual`.
impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mode = match self.mode {
            Mode::Train => "train",
            Mode::Eval => "eval",
        };
        let dims = self.dims.iter().map(usize::to_string).collect::<Vec<_>>().join("x");
        write!(f, "{mode}, {dims} {}, channel axis {}", self.shape.dtype(), self.channel_axis)?;
        if self.activation != Activation::Identity {
            write!(f, ", {}", self.activation.name())?;
        }
        if self.residual.is_some() {
            write!(f, ", residual")?;
        }
        Ok(())
    }
}

/// A tensor of one f32 per channel.
fn parameter(name: &str, tensor: Option<&Tensor>, shape: &Shape) -> Result<Option<Vec<f64>>, String> {
    let Some(Tensor { dtype, dims, bytes }) = tensor else { return Ok(None) };
    if *dtype != Stored::F32 || *dims != [shape.channels() as usize] {
        let needs = format!("F32 [{}], one value per channel", shape.channels());
        return Err(format!("{name}: is {dtype} {dims:?}, needs to be {needs}"));
    }
    Ok(Some(storage::decode(Dtype::F32, bytes)))
}
