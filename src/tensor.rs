//! What a tensor is to batch normalization: `[outer, channels, inner]`, row-major.

use crate::error::Error;

/// Storage type of a tensor. Parameters and statistics are always f32, and so is the arithmetic.
///
/// ```
/// use wgpu_batchnorm::Dtype;
///
/// assert_eq!(Dtype::F16.size(), 2);
/// assert_eq!(Dtype::F16.to_string(), "f16");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dtype {
    /// IEEE binary32.
    #[default]
    F32,
    /// IEEE binary16, two values to a 32-bit word. Needs no `SHADER_F16`. Results are the f32 ones rounded once, to
    /// nearest even, on every backend.
    F16,
}

impl Dtype {
    /// Both, for tables and tests.
    pub const ALL: [Self; 2] = [Self::F32, Self::F16];

    /// Bytes of one value.
    pub const fn size(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// As in `f16`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }
}

impl std::fmt::Display for Dtype {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A dense row-major tensor seen as `[outer, channels, inner]`: all that batch normalization needs to know of it.
///
/// | layout | dimensions, channel axis | view |
/// |---|---|---|
/// | channels first (NCHW, NCL, NCDHW) | `[N, C, H, W]`, 1 | `[N, C, H * W]` |
/// | channels last (NHWC) | `[N, H, W, C]`, 3 | `[N * H * W, C, 1]` |
/// | fully connected | `[N, C]`, 1 | `[N, C, 1]` |
/// | per activation (section 3 of the paper) of any tensor | `[N, C * H * W]`, 1 | `[N, C * H * W, 1]` |
///
/// Statistics are taken per channel over the `outer * inner` values of that channel: the paper's m for fully
/// connected layers, its m * p * q (section 3.2) for convolutional ones.
///
/// ```
/// use wgpu_batchnorm::{Dtype, Shape};
///
/// let nchw = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
/// assert_eq!((nchw.outer(), nchw.channels(), nchw.inner()), (32, 64, 784));
/// assert_eq!(nchw.values_per_channel(), 32 * 784);
///
/// let nhwc = Shape::new(&[32, 28, 28, 64], 3, Dtype::F16)?;
/// assert_eq!((nhwc.outer(), nhwc.channels(), nhwc.inner()), (32 * 784, 64, 1));
/// # Ok::<(), wgpu_batchnorm::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    outer: u32,
    channels: u32,
    inner: u32,
    dtype: Dtype,
}

impl Shape {
    /// A tensor of the given dimensions, outermost first, with its channels along `channel_axis`.
    ///
    /// A dimension other than the channels may be 0: the batch is empty then.
    ///
    /// # Errors
    /// [`Error::Rank`] below two dimensions, [`Error::ChannelAxis`], [`Error::NoChannels`], and
    /// [`Error::TooManyValues`] above `i32::MAX` channels or values in a channel.
    ///
    /// ```
    /// use wgpu_batchnorm::{Dtype, Error, Shape};
    ///
    /// assert_eq!(Shape::new(&[8, 0, 4], 1, Dtype::F32), Err(Error::NoChannels));
    /// ```
    pub fn new(dims: &[usize], channel_axis: usize, dtype: Dtype) -> Result<Self, Error> {
        if dims.len() < 2 {
            return Err(Error::Rank { got: dims.len() });
        }
        if channel_axis >= dims.len() {
            return Err(Error::ChannelAxis { got: channel_axis, rank: dims.len() });
        }
        if dims[channel_axis] == 0 {
            return Err(Error::NoChannels);
        }
        let product =
            |dims: &[usize]| dims.iter().try_fold(1u64, |product, &dim| product.checked_mul(dim as u64));
        // The values of a channel are counted with u32, and channels are numbered with it.
        let max = i32::MAX as u64;
        // An empty tensor is small however large its other dimensions are.
        let empty = dims.contains(&0);
        let channels = dims[channel_axis] as u64;
        let len = if empty { Some(0) } else { product(dims) };
        let per_channel = len.map_or(u64::MAX, |len| len / channels);
        let got = per_channel.max(channels);
        if got > max {
            return Err(Error::TooManyValues { got, max });
        }
        let extent = |dims| if empty { 0 } else { product(dims).unwrap_or(0) as u32 };
        Ok(Self {
            outer: extent(&dims[..channel_axis]),
            channels: channels as u32,
            inner: if empty { 1 } else { extent(&dims[channel_axis + 1..]) },
            dtype,
        })
    }

    /// A tensor of the same storage type: part of this one.
    pub(crate) const fn part(&self, outer: u32, channels: u32, inner: u32) -> Self {
        Self { outer, channels, inner, dtype: self.dtype }
    }

    /// Product of the dimensions before the channel axis.
    pub const fn outer(&self) -> u32 {
        self.outer
    }

    /// Number of channels, at least 1.
    pub const fn channels(&self) -> u32 {
        self.channels
    }

    /// Product of the dimensions after the channel axis: values of one channel that lie side by side.
    pub const fn inner(&self) -> u32 {
        self.inner
    }

    /// Storage type.
    pub const fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Values that one channel's statistics are taken over, `outer * inner`: the paper's m.
    pub const fn values_per_channel(&self) -> u32 {
        self.outer * self.inner
    }

    /// Values in the tensor.
    pub const fn len(&self) -> u64 {
        self.outer as u64 * self.channels as u64 * self.inner as u64
    }

    /// Whether the batch holds no values.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Refuses one value per channel, whose variance says nothing. An empty batch is no error: it changes nothing.
    pub(crate) fn check_values(&self) -> Result<(), Error> {
        let got = self.values_per_channel();
        if got == 1 { Err(Error::TooFewValues { got: 1, shape: self.to_string() }) } else { Ok(()) }
    }

    /// Bytes that a buffer must hold for the tensor: its size, rounded up to whole 32-bit words.
    ///
    /// ```
    /// use wgpu_batchnorm::{Dtype, Shape};
    ///
    /// assert_eq!(Shape::new(&[3, 5], 1, Dtype::F16)?.size_in_bytes(), 32);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub const fn size_in_bytes(&self) -> u64 {
        (self.len() * self.dtype.size()).next_multiple_of(4)
    }
}

/// The view and the storage type, as in `32x64x784 f32`.
impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}x{}x{} {}", self.outer, self.channels, self.inner, self.dtype)
    }
}
