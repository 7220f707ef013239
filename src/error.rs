//! The one error type: every mistake a caller can make, found before anything is recorded.

/// What was wrong with a description or with the buffers given for it.
///
/// Each variant names the argument, what it got and what it needs. Whenever a function of this crate returns an
/// error, nothing has been recorded and no buffer has been touched.
///
/// ```
/// use wgpu_batchnorm::{Dtype, Error, Shape};
///
/// let error = Shape::new(&[32], 0, Dtype::F32).unwrap_err();
/// assert_eq!(error, Error::Rank { got: 1 });
/// assert_eq!(error.to_string(), "shape: rank is 1, needs at least 2 (a batch and a channel dimension)");
/// ```
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The tensor has fewer than two dimensions.
    #[error("shape: rank is {got}, needs at least 2 (a batch and a channel dimension)")]
    Rank {
        /// Number of dimensions given.
        got: usize,
    },
    /// The channel axis is not one of the tensor's dimensions.
    #[error("channel_axis: is {got}, needs to be below the rank, {rank}")]
    ChannelAxis {
        /// Axis given.
        got: usize,
        /// Number of dimensions.
        rank: usize,
    },
    /// The channel dimension is zero.
    #[error("shape: has 0 channels, needs at least 1")]
    NoChannels,
    /// The number of channels, or of values in one, does not fit the 32-bit counts of the kernels; or, in f16, a row of
    /// an odd number of values does not.
    #[error("shape: holds {got} values or channels, needs at most {max}")]
    TooManyValues {
        /// How many they are, saturating.
        got: u64,
        /// Most that can be counted.
        max: u64,
    },
    /// Training needs more than one value per channel: the variance of one value says nothing.
    #[error("x: has {got} value per channel, needs more than 1 in training (shape {shape})")]
    TooFewValues {
        /// Values per channel, `outer * inner`.
        got: u64,
        /// The shape, for the message.
        shape: String,
    },
    /// `eps` is not usable under the root.
    #[error("eps: is {got}, needs to be {needs}")]
    Eps {
        /// Value given.
        got: f32,
        /// Which values are allowed here.
        needs: &'static str,
    },
    /// A momentum is not a finite number.
    #[error("momentum: is {got}, needs to be finite")]
    Momentum {
        /// Value given.
        got: f32,
    },
    /// A number of the activation is not usable.
    #[error("activation: {argument} is {got}, needs to be {needs}")]
    Activation {
        /// Name of the number.
        argument: &'static str,
        /// Value given.
        got: f32,
        /// Which values are allowed.
        needs: &'static str,
    },
    /// Running statistics are described in a way that this operation cannot update them.
    #[error("running: {reason}")]
    Running {
        /// What is asked for, why it cannot be, and what can.
        reason: &'static str,
    },
    /// A gradient by the residual was asked for of a layer that has none.
    #[error("gradients: dresidual is asked for, but the layer is described without a residual")]
    NoResidual,
    /// The weight of a transposed convolution does not fall into that many groups.
    #[error("groups: is {got}, needs to divide the {outer} inputs before the channel axis of the weight")]
    Groups {
        /// Number of groups given.
        got: u32,
        /// Product of the dimensions before the channel axis.
        outer: u32,
    },
    /// The CPU path was asked for what it does not have.
    #[error("{argument}: is not on the CPU path, {needs}")]
    Cpu {
        /// The option.
        argument: &'static str,
        /// What can be done.
        needs: &'static str,
    },
    /// A momentum was given to an operation that keeps no running statistics.
    #[error("momentum: given, but this operation was described without running statistics")]
    NoRunningStatistics,
    /// A backward operation that is asked for no gradient.
    #[error("gradients: none is asked for, needs at least one of dx, dgamma, dbeta, dresidual")]
    NoGradients,
    /// A plan was given to an operation other than the one it was made for.
    #[error("plan: is of {got}, needs to be of {needs}")]
    Plan {
        /// Operation that the plan is of.
        got: &'static str,
        /// Operation that it was given to.
        needs: &'static str,
    },
    /// A strategy that cannot serve this shape on this device.
    #[error("strategy: {got} cannot serve it, {reason}")]
    Strategy {
        /// Name of the strategy.
        got: &'static str,
        /// What it would need.
        reason: String,
    },
    /// A merge of no sets, or of more than the kernel's loops may walk.
    #[error("sets: is {got}, needs to be between 1 and {max}")]
    Sets {
        /// Number of sets given.
        got: u32,
        /// Most sets that one merge takes.
        max: u32,
    },
    /// A limit of the device is too low for this operation.
    #[error("{argument}: needs {limit} of at least {needs}, the device has {got}")]
    Limit {
        /// What needs it: a buffer by name, or a kernel.
        argument: &'static str,
        /// Field of [`wgpu::Limits`].
        limit: &'static str,
        /// Value of the device.
        got: u64,
        /// Value needed.
        needs: u64,
    },
    /// A feature that a plan was made for is not there.
    #[error("{argument}: needs the feature {needs}, the device is without")]
    Feature {
        /// The kernel that needs it.
        argument: &'static str,
        /// Constant of [`wgpu::Features`].
        needs: &'static str,
    },
    /// A buffer that the description calls for was not given.
    #[error("{argument}: is absent, needs a buffer of {needs} bytes")]
    Missing {
        /// Name of the buffer.
        argument: &'static str,
        /// Bytes needed.
        needs: u64,
    },
    /// A buffer was given that the description does not call for.
    #[error("{argument}: was given, but this operation, as it is described, has no use for it")]
    Unexpected {
        /// Name of the buffer.
        argument: &'static str,
    },
    /// A buffer, or the part of it that was given, is too small.
    #[error("{argument}: holds {got} bytes, needs {needs} ({elements})")]
    TooSmall {
        /// Name of the buffer.
        argument: &'static str,
        /// Bytes in the binding.
        got: u64,
        /// Bytes needed.
        needs: u64,
        /// What the bytes are, as in `64 channels of 4 bytes`.
        elements: String,
    },
    /// The binding reaches beyond the end of its buffer.
    #[error("{argument}: ends at byte {end} of a buffer of {size} bytes")]
    OutOfBounds {
        /// Name of the buffer.
        argument: &'static str,
        /// Offset plus size, saturating.
        end: u64,
        /// Size of the buffer.
        size: u64,
    },
    /// The offset of a binding is not a multiple of the device's `min_storage_buffer_offset_alignment`, or of 4 where
    /// it is only copied from.
    #[error("{argument}: offset is {got}, needs to be a multiple of {needs}")]
    Misaligned {
        /// Name of the buffer.
        argument: &'static str,
        /// Offset given, in bytes.
        got: u64,
        /// What it needs to be a multiple of, in bytes.
        needs: u64,
    },
    /// The size of a binding to be read back is not a whole number of words or of elements.
    #[error("{argument}: size is {got} bytes, needs to be a multiple of {needs}")]
    Indivisible {
        /// Name of the buffer.
        argument: &'static str,
        /// Size given, in bytes.
        got: u64,
        /// What it needs to be a multiple of, in bytes.
        needs: u64,
    },
    /// The buffer was created without a usage that it needs.
    #[error("{argument}: buffer usages are {got:?}, need to include {needs:?}")]
    Usage {
        /// Name of the buffer.
        argument: &'static str,
        /// Usages of the buffer.
        got: wgpu::BufferUsages,
        /// Usages needed.
        needs: wgpu::BufferUsages,
    },
    /// A buffer that is written overlaps another one of the same operation.
    #[error("{argument}: is written and overlaps {other}, needs memory of its own")]
    Overlap {
        /// Name of the buffer that is written.
        argument: &'static str,
        /// Name of the buffer that it overlaps.
        other: &'static str,
    },
    /// Two inputs overlap where a buffer is both read and written, so that all have to be bound as writable.
    #[error(
        "{argument}: overlaps {other} while a buffer is both read and written, needs memory of its own then"
    )]
    InputsOverlap {
        /// Name of one input.
        argument: &'static str,
        /// Name of the other.
        other: &'static str,
    },
    /// The slices given to a function of the CPU path hold another storage type than the shape says.
    #[error("shape: storage type is {got}, needs to be {needs}, that of the slices")]
    Dtype {
        /// Storage type of the shape.
        got: &'static str,
        /// Storage type of the slices.
        needs: &'static str,
    },
    /// A slice given to the CPU path or to the reference has the wrong length.
    #[error("{argument}: has {got} elements, needs {needs}")]
    Length {
        /// Name of the slice.
        argument: &'static str,
        /// Elements given.
        got: usize,
        /// Elements needed.
        needs: usize,
    },
    /// Only one of the running statistics of a state is there.
    #[error("{argument}: is absent, needs to be given together with {other}")]
    Unpaired {
        /// Name of the one that is absent; in a file, its full name.
        argument: String,
        /// Name of the one that is there.
        other: String,
    },
    /// A number of batches is negative, or larger than the counter that takes it up.
    #[error("{argument}: is {got}, needs to be between 0 and {max}")]
    BatchesTracked {
        /// Name of the number; in a file, its full name.
        argument: String,
        /// Number given.
        got: i128,
        /// Most that can be counted.
        max: u64,
    },
    /// There is no state of a layer under a prefix of a file.
    #[error("prefix: is {prefix:?}, needs to be that of a layer, as one of {found:?}")]
    NoState {
        /// Prefix given.
        prefix: String,
        /// Prefixes of the layers with running statistics in the file, sorted.
        found: Vec<String>,
    },
    /// A tensor of a file has another storage type than one that can be read.
    #[error("{tensor}: storage type is {got}, needs to be {needs}")]
    TensorDtype {
        /// Full name of the tensor.
        tensor: String,
        /// Its storage type.
        got: String,
        /// Which storage types are read.
        needs: &'static str,
    },
    /// A tensor of a file has another shape than one of its name needs.
    #[error("{tensor}: shape is {got:?}, needs to be {needs}")]
    TensorShape {
        /// Full name of the tensor.
        tensor: String,
        /// Its shape.
        got: Vec<usize>,
        /// Which shapes are allowed.
        needs: &'static str,
    },
    /// Two tensors of one layer in a file have different lengths.
    #[error("{tensor}: has {got} elements, needs {needs}, as {other} has")]
    TensorLength {
        /// Full name of the tensor.
        tensor: String,
        /// Its elements.
        got: usize,
        /// Elements needed.
        needs: usize,
        /// Full name of the tensor that has as many.
        other: String,
    },
    /// A buffer could not be read back.
    #[error("readback: {reason}")]
    Readback {
        /// What wgpu said.
        reason: String,
    },
}
