//! What a layer knows from its training, as a checkpoint holds it.

use crate::error::Error;
use crate::options::Affine;
use crate::running::RunningCounters;

#[cfg(feature = "safetensors")]
mod safetensors;

#[cfg(feature = "safetensors")]
pub use self::safetensors::StateTensor;

/// The tensors of a layer, by the names that PyTorch gives them in a `state_dict`. Each has a value per channel, and
/// each may be absent.
///
/// | here, in PyTorch | in the operations | in Keras |
/// |---|---|---|
/// | `weight` | `gamma` | `gamma` |
/// | `bias` | `beta` | `beta` |
/// | `running_mean` | `running_mean` | `moving_mean` |
/// | `running_var` | `running_var` | `moving_variance` |
/// | `num_batches_tracked` | [`RunningCounters::updates`] | |
///
/// # Examples
/// With the cargo feature `safetensors` a state is read from a file and written to one, as PyTorch does it: a layer of
/// a checkpoint, with the options that it has in PyTorch, at work on the CPU path. On a GPU the same slices go into the
/// buffers of [`Inference`](crate::Inference).
///
/// ```
/// # #[cfg(not(all(feature = "safetensors", feature = "cpu")))]
/// # fn main() {}
/// # #[cfg(all(feature = "safetensors", feature = "cpu"))]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use wgpu_batchnorm::cpu::{self, InferenceSlices};
/// use wgpu_batchnorm::safetensors::SafeTensors;
/// use wgpu_batchnorm::{BatchNormState, Convention, Dtype, Layer, Shape};
///
/// # let _ = stringify! {
/// let file = std::fs::read("resnet18.safetensors")?;
/// # };
/// # let written = BatchNormState::new(64).to_safetensors("layer1.0.bn1")?;
/// # let file = wgpu_batchnorm::safetensors::serialize(written, None)?;
/// let tensors = SafeTensors::deserialize(&file)?;
/// let state = BatchNormState::from_safetensors(&tensors, "layer1.0.bn1")?;
///
/// // torch.nn.BatchNorm2d(64), with the parameters that the file has.
/// let layer = Layer { affine: state.affine(), ..Convention::PyTorch.layer() };
/// let shape = Shape::new(&[1, 64, 56, 56], Convention::PyTorch.channel_axis(4), Dtype::F32)?;
/// state.check(shape.channels())?;
///
/// let x = vec![0.5; 64 * 56 * 56];
/// let mut y = vec![0.0; x.len()];
/// cpu::inference(&shape, &layer.inference(), InferenceSlices {
///     x: &x,
///     y: &mut y,
///     gamma: state.weight.as_deref(),
///     beta: state.bias.as_deref(),
///     running_mean: state.running_mean.as_deref().ok_or("a layer without running statistics")?,
///     running_var: state.running_var.as_deref().ok_or("a layer without running statistics")?,
/// })?;
/// # assert!(y.iter().all(|y| (y - 0.5 / 1.00001f32.sqrt()).abs() < 1e-7));
/// # Ok(())
/// # }
/// ```
///
/// The way back is the same state with what training has made of it, read from the buffers: into
/// `state.to_safetensors(prefix)`, and `safetensors::serialize`. `num_batches_tracked` is
/// [`BatchNormState::batches_tracked`] of the counters where the layer keeps some; else the caller adds up the batches.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BatchNormState {
    /// Scale per channel, gamma of the paper. Absent: 1.
    pub weight: Option<Vec<f32>>,
    /// Shift per channel, beta of the paper. Absent: 0.
    pub bias: Option<Vec<f32>>,
    /// Running mean per channel; there together with `running_var`.
    pub running_mean: Option<Vec<f32>>,
    /// Running variance per channel; there together with `running_mean`.
    pub running_var: Option<Vec<f32>>,
    /// Batches that the running statistics have seen. Absent in files from before PyTorch 0.4.1, and where there are
    /// no running statistics.
    pub num_batches_tracked: Option<u64>,
}

impl BatchNormState {
    /// What a new layer of PyTorch has: a weight of 1, a bias of 0, a running mean of 0, a running variance of 1, no
    /// batch seen.
    ///
    /// ```
    /// use wgpu_batchnorm::{Affine, BatchNormState};
    ///
    /// let state = BatchNormState::new(2);
    /// assert_eq!(state.running_var, Some(vec![1.0, 1.0]));
    /// assert_eq!(state.affine(), Affine::GammaBeta);
    /// ```
    pub fn new(channels: u32) -> Self {
        let all = |value: f32| Some(vec![value; channels as usize]);
        Self {
            weight: all(1.0),
            bias: all(0.0),
            running_mean: all(0.0),
            running_var: all(1.0),
            num_batches_tracked: Some(0),
        }
    }

