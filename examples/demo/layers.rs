//! The layers that the demo runs: their shapes, layouts and batches.

use wgpu_batchnorm::{Dtype, Error, Shape, wgpu};

/// Channels and extent of what is normalized in BN-Inception (figure 5 of the paper) and ResNet-50: outputs of
/// convolutions, of Inception modules and of residual blocks, and the features before the classifier.
pub const LAYERS: [(usize, usize); 12] = [
    (64, 112),
    (64, 56),
    (192, 56),
    (256, 56),
    (320, 28),
    (512, 28),
    (576, 14),
    (1024, 14),
    (352, 7),
    (1024, 7),
    (2048, 7),
    (1024, 1),
];

/// Where the channels are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    ChannelsFirst,
    ChannelsLast,
    /// No spatial extent: both are the same.
    Flat,
}

impl Layout {
    pub fn name(self) -> &'static str {
        match self {
            Self::ChannelsFirst => "channels_first",
            Self::ChannelsLast => "channels_last",
            Self::Flat => "flat",
        }
    }
}

/// A layer as it is run.
#[derive(Clone)]
pub struct Layer {
    pub channels: usize,
    pub extent: usize,
    pub batch: usize,
    pub layout: Layout,
    pub shape: Shape,
}

impl Layer {
    fn new(
        (channels, extent): (usize, usize),
        batch: usize,
        layout: Layout,
        dtype: Dtype,
    ) -> Result<Self, Error> {
        let shape = match layout {
            Layout::ChannelsFirst => Shape::new(&[batch, channels, extent, extent], 1, dtype),
            Layout::ChannelsLast => Shape::new(&[batch, extent, extent, channels], 3, dtype),
            Layout::Flat => Shape::new(&[batch, channels], 1, dtype),
        }?;
        Ok(Self { channels, extent, batch, layout, shape })
    }

    /// Batch, channels and extent, as in `4x64x56x56`.
    pub fn name(&self) -> String {
        let Self { channels, extent, batch, .. } = self;
        match self.layout {
            Layout::Flat => format!("{batch}x{channels}"),
            _ => format!("{batch}x{channels}x{extent}x{extent}"),
        }
    }
}

/// A layer in both storage types and both layouts.
pub fn variants(layer: (usize, usize), batch: usize) -> Result<Vec<Layer>, Error> {
    let layouts: &[_] = match layer.1 {
        1 => &[Layout::Flat],
        _ => &[Layout::ChannelsFirst, Layout::ChannelsLast],
    };
    let all = Dtype::ALL.iter().flat_map(|&dtype| layouts.iter().map(move |&layout| (layout, dtype)));
    all.map(|(layout, dtype)| Layer::new(layer, batch, layout, dtype)).collect()
}

/// The largest batch up to `wanted` whose f32 tensor fits one buffer and one binding of the device.
pub fn fitting_batch((channels, extent): (usize, usize), wanted: usize, limits: &wgpu::Limits) -> usize {
    let bytes = limits.max_storage_buffer_binding_size.min(limits.max_buffer_size);
    let values = (bytes / Dtype::F32.size()).min(i32::MAX as u64);
    let most = values / (channels * extent * extent) as u64;
    wanted.min(usize::try_from(most).unwrap_or(usize::MAX))
}
