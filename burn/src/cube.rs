//! The operations on CubeCL's backend.

use burn_cubecl::CubeBackend;
use burn_cubecl::tensor::CubeTensor;
use wgpu_batchnorm::{Gradients, Layer, Role};

use crate::call::{Call, Results};
use crate::operation::{BatchNormOps, InputGradients, Inputs, Running};
use crate::plans::Operation;

impl BatchNormOps for CubeBackend {
    fn batch_norm_training(
        inputs: Inputs<Self>,
        running: Running<Self>,
        layer: Layer,
    ) -> (CubeTensor, CubeTensor, Running<Self>) {
        let (mean, var) = (running.mean.dtype, running.var.dtype);
        let results = Call::new(Operation::Training, inputs, layer).with_running(running).launch();
        let running = Running {
            mean: results.per_channel(Role::NewRunningMean, mean),
            var: results.per_channel(Role::NewRunningVar, var),
        };
        (results.tensor(Role::Y), results.saved(), running)
    }

    fn batch_norm_training_backward(
        inputs: Inputs<Self>,
        saved: CubeTensor,
        dy: CubeTensor,
        layer: Layer,
        gradients: Gradients,
    ) -> InputGradients<Self> {
        let dtypes = [inputs.gamma.dtype, inputs.beta.dtype];
        let operation = Operation::TrainingBackward(gradients);
        let results = Call::new(operation, inputs, layer).with_saved(saved).with_dy(dy).launch();
        input_gradients(&results, dtypes, gradients)
    }

    fn batch_norm_inference(inputs: Inputs<Self>, running: Running<Self>, layer: Layer) -> CubeTensor {
        Call::new(Operation::Inference, inputs, layer).with_running(running).launch().tensor(Role::Y)
    }

    fn batch_norm_inference_backward(
        inputs: Inputs<Self>,
        running: Running<Self>,
        dy: CubeTensor,
        layer: Layer,
        gradients: Gradients,
    ) -> InputGradients<Self> {
        let dtypes = [inputs.gamma.dtype, inputs.beta.dtype];
        let operation = Operation::InferenceBackward(gradients);
        let results = Call::new(operation, inputs, layer).with_running(running).with_dy(dy).launch();
        input_gradients(&results, dtypes, gradients)
    }
}

fn input_gradients(
    results: &Results,
    [gamma, beta]: [burn::backend::DType; 2],
    gradients: Gradients,
) -> InputGradients<CubeBackend> {
    InputGradients {
        dx: gradients.dx.then(|| results.tensor(Role::Dx)).into(),
        dgamma: gradients.dgamma.then(|| results.per_channel(Role::Dgamma, gamma)).into(),
        dbeta: gradients.dbeta.then(|| results.per_channel(Role::Dbeta, beta)).into(),
        dresidual: gradients.dresidual.then(|| results.tensor(Role::Dresidual)).into(),
    }
}
