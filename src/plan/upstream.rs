//! The gradient by z, what y is the activation of: how the launches of a backward pass come by it.

use super::{Access, Argument, Launch, argument};
use crate::activation::Activation;
use crate::kernel::{Later, Parts, Presence, Source};
use crate::options::{Affine, BackwardOptions, FrozenBackwardOptions, Gradients, Residual};
use crate::role::Role;
use crate::tensor::{Dtype, Shape};

/// Where the gradient by z comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Upstream {
    affine: Affine,
    activation: Activation,
    /// Whether z is computed again with a residual.
    reads_residual: bool,
    gradients: Gradients,
    /// Whether what is written as the gradient by the residual has all digits, so that a later launch may read it in
    /// place of dy: rounded to f16 it does, if it is dy or 0.
    exact: bool,
}

impl Upstream {
    pub(super) fn of_backward(shape: &Shape, options: &BackwardOptions) -> Self {
        let BackwardOptions { affine, residual, activation, gradients } = *options;
        Self::new(shape, affine, residual, activation, gradients)
    }

    pub(super) fn of_frozen(shape: &Shape, options: &FrozenBackwardOptions) -> Self {
        let FrozenBackwardOptions { affine, residual, activation, gradients, .. } = *options;
        Self::new(shape, affine, residual, activation, gradients)
    }

    fn new(
        shape: &Shape,
        affine: Affine,
        residual: Residual,
        activation: Activation,
        gradients: Gradients,
    ) -> Self {
        let acts = activation != Activation::Identity;
        let selects =
            matches!(activation, Activation::Identity | Activation::Relu | Activation::Clamp { .. });
        let exact = shape.dtype() == Dtype::F32 || selects;
        let reads_residual = acts && residual == Residual::Added;
        Self { affine, activation, reads_residual, gradients, exact }
    }

    /// Whether z is computed again.
    pub(super) fn acts(&self) -> bool {
        self.activation != Activation::Identity
    }

    /// Whether it is written, and can be read again.
    fn is_kept(&self) -> bool {
        self.gradients.dresidual && self.exact
    }

    /// How a launch that has computed it, and held it in registers, has it when dx is written.
    pub(super) fn held(&self) -> Later {
        if self.acts() && self.exact { Later::Held } else { Later::Computed }
    }

    /// How a launch that has computed it, and goes over the tensor again, has it when dx is written.
    pub(super) fn walked_again(&self) -> Later {
        if self.acts() && self.is_kept() { Later::Written } else { Later::Computed }
    }

    /// Whether a later launch computes it again, from x.
    pub(super) fn rereads(&self) -> bool {
        self.acts() && !self.is_kept()
    }

    /// The tensors that it is computed from, beside x.
    pub(super) fn tensors(&self) -> Vec<Role> {
        let residual = self.reads_residual.then_some(Role::Residual);
        [Role::Dy].into_iter().chain(residual).collect()
    }

    /// Those that a later launch reads it from, beside x.
    pub(super) fn later_tensors(&self) -> Vec<Role> {
        if self.is_kept() { vec![Role::Dy] } else { self.tensors() }
    }

    /// A kernel that computes it. What else the kernel has of affine parts is in `parts`.
    pub(super) fn computed(&self, parts: Parts) -> Parts {
        if !self.acts() {
            return parts;
        }
        let residual = Presence::of(self.reads_residual);
        Parts { activation: self.activation.into(), residual, ..parts.affine(self.affine) }
    }

    /// A kernel that computes it and writes it where it is asked for.
    pub(super) fn written(&self, parts: Parts) -> Parts {
        Parts { dresidual: Presence::of(self.gradients.dresidual), ..self.computed(parts) }
    }

    /// A kernel that comes after one that has written it.
    pub(super) fn later(&self, parts: Parts) -> Parts {
        if self.is_kept() { parts } else { self.computed(parts) }
    }

    /// Whether anything of x is read where the sums are taken.
    pub(super) fn source(&self, products: bool) -> Source {
        if products || self.acts() { Source::Read } else { Source::Unread }
    }

    /// The numbers of the activation, and for a later launch where the gradient is.
    pub(super) fn finish(&self, launches: &mut [Launch], later: bool) {
        for launch in launches {
            self.set_numbers(launch);
            if later && self.is_kept() {
                launch.binds(Role::Dy, Role::Dresidual);
            }
        }
    }

    pub(super) fn set_numbers(&self, launch: &mut Launch) {
        [launch.params.low, launch.params.high] = self.activation.numbers();
    }

    /// Passes over memory of the launch that computes it first, if it reads x.
    pub(super) fn first_passes(&self, source: Source) -> u32 {
        u32::from(source == Source::Read) + self.tensors().len() as u32 + u32::from(self.gradients.dresidual)
    }

    /// Passes over memory of the launch that writes dx at the end.
    pub(super) fn later_passes(&self) -> u32 {
        2 + self.later_tensors().len() as u32
    }

    /// What it asks the caller for, beside x, dy and gamma.
    pub(super) fn arguments(&self, shape: &Shape) -> Vec<Argument> {
        let (channels, mut arguments) = (shape.channels().into(), Vec::new());
        let has_gamma = self.affine.has_gamma();
        if has_gamma && (self.acts() || self.gradients.dx) {
            arguments.push(argument::per_channel(Role::Gamma, Access::Read, channels));
        }
        if self.affine.has_beta() && self.acts() {
            arguments.push(argument::per_channel(Role::Beta, Access::Read, channels));
        }
        if self.reads_residual {
            arguments.push(argument::tensor(Role::Residual, Access::Read, shape));
        }
        let given = [(self.gradients.dx, Role::Dx), (self.gradients.dresidual, Role::Dresidual)];
        arguments.extend(
            given
                .into_iter()
                .filter(|(asked, _)| *asked)
                .map(|(_, role)| argument::tensor(role, Access::Write, shape)),
        );
        let given = [(self.gradients.dgamma, Role::Dgamma), (self.gradients.dbeta, Role::Dbeta)];
        arguments.extend(
            given
                .into_iter()
                .filter(|(asked, _)| *asked)
                .map(|(_, role)| argument::per_channel(role, Access::Write, channels)),
        );
        arguments
    }
}
