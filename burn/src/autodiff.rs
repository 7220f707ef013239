//! The operations under autodiff: one node of the graph each, with the backward pass of the kernels.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients as Grads;
use burn::backend::autodiff::ops::{Backward, NodeGuard, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend};
use wgpu_batchnorm::{Gradients, Layer};

use crate::operation::{BatchNormOps, InputGradients, Inputs, Optional, Running, acts};

impl<B: BatchNormOps, C: CheckpointStrategy> BatchNormOps for Autodiff<B, C> {
    fn batch_norm_training(
        inputs: Inputs<Self>,
        running: Running<Self>,
        layer: Layer,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, Running<Self>) {
        let running = running.without_graph();
        let (y, (saved, Running { mean, var })) = record(inputs, layer, |inputs| {
            let (y, saved, running) = B::batch_norm_training(inputs, running, layer);
            (y, Statistics::Batch(saved.clone()), (saved, running))
        });
        let running = Running { mean: Self::from_inner(mean), var: Self::from_inner(var) };
        (y, Self::from_inner(saved), running)
    }

    fn batch_norm_inference(inputs: Inputs<Self>, running: Running<Self>, layer: Layer) -> FloatTensor<Self> {
        let running = running.without_graph();
        let (y, ()) = record(inputs, layer, |inputs| {
            (B::batch_norm_inference(inputs, running.clone(), layer), Statistics::Running(running), ())
        });
        y
    }

