//! The operations under autodiff: one node of the graph each, with the backward pass of the kernels.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients as Grads;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend};
use wgpu_batchnorm::{Gradients, Layer};

use crate::operation::{BatchNormOps, Optional, acts};

/// By which statistics the layer has normalized.
#[derive(Clone, Debug)]
enum Statistics<T> {
    /// Those of the batch, as the forward pass has saved them.
    Batch { saved: T },
    /// Running ones, which are constants.
    Running { mean: T, var: T },
}

/// What the backward pass needs. Tensors of the graph may be computed again.
#[derive(Clone, Debug)]
struct State<T> {
    x: NodeId,
    gamma: NodeId,
    beta: NodeId,
    residual: Option<NodeId>,
    statistics: Statistics<T>,
    layer: Layer,
}

/// The node. Its parents are x, gamma, beta and, with a residual, the residual.
#[derive(Debug)]
struct BatchNormNode;

impl<B: BatchNormOps, const N: usize> Backward<B, N> for BatchNormNode {
    type State = State<FloatTensor<B>>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Grads, checkpointer: &mut Checkpointer) {
        let State { x, gamma, beta, residual, statistics, layer } = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        let asks = |parent: usize| ops.parents.get(parent).is_some_and(Option::is_some);
        let acts = acts(&layer);
        let asked = Gradients { dx: asks(0), dgamma: asks(1), dbeta: asks(2), dresidual: asks(3) };
        // Without an activation dresidual is dy, and nothing has to know z.
        let gradients = Gradients { dresidual: asked.dresidual && acts, ..asked };
        let plain_dresidual = (asked.dresidual && !acts).then(|| dy.clone());
        let mut found = [None, None, None, plain_dresidual];
        if gradients != Gradients::NONE {
            let mut of = |node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node);
            let residual: Optional<B> = residual.filter(|_| acts).map(&mut of).into();
            let (x, gamma, beta) = (of(x), of(gamma), of(beta));
            let (dx, dgamma, dbeta, dresidual) = match statistics {
                Statistics::Batch { saved } => {
                    B::batch_norm_training_backward(x, gamma, beta, saved, dy, residual, layer, gradients)
                }
                Statistics::Running { mean, var } => B::batch_norm_inference_backward(
                    x, gamma, beta, mean, var, dy, residual, layer, gradients,
                ),
            };
            for (found, gradient) in found.iter_mut().zip([dx, dgamma, dbeta, dresidual]) {
                *found = gradient.given().or(found.take());
            }
        }
        for (parent, gradient) in ops.parents.iter().zip(found) {
            if let (Some(parent), Some(gradient)) = (parent, gradient) {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: BatchNormOps, C: CheckpointStrategy> BatchNormOps for Autodiff<B, C> {
    fn batch_norm_training(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        running_mean: FloatTensor<Self>,
        running_var: FloatTensor<Self>,
        residual: Optional<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let (mean, var) = (running_mean.into_primitive(), running_var.into_primitive());
        let ((saved, mean, var), y) = record::<B, C, _>(
            Inputs { x, gamma, beta, residual },
            layer,
            |Primitives { x, gamma, beta, residual }| {
                let (y, saved, mean, var) =
                    B::batch_norm_training(x, gamma, beta, mean, var, residual, layer);
                let statistics = Statistics::Batch { saved: saved.clone() };
                (y, statistics, (saved, mean, var))
            },
        );
        (y, Self::from_inner(saved), Self::from_inner(mean), Self::from_inner(var))
    }

    fn batch_norm_inference(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        running_mean: FloatTensor<Self>,
        running_var: FloatTensor<Self>,
        residual: Optional<Self>,
        layer: Layer,
    ) -> FloatTensor<Self> {
        let (mean, var) = (running_mean.into_primitive(), running_var.into_primitive());
        let ((), y) = record::<B, C, _>(
            Inputs { x, gamma, beta, residual },
            layer,
            |Primitives { x, gamma, beta, residual }| {
                let statistics = Statistics::Running { mean: mean.clone(), var: var.clone() };
                let y = B::batch_norm_inference(x, gamma, beta, mean, var, residual, layer);
                (y, statistics, ())
            },
        );
        y
    }

    /// Not differentiable again: its results are constants.
    fn batch_norm_training_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        saved: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        residual: Optional<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> (Optional<Self>, Optional<Self>, Optional<Self>, Optional<Self>) {
        let Primitives { x, gamma, beta, residual } = Inputs { x, gamma, beta, residual }.into();
        let (saved, dy) = (saved.into_primitive(), dy.into_primitive());
        constants(B::batch_norm_training_backward(x, gamma, beta, saved, dy, residual, layer, gradients))
    }

    /// Not differentiable again: its results are constants.
    fn batch_norm_inference_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        running_mean: FloatTensor<Self>,
        running_var: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        residual: Optional<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> (Optional<Self>, Optional<Self>, Optional<Self>, Optional<Self>) {
        let Primitives { x, gamma, beta, residual } = Inputs { x, gamma, beta, residual }.into();
        let (mean, var) = (running_mean.into_primitive(), running_var.into_primitive());
        let dy = dy.into_primitive();
        constants(B::batch_norm_inference_backward(x, gamma, beta, mean, var, dy, residual, layer, gradients))
    }
}

/// What the graph differentiates by.
struct Inputs<B: BatchNormOps, C: CheckpointStrategy> {
    x: FloatTensor<Autodiff<B, C>>,
    gamma: FloatTensor<Autodiff<B, C>>,
    beta: FloatTensor<Autodiff<B, C>>,
    residual: Optional<Autodiff<B, C>>,
}

/// The same without the graph.
struct Primitives<B: BatchNormOps> {
    x: FloatTensor<B>,
    gamma: FloatTensor<B>,
    beta: FloatTensor<B>,
    residual: Optional<B>,
}

impl<B: BatchNormOps, C: CheckpointStrategy> From<Inputs<B, C>> for Primitives<B> {
    fn from(inputs: Inputs<B, C>) -> Self {
        Self {
            x: inputs.x.into_primitive(),
            gamma: inputs.gamma.into_primitive(),
            beta: inputs.beta.into_primitive(),
            residual: inputs.residual.given().map(|residual| residual.into_primitive()).into(),
        }
    }
}

type ForwardResult<B, T> = (FloatTensor<B>, Statistics<FloatTensor<B>>, T);

/// Carries the forward pass out, and puts its node into the graph.
fn record<B: BatchNormOps, C: CheckpointStrategy, T>(
    inputs: Inputs<B, C>,
    layer: Layer,
    forward: impl FnOnce(Primitives<B>) -> ForwardResult<B, T>,
) -> (T, FloatTensor<Autodiff<B, C>>) {
    let parents = [inputs.x.node(), inputs.gamma.node(), inputs.beta.node()];
    match &inputs.residual {
        Optional::Absent => record_of::<B, C, T, 3>(parents, inputs, layer, forward),
        Optional::Given(residual) => {
            let [x, gamma, beta] = parents;
            let parents = [x, gamma, beta, residual.node()];
            record_of::<B, C, T, 4>(parents, inputs, layer, forward)
        }
    }
}

fn record_of<B: BatchNormOps, C: CheckpointStrategy, T, const N: usize>(
    parents: [NodeGuard; N],
    inputs: Inputs<B, C>,
    layer: Layer,
    forward: impl FnOnce(Primitives<B>) -> ForwardResult<B, T>,
) -> (T, FloatTensor<Autodiff<B, C>>) {
    match Backward::<B, N>::prepare::<C>(BatchNormNode, parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let (x, gamma, beta) =
                (prep.checkpoint(&inputs.x), prep.checkpoint(&inputs.gamma), prep.checkpoint(&inputs.beta));
            let residual = match &inputs.residual {
                Optional::Given(residual) if acts(&layer) => Some(prep.checkpoint(residual)),
                _ => None,
            };
            let (y, statistics, rest) = forward(inputs.into());
            let state = State { x, gamma, beta, residual, statistics, layer };
            (rest, prep.finish(state, y))
        }
        OpsKind::UnTracked(prep) => {
            let (y, _, rest) = forward(inputs.into());
            (rest, prep.finish(y))
        }
    }
}

type GradientsOf<B> = (Optional<B>, Optional<B>, Optional<B>, Optional<B>);

fn constants<B: BatchNormOps, C: CheckpointStrategy>(
    (dx, dgamma, dbeta, dresidual): GradientsOf<B>,
) -> GradientsOf<Autodiff<B, C>> {
    let constant = |gradient: Optional<B>| gradient.given().map(Autodiff::<B, C>::from_inner).into();
    (constant(dx), constant(dgamma), constant(dbeta), constant(dresidual))
}
