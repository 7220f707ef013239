//! The plans of all operations: what each refuses whatever the strategy, and who makes it.

use super::{Plan, Strategy, flat, general, merge, policy, single, split};
use crate::caps::Caps;
use crate::error::Error;
use crate::options::{
    Affine, BackwardOptions, Gradients, InferenceOptions, RunningStatistics, TrainingOptions,
    check_inference_eps, check_training_eps,
};
use crate::statistics::Gathered;
use crate::tensor::Shape;

impl Plan {
    /// Inference (algorithm 2, line 12).
    ///
    /// # Errors
    /// [`Error::Eps`] and [`Error::Limit`].
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
        flat::inference(shape, options, caps)
    }

    /// Training forward (algorithm 1), by the strategy that the policy picks.
    ///
    /// # Errors
    /// [`Error::Eps`], [`Error::Momentum`], [`Error::TooFewValues`] and [`Error::Limit`].
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
    /// [`Error::NoGradients`], [`Error::TooFewValues`] and [`Error::Limit`].
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
        let gradients = options.gradients;
        if !(gradients.dx || gradients.dgamma || gradients.dbeta) {
            return Err(Error::NoGradients);
        }
        shape.check_values()?;
        match strategy {
            Strategy::General => general::backward(shape, options, caps),
            Strategy::Split => split::backward(shape, options, caps),
            Strategy::Fused | Strategy::Resident => single::backward(strategy, shape, options, caps),
        }
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
    /// [`Error::NoChannels`], [`Error::Sets`], [`Error::Eps`], [`Error::Momentum`] and [`Error::Limit`].
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

/// The plan by the strategy that was chosen, or by the general one where the device cannot carry it out.
fn chosen(
    (strategy, why): policy::Choice,
    plan: impl Fn(Strategy) -> Result<Plan, Error>,
) -> Result<Plan, Error> {
    match plan(strategy) {
        Ok(plan) => Ok(Plan { why: Some(why), ..plan }),
        Err(_) => {
            let general = plan(Strategy::General)?;
            Ok(Plan { why: Some("no other way fits the device's limits"), ..general })
        }
    }
}