    /// Which of weight and bias there are, for [`Layer::affine`](crate::Layer::affine).
    ///
    /// ```
    /// use wgpu_batchnorm::{Affine, BatchNormState};
    ///
    /// let state = BatchNormState { bias: None, ..BatchNormState::new(2) };
    /// assert_eq!(state.affine(), Affine::Gamma);
    /// ```
    pub fn affine(&self) -> Affine {
        match (&self.weight, &self.bias) {
            (Some(_), Some(_)) => Affine::GammaBeta,
            (Some(_), None) => Affine::Gamma,
            (None, Some(_)) => Affine::Beta,
            (None, None) => Affine::None,
        }
    }

    /// How many values the first tensor has that there is; `None` where there is none. That the others have as many
    /// says [`BatchNormState::check`], and reading a file has made sure of it.
    ///
    /// ```
    /// use wgpu_batchnorm::BatchNormState;
    ///
    /// assert_eq!(BatchNormState::new(64).channels(), Some(64));
    /// assert_eq!(BatchNormState::default().channels(), None);
    /// ```
    pub fn channels(&self) -> Option<usize> {
        self.tensors().into_iter().find_map(|(_, values)| values.map(<[f32]>::len))
    }

    /// Whether the state is one of a layer with this many channels, as [`Shape::channels`](crate::Shape::channels)
    /// gives them: all tensors that there are have as many values, and the running statistics are both there or
    /// neither.
    ///
    /// # Errors
    /// [`Error::Length`], [`Error::Unpaired`].
    ///
    /// ```
    /// use wgpu_batchnorm::BatchNormState;
    ///
    /// let state = BatchNormState { bias: Some(vec![0.0; 3]), ..BatchNormState::new(2) };
    /// let error = state.check(2).unwrap_err();
    /// assert_eq!(error.to_string(), "bias: has 3 elements, needs 2");
    /// ```
    pub fn check(&self, channels: u32) -> Result<(), Error> {
        // What no slice can hold is no length that it has.
        let needs = usize::try_from(channels).unwrap_or(usize::MAX);
        for (argument, values) in self.tensors() {
            if let Some(got) = values.map(<[f32]>::len).filter(|&got| got != needs) {
                return Err(Error::Length { argument, got, needs });
            }
        }
        match self.unpaired() {
            Some((absent, present)) => {
                Err(Error::Unpaired { argument: absent.to_owned(), other: present.to_owned() })
            }
            None => Ok(()),
        }
    }

    /// The counters with which a cumulative average goes on after the batches that it has seen: one for each channel,
    /// with `num_batches_tracked` for [`RunningCounters::updates`], or 0 where it is absent, and none skipped.
    ///
    /// # Errors
    /// [`Error::BatchesTracked`] above `u32::MAX`.
    ///
    /// ```
    /// use wgpu_batchnorm::{BatchNormState, RunningCounters};
    ///
    /// let state = BatchNormState { num_batches_tracked: Some(1000), ..BatchNormState::new(2) };
    /// assert_eq!(state.counters(2)?, [RunningCounters { updates: 1000, skipped: 0 }; 2]);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn counters(&self, channels: u32) -> Result<Vec<RunningCounters>, Error> {
        let tracked = self.num_batches_tracked.unwrap_or(0);
        let updates = u32::try_from(tracked).map_err(|_| Error::BatchesTracked {
            argument: "num_batches_tracked".to_owned(),
            got: tracked.into(),
            max: u32::MAX.into(),
        })?;
        Ok(vec![RunningCounters { updates, skipped: 0 }; channels as usize])
    }

    /// The way back: the `num_batches_tracked` to save for these counters. It is the number of updates, since that is
    /// what a cumulative average goes on from; batches that were skipped have no part in the average and do not count.
    /// Where channels have skipped on their own, it is the largest of any: the others go on with a little too much
    /// weight on the old value. 0 for no counters.
    ///
    /// ```
    /// use wgpu_batchnorm::{BatchNormState, RunningCounters};
    ///
    /// let counters = [RunningCounters { updates: 7, skipped: 1 }, RunningCounters { updates: 8, skipped: 0 }];
    /// assert_eq!(BatchNormState::batches_tracked(&counters), 8);
    /// ```
    pub fn batches_tracked(counters: &[RunningCounters]) -> u64 {
        counters.iter().map(|counters| u64::from(counters.updates)).max().unwrap_or(0)
    }

    /// The tensors by their names, in the order in which PyTorch has them.
    fn tensors(&self) -> [(&'static str, Option<&[f32]>); 4] {
        [
            ("weight", self.weight.as_deref()),
            ("bias", self.bias.as_deref()),
            ("running_mean", self.running_mean.as_deref()),
            ("running_var", self.running_var.as_deref()),
        ]
    }

    /// The one of the running statistics that is absent while the other, named second, is there.
    fn unpaired(&self) -> Option<(&'static str, &'static str)> {
        match (&self.running_mean, &self.running_var) {
            (Some(_), None) => Some(("running_var", "running_mean")),
            (None, Some(_)) => Some(("running_mean", "running_var")),
            _ => None,
        }
    }
}
