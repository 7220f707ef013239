//! The operations on CubeCL's backend.

use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use wgpu_batchnorm::{Gradients, Layer, Plan, Role};

use crate::call::{Call, Results};
use crate::operation::{BatchNormOps, Optional, with_residual};

impl BatchNormOps for CubeBackend {
    fn batch_norm_training(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        running_mean: CubeTensor,
        running_var: CubeTensor,
        residual: Optional<Self>,
        layer: Layer,
    ) -> (CubeTensor, CubeTensor, CubeTensor, CubeTensor) {
        let (residual, layer) = with_residual(residual, layer);
        let (mean_dtype, var_dtype) = (running_mean.dtype, running_var.dtype);
        let results = Call::new(x, |shape, caps| Plan::training(shape, &layer.training(), caps))
            .with_affine(gamma, beta)
            .with_running(running_mean, running_var)
            .with_residual(residual)
            .launch();
        (
            results.tensor(Role::Y),
            results.saved(),
            results.per_channel(Role::NewRunningMean, mean_dtype),
            results.per_channel(Role::NewRunningVar, var_dtype),
        )
    }

    fn batch_norm_training_backward(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        saved: CubeTensor,
        dy: CubeTensor,
        residual: Optional<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> (Optional<Self>, Optional<Self>, Optional<Self>, Optional<Self>) {
        let (residual, layer) = with_residual(residual, layer);
        let dtypes = [gamma.dtype, beta.dtype];
        let results = Call::new(x, |shape, caps| Plan::backward(shape, &layer.backward(gradients), caps))
            .with_affine(gamma, beta)
            .with_saved(saved)
            .with_dy(dy)
            .with_residual(residual)
            .launch();
        gradients_of(&results, dtypes, gradients)
    }

    fn batch_norm_inference(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        running_mean: CubeTensor,
        running_var: CubeTensor,
        residual: Optional<Self>,
        layer: Layer,
    ) -> CubeTensor {
        let (residual, layer) = with_residual(residual, layer);
        Call::new(x, |shape, caps| Plan::inference(shape, &layer.inference(), caps))
            .with_affine(gamma, beta)
            .with_running(running_mean, running_var)
            .with_residual(residual)
            .launch()
            .tensor(Role::Y)
    }

    fn batch_norm_inference_backward(
        x: CubeTensor,
        gamma: CubeTensor,
        beta: CubeTensor,
        running_mean: CubeTensor,
        running_var: CubeTensor,
        dy: CubeTensor,
        residual: Optional<Self>,
        layer: Layer,
        gradients: Gradients,
    ) -> (Optional<Self>, Optional<Self>, Optional<Self>, Optional<Self>) {
        let (residual, layer) = with_residual(residual, layer);
        let dtypes = [gamma.dtype, beta.dtype];
        let results =
            Call::new(x, |shape, caps| Plan::frozen_backward(shape, &layer.frozen_backward(gradients), caps))
                .with_affine(gamma, beta)
                .with_running(running_mean, running_var)
                .with_dy(dy)
                .with_residual(residual)
                .launch();
        gradients_of(&results, dtypes, gradients)
    }
}

type InputGradients =
    (Optional<CubeBackend>, Optional<CubeBackend>, Optional<CubeBackend>, Optional<CubeBackend>);

fn gradients_of(
    results: &Results,
    [gamma, beta]: [burn::backend::DType; 2],
    gradients: Gradients,
) -> InputGradients {
    let Gradients { dx, dgamma, dbeta, dresidual } = gradients;
    (
        dx.then(|| results.tensor(Role::Dx)).into(),
        dgamma.then(|| results.per_channel(Role::Dgamma, gamma)).into(),
        dbeta.then(|| results.per_channel(Role::Dbeta, beta)).into(),
        dresidual.then(|| results.tensor(Role::Dresidual)).into(),
    )
}
