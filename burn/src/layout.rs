//! How a tensor lies in memory.

use burn::backend::DType;
use burn_cubecl::kernel::{into_contiguous, untile};
use burn_cubecl::ops::permute;
use burn_cubecl::tensor::CubeTensor;
use cubecl::zspace::metadata::Metadata;
use cubecl::zspace::{Shape as Dims, Strides};
use wgpu_batchnorm::{Dtype, Error, Shape};

/// Burn's convention: `[batch, channels, ...]`.
pub(crate) const CHANNEL_AXIS: usize = 1;

/// The storage types that the kernels have.
pub(crate) fn dtype(dtype: DType) -> Option<Dtype> {
    match dtype {
        DType::F32 => Some(Dtype::F32),
        DType::F16 => Some(Dtype::F16),
        _ => None,
    }
}

/// The axes of a tensor that fills its memory without gaps, from the outermost to the innermost.
///
/// A convolution of Burn's leaves `[batch, channels, height, width]` in the order 0, 2, 3, 1: channels last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order(Vec<usize>);

impl Order {
    /// `None` where there are gaps, or values that are met twice.
    pub(crate) fn of(metadata: &Metadata) -> Option<Self> {
        let (dims, strides) = (metadata.shape(), metadata.strides());
        // An axis of length 1 may have any stride, and be anywhere.
        let mut axes: Vec<usize> = (0..dims.len()).collect();
        axes.sort_by_key(|axis| {
            std::cmp::Reverse(if dims[*axis] == 1 { usize::MAX } else { strides[*axis] })
        });
        let mut expected = 1;
        for axis in axes.iter().rev().copied().filter(|axis| dims[*axis] != 1) {
            if strides[axis] != expected {
                return None;
            }
            expected *= dims[axis];
        }
        Some(Self(axes))
    }

    /// Batch, channels, and so on: row-major.
    pub(crate) fn row_major(rank: usize) -> Self {
        Self((0..rank).collect())
    }

    /// The tensor as the kernels see it.
    pub(crate) fn shape(&self, dims: &[usize], dtype: Dtype) -> Result<Shape, Error> {
        let ordered: Vec<usize> = self.0.iter().map(|axis| dims.get(*axis).copied().unwrap_or(1)).collect();
        let channel_axis = self.0.iter().position(|axis| *axis == CHANNEL_AXIS).unwrap_or(ordered.len());
        Shape::new(&ordered, channel_axis, dtype)
    }

    /// A tensor of these dimensions in this order.
    pub(crate) fn metadata(&self, dims: &Dims) -> Metadata {
        let mut strides = vec![1; dims.len()];
        let mut next = 1;
        for axis in self.0.iter().rev() {
            strides[*axis] = next;
            next *= dims[*axis];
        }
        Metadata::new(dims.clone(), Strides::from(strides))
    }

    /// The tensor in this order: as it is where it lies so, else copied.
    pub(crate) fn lay(&self, tensor: CubeTensor) -> CubeTensor {
        let tensor = untile(tensor);
        let (dims, strides) = (tensor.meta.shape(), tensor.meta.strides());
        let wanted = self.metadata(dims);
        if (0..dims.len()).all(|axis| dims[axis] == 1 || strides[axis] == wanted.strides()[axis]) {
            return tensor;
        }
        let mut back = vec![0; self.0.len()];
        for (position, axis) in self.0.iter().enumerate() {
            back[*axis] = position;
        }
        permute(into_contiguous(permute(tensor, &self.0)), &back)
    }
}

/// The tensor without gaps, and its order: as it is where it has none, else copied.
pub(crate) fn dense(tensor: CubeTensor) -> (CubeTensor, Order) {
    let tensor = untile(tensor);
    match Order::of(&tensor.meta) {
        Some(order) => (tensor, order),
        None => {
            let order = Order::row_major(tensor.meta.num_dims());
            (into_contiguous(tensor), order)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(dims: &[usize], strides: &[usize]) -> Option<Vec<usize>> {
        Order::of(&Metadata::new(Dims::from(dims.to_vec()), Strides::from(strides.to_vec())))
            .map(|order| order.0)
    }

    #[test]
    fn what_a_convolution_leaves_is_channels_last() {
        let metadata = Metadata::new([32, 64, 28, 28], [50176, 1, 1792, 64]);
        let order = Order::of(&metadata).unwrap();
        let shape = order.shape(&[32, 64, 28, 28], Dtype::F32).unwrap();
        assert_eq!((shape.outer(), shape.channels(), shape.inner()), (32 * 28 * 28, 64, 1));
        assert_eq!(order.metadata(metadata.shape()).strides(), metadata.strides());
    }

    #[test]
    fn any_order_without_gaps_is_one() {
        assert_eq!(order(&[2, 3, 4], &[12, 4, 1]), Some(vec![0, 1, 2]));
        assert_eq!(order(&[2, 3, 4, 5], &[60, 20, 1, 4]), Some(vec![0, 1, 3, 2]));
        // Of a part of a batch, and of a single image with any stride.
        assert_eq!(order(&[1, 3, 4], &[999, 1, 3]), Some(vec![0, 2, 1]));
    }

    #[test]
    fn gaps_and_repetitions_are_none() {
        assert_eq!(order(&[2, 3, 4], &[24, 4, 1]), None);
        assert_eq!(order(&[2, 3, 4], &[12, 4, 2]), None);
        assert_eq!(order(&[2, 3, 4], &[0, 4, 1]), None);
    }
}
