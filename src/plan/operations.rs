//! The plans of all operations: what each refuses whatever the strategy, and who makes it.

use super::{Plan, Strategy, flat, fold, frozen, general, merge, policy, single, split, update};
use crate::caps::Caps;
use crate::error::Error;
use crate::options::{
    Affine, BackwardOptions, FoldOptions, FrozenBackwardOptions, Gradients, InferenceOptions,
    TrainingOptions, check_inference_eps, check_training_eps,
};
use crate::running::RunningStatistics;
use crate::statistics::Gathered;
use crate::tensor::Shape;

impl Plan {
    /// Inference (algorithm 2, line 12).
    ///
    /// # Errors
    /// [`Error::Eps`], [`Error::Activation`] and [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, InferenceOptions, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
    /// assert_eq!((plan.launches().len(), plan.passes(), plan.workspace_size()), (1, 2, 0));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn inference(shape: &Shape, options: &InferenceOptions, caps: &Caps) -> Result<Self, Error> {
        check_inference_eps(options.eps)?;
        options.activation.check()?;
        flat::inference(shape, options, caps)
    }

    /// Training forward (algorithm 1), by the strategy that the policy picks.
    ///
    /// # Errors
    /// [`Error::Eps`], [`Error::Activation`], [`Error::Momentum`], [`Error::TooFewValues`], [`Error::Limit`], and
    /// [`Error::Running`] where [`Update::IfLayerFinite`](crate::Update::IfLayerFinite) meets millions of channels.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Plan, TrainingOptions};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
    /// assert_eq!((plan.operation(), plan.passes()), ("training", 3));
    /// assert_eq!(plan.tensor_traffic(), 3 * shape.size_in_bytes());
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn training(shape: &Shape, options: &TrainingOptions, caps: &Caps) -> Result<Self, Error> {
        chosen(policy::training(shape, caps), |strategy| Self::training_by(strategy, shape, options, caps))
    }

    /// Training forward, by the strategy given: it is taken or refused, never replaced.
    ///
    /// # Errors
    /// As [`Plan::training`], and [`Error::Strategy`] where it cannot serve the shape.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Plan, Strategy, TrainingOptions};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::training_by(Strategy::Split, &shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
    /// assert_eq!(plan.strategy(), Some(Strategy::Split));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn training_by(
        strategy: Strategy,
        shape: &Shape,
        options: &TrainingOptions,
        caps: &Caps,
    ) -> Result<Self, Error> {
        check_training_eps(options.eps)?;
        options.activation.check()?;
        options.running.map_or(Ok(()), |running| running.check())?;
        shape.check_values()?;
        match strategy {
            Strategy::General => general::training(shape, options, caps),
            Strategy::Split => split::training(shape, options, caps),
            Strategy::Fused | Strategy::Resident => single::training(strategy, shape, options, caps),
        }
    }

    /// Training backward (section 3 of the paper), by the strategy that the policy picks.
    ///
    /// # Errors
    /// [`Error::NoGradients`], [`Error::NoResidual`], [`Error::Activation`], [`Error::TooFewValues`] and
    /// [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{BackwardOptions, Caps, Gradients, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let all = BackwardOptions::default();
    /// assert_eq!(Plan::backward(&shape, &all, &Caps::WEBGPU)?.passes(), 5);
    /// // Without dx, x and dy are read once and nothing of their size is written.
    /// let parameters = BackwardOptions { gradients: Gradients { dx: false, ..all.gradients }, ..all };
    /// assert_eq!(Plan::backward(&shape, &parameters, &Caps::WEBGPU)?.passes(), 2);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn backward(shape: &Shape, options: &BackwardOptions, caps: &Caps) -> Result<Self, Error> {
        chosen(policy::backward(shape, caps), |strategy| Self::backward_by(strategy, shape, options, caps))
    }

    /// Training backward, by the strategy given: it is taken or refused, never replaced.
    ///
    /// # Errors
    /// As [`Plan::backward`], and [`Error::Strategy`] where it cannot serve the shape.
    ///
    /// ```
    /// use wgpu_batchnorm::{BackwardOptions, Caps, Plan, Strategy};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::backward_by(Strategy::Split, &shape, &BackwardOptions::default(), &Caps::WEBGPU)?;
    /// assert_eq!(plan.strategy(), Some(Strategy::Split));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn backward_by(
        strategy: Strategy,
        shape: &Shape,
        options: &BackwardOptions,
        caps: &Caps,
    ) -> Result<Self, Error> {
        options.gradients.check(options.residual)?;
        options.activation.check()?;
        shape.check_values()?;
        match strategy {
            Strategy::General => general::backward(shape, options, caps),
            Strategy::Split => split::backward(shape, options, caps),
            Strategy::Fused | Strategy::Resident => single::backward(strategy, shape, options, caps),
        }
    }

    /// Backward of inference (`y` by the running statistics, which do not depend on x).
    ///
    /// # Errors
    /// [`Error::Eps`], [`Error::NoGradients`], [`Error::NoResidual`], [`Error::Activation`] and [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, FrozenBackwardOptions, Gradients, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let all = FrozenBackwardOptions::default();
    /// assert_eq!(Plan::frozen_backward(&shape, &all, &Caps::WEBGPU)?.passes(), 3);
    /// // dx alone does not look at x.
    /// let dx = FrozenBackwardOptions { gradients: Gradients { dx: true, ..Gradients::NONE }, ..all };
    /// assert_eq!(Plan::frozen_backward(&shape, &dx, &Caps::WEBGPU)?.passes(), 2);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn frozen_backward(
        shape: &Shape,
        options: &FrozenBackwardOptions,
        caps: &Caps,
    ) -> Result<Self, Error> {
        check_inference_eps(options.eps)?;
        options.gradients.check(options.residual)?;
        options.activation.check()?;
        frozen::backward(shape, options, caps)
    }

    /// [`RunningUpdate`](crate::RunningUpdate).
    ///
    /// # Errors
    /// [`Error::Momentum`], [`Error::TooFewValues`], [`Error::Limit`], and [`Error::Running`] where
    /// [`Update::IfLayerFinite`](crate::Update::IfLayerFinite) meets millions of channels.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Plan, RunningStatistics};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::running_update(&shape, RunningStatistics::default(), &Caps::WEBGPU)?;
    /// assert_eq!((plan.launches().len(), plan.passes()), (1, 0));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn running_update(shape: &Shape, running: RunningStatistics, caps: &Caps) -> Result<Self, Error> {
        running.check()?;
        shape.check_values()?;
        update::running_update(shape, running, caps)
    }

    /// [`Fold`](crate::Fold), of a weight of that shape.
    ///
    /// # Errors
    /// [`Error::Eps`], [`Error::Groups`], [`Error::TooManyValues`] and [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Dtype, FoldOptions, Plan, Shape};
    ///
    /// let weight = Shape::new(&[64, 3, 7, 7], 0, Dtype::F16)?;
    /// let plan = Plan::fold(&weight, &FoldOptions::default(), &Caps::WEBGPU)?;
    /// assert_eq!((plan.launches().len(), plan.passes()), (2, 2)); // the weight, and the bias
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn fold(weight: &Shape, options: &FoldOptions, caps: &Caps) -> Result<Self, Error> {
        fold::fold(weight, options, caps)
    }

    /// [`BatchMoments`](crate::BatchMoments).
    ///
    /// # Errors
    /// [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// assert_eq!(Plan::batch_moments(&shape, &Caps::WEBGPU)?.passes(), 1);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn batch_moments(shape: &Shape, caps: &Caps) -> Result<Self, Error> {
        split::batch_moments(shape, caps).or_else(|_| general::batch_moments(shape, caps))
    }

    /// [`MergeMoments`](crate::MergeMoments).
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Sets`], [`Error::Eps`], [`Error::Momentum`], [`Error::Limit`], and
    /// [`Error::Running`] for running statistics with counters or fresh buffers.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Gathered, Plan, Role};
    ///
    /// let plan = Plan::merge_moments(Gathered { sets: 4, channels: 64 }, 1e-5, None, &Caps::WEBGPU)?;
    /// let parts = plan.arguments().iter().find(|argument| argument.role == Role::PartialMoments);
    /// assert_eq!(parts.map(|parts| parts.elements), Some(4 * 64));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn merge_moments(
        gathered: Gathered,
        eps: f32,
        running: Option<RunningStatistics>,
        caps: &Caps,
    ) -> Result<Self, Error> {
        check_training_eps(eps)?;
        running.map_or(Ok(()), |running| running.check())?;
        merge::moments(gathered, eps, running, caps)
    }

    /// [`Normalize`](crate::Normalize).
    ///
    /// # Errors
    /// [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Affine, Caps, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// assert_eq!(Plan::normalize(&shape, Affine::GammaBeta, &Caps::WEBGPU)?.passes(), 2);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn normalize(shape: &Shape, affine: Affine, caps: &Caps) -> Result<Self, Error> {
        flat::normalize(shape, affine, caps)
    }

    /// [`BatchGradientSums`](crate::BatchGradientSums).
    ///
    /// # Errors
    /// [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// assert_eq!(Plan::batch_gradient_sums(&shape, &Caps::WEBGPU)?.passes(), 2);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn batch_gradient_sums(shape: &Shape, caps: &Caps) -> Result<Self, Error> {
        split::batch_gradient_sums(shape, caps).or_else(|_| general::batch_gradient_sums(shape, caps))
    }

    /// [`MergeGradientSums`](crate::MergeGradientSums).
    ///
    /// # Errors
    /// [`Error::NoChannels`], [`Error::Sets`] and [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Gathered, Gradients, Plan};
    ///
    /// let parts = Gathered { sets: 4, channels: 64 };
    /// let plan = Plan::merge_gradient_sums(parts, Gradients::default(), &Caps::WEBGPU)?;
    /// assert_eq!(plan.passes(), 0); // it does not see the tensor
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn merge_gradient_sums(gathered: Gathered, gradients: Gradients, caps: &Caps) -> Result<Self, Error> {
        merge::gradient_sums(gathered, gradients, caps)
    }

    /// [`InputGradient`](crate::InputGradient).
    ///
    /// # Errors
    /// [`Error::Limit`].
    ///
    /// ```
    /// use wgpu_batchnorm::{Affine, Caps, Plan};
    /// # use wgpu_batchnorm::{Dtype, Shape};
    /// # let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// assert_eq!(Plan::input_gradient(&shape, Affine::GammaBeta, &Caps::WEBGPU)?.passes(), 3);
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn input_gradient(shape: &Shape, affine: Affine, caps: &Caps) -> Result<Self, Error> {
        flat::input_gradient(shape, affine, caps)
    }
}

/// The plan by the strategy that was chosen, or by the next more general one that can carry it out.
fn chosen(
    (strategy, why): policy::Choice,
    plan: impl Fn(Strategy) -> Result<Plan, Error>,
) -> Result<Plan, Error> {
    if let Ok(plan) = plan(strategy) {
        return Ok(Plan { why: Some(why), ..plan });
    }
    if let Ok(split) = plan(Strategy::Split) {
        return Ok(Plan { why: Some("one workgroup for each block does not serve these options"), ..split });
    }
    let general = plan(Strategy::General)?;
    Ok(Plan { why: Some("no other way fits the device's limits"), ..general })
}