    /// Not differentiable again: its results are constants.
    fn batch_norm_training_backward(
        inputs: Inputs<Self>,
        saved: FloatTensor<Self>,
        dy: FloatTensor<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> InputGradients<Self> {
        let (inputs, saved, dy) = (inputs.without_graph(), saved.into_primitive(), dy.into_primitive());
        constants(B::batch_norm_training_backward(inputs, saved, dy, layer, gradients))
    }

    /// Not differentiable again: its results are constants.
    fn batch_norm_inference_backward(
        inputs: Inputs<Self>,
        running: Running<Self>,
        dy: FloatTensor<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> InputGradients<Self> {
        let (inputs, running, dy) = (inputs.without_graph(), running.without_graph(), dy.into_primitive());
        constants(B::batch_norm_inference_backward(inputs, running, dy, layer, gradients))
    }
}

impl<B: Backend, C: CheckpointStrategy> Inputs<Autodiff<B, C>> {
    fn without_graph(self) -> Inputs<B> {
        Inputs {
            x: self.x.into_primitive(),
            gamma: self.gamma.into_primitive(),
            beta: self.beta.into_primitive(),
            residual: self.residual.given().map(|residual| residual.into_primitive()).into(),
        }
    }
}

impl<B: Backend, C: CheckpointStrategy> Running<Autodiff<B, C>> {
    fn without_graph(self) -> Running<B> {
        Running { mean: self.mean.into_primitive(), var: self.var.into_primitive() }
    }
}

fn constants<B: Backend, C: CheckpointStrategy>(
    gradients: InputGradients<B>,
) -> InputGradients<Autodiff<B, C>> {
    let InputGradients { dx, dgamma, dbeta, dresidual } = gradients;
    let [dx, dgamma, dbeta, dresidual] = [dx, dgamma, dbeta, dresidual]
        .map(|gradient| Optional::from(gradient.given().map(Autodiff::<B, C>::from_inner)));
    InputGradients { dx, dgamma, dbeta, dresidual }
}

/// By which statistics the layer has normalized.
#[derive(Clone, Debug)]
enum Statistics<B: Backend> {
    /// Those of the batch, as the forward pass has saved them.
    Batch(FloatTensor<B>),
    /// Running ones, which are constants.
    Running(Running<B>),
}

/// What the backward pass needs. Tensors of the graph may be computed again.
#[derive(Clone, Debug)]
struct State<B: Backend> {
    /// Where the backward pass looks at its values.
    x: Option<NodeId>,
    gamma: NodeId,
    beta: NodeId,
    /// Where an activation needs z.
    residual: Option<NodeId>,
    statistics: Statistics<B>,
    layer: Layer,
}

/// The node. Its parents are x, gamma, beta and, with a residual, the residual.
#[derive(Debug)]
struct BatchNormNode;

impl<B: BatchNormOps, const N: usize> Backward<B, N> for BatchNormNode {
    type State = State<B>;

    fn backward(self, ops: Ops<Self::State, N>, grads: &mut Grads, checkpointer: &mut Checkpointer) {
        let State { x, gamma, beta, residual, statistics, layer } = ops.state;
        let dy = grads.consume::<B>(&ops.node);
        let asks = |parent: usize| ops.parents.get(parent).is_some_and(Option::is_some);
        // Without an activation the gradient by the residual is dy, and nothing has to know z.
        let is_dy = asks(3) && !acts(&layer);
        let mut found = [None, None, None, is_dy.then(|| dy.clone())];
        let gradients =
            Gradients { dx: asks(0), dgamma: asks(1), dbeta: asks(2), dresidual: asks(3) && !is_dy };
        if gradients != Gradients::NONE {
            let mut of = |node| checkpointer.retrieve_node_output::<FloatTensor<B>>(node);
            // Else dy has its shape.
            let x = x.map_or_else(|| dy.clone(), &mut of);
            let inputs = Inputs { x, gamma: of(gamma), beta: of(beta), residual: residual.map(of).into() };
            let InputGradients { dx, dgamma, dbeta, dresidual } = match statistics {
                Statistics::Batch(saved) => {
                    B::batch_norm_training_backward(inputs, saved, dy, layer, gradients)
                }
                Statistics::Running(running) => {
                    B::batch_norm_inference_backward(inputs, running, dy, layer, gradients)
                }
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

/// y with what the backward pass needs, and what else the forward pass gives.
type Forward<B, T> = (FloatTensor<B>, Statistics<B>, T);

/// Carries the forward pass out, and puts its node into the graph.
fn record<B: BatchNormOps, C: CheckpointStrategy, T>(
    inputs: Inputs<Autodiff<B, C>>,
    layer: Layer,
    forward: impl FnOnce(Inputs<B>) -> Forward<B, T>,
) -> (FloatTensor<Autodiff<B, C>>, T) {
    let parents = [inputs.x.node(), inputs.gamma.node(), inputs.beta.node()];
    match &inputs.residual {
        Optional::Absent => record_with(parents, inputs, layer, forward),
        Optional::Given(residual) => {
            let [x, gamma, beta] = parents;
            record_with([x, gamma, beta, residual.node()], inputs, layer, forward)
        }
    }
}

fn record_with<B: BatchNormOps, C: CheckpointStrategy, T, const N: usize>(
    parents: [NodeGuard; N],
    inputs: Inputs<Autodiff<B, C>>,
    layer: Layer,
    forward: impl FnOnce(Inputs<B>) -> Forward<B, T>,
) -> (FloatTensor<Autodiff<B, C>>, T) {
    match Backward::<B, N>::prepare::<C>(BatchNormNode, parents).compute_bound().stateful() {
        OpsKind::Tracked(mut prep) => {
            let [gamma, beta] = [&inputs.gamma, &inputs.beta].map(|tensor| prep.checkpoint(tensor));
            let residual = match &inputs.residual {
                Optional::Given(residual) if acts(&layer) => Some(prep.checkpoint(residual)),
                _ => None,
            };
            let x = inputs.x.clone();
            let gamma_is_tracked = inputs.gamma.is_tracked();
            let (y, statistics, rest) = forward(inputs.without_graph());
            let needed = matches!(statistics, Statistics::Batch(_)) || acts(&layer) || gamma_is_tracked;
            let x = needed.then(|| prep.checkpoint(&x));
            (prep.finish(State { x, gamma, beta, residual, statistics, layer }, y), rest)
        }
        OpsKind::UnTracked(prep) => {
            let (y, _, rest) = forward(inputs.without_graph());
            (prep.finish(y), rest)
        }
    }
}
