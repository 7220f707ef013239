//! The methods that all operations share, written once.

/// Implements them for a struct with a field `prepared` and its struct of buffers, which has a method `given`.
macro_rules! operation {
    ($operation:ident, $buffers:ident, $name:literal) => {
        impl $operation {
            /// Compiles a plan as it is.
            ///
            /// # Errors
            /// [`Error::Plan`](crate::Error::Plan) for a plan of another operation, [`Error::Limit`](crate::Error::Limit)
            /// and [`Error::Misaligned`](crate::Error::Misaligned) for one that the device cannot carry out.
            ///
            /// ```no_run
            #[doc = concat!("use wgpu_batchnorm::{Context, Error, Plan, ", stringify!($operation), "};")]
            ///
            #[doc = concat!("fn compile(context: &Context, plan: Plan) -> Result<", stringify!($operation), ", Error> {")]
            #[doc = concat!("    ", stringify!($operation), "::from_plan(context, plan)")]
            /// }
            /// ```
            pub fn from_plan(context: &$crate::Context, plan: $crate::Plan) -> Result<Self, $crate::Error> {
                Ok(Self { prepared: $crate::encode::Prepared::new(context, $name, plan)? })
            }

            /// How it is carried out: kernels, grids, buffers, in one line when printed.
            pub fn plan(&self) -> &$crate::Plan {
                self.prepared.plan()
            }

            /// Does all of `encode` but the recording: checks the buffers, and compiles the variant of the kernels that
            /// they need, where it is not compiled yet. Tensors that share a buffer need another variant than the one
            /// that is compiled when the operation is created; the first `encode` of such tensors would compile it.
            ///
            /// # Errors
            /// As `encode`.
            pub fn prepare(&self, buffers: &$buffers<'_>) -> Result<(), $crate::Error> {
                self.prepared.prepare(&buffers.given())
            }

            /// Records it into the caller's encoder, in a compute pass of its own. Nothing is submitted.
            ///
            /// # Errors
            /// Whatever is wrong with the buffers: [`Error::Missing`], [`Error::Unexpected`], [`Error::Usage`],
            /// [`Error::OutOfBounds`], [`Error::Misaligned`], [`Error::TooSmall`], [`Error::Overlap`] or
            /// [`Error::InputsOverlap`]. Nothing has been recorded then.
            pub fn encode(
                &self,
                encoder: &mut wgpu::CommandEncoder,
                buffers: &$buffers<'_>,
            ) -> Result<(), $crate::Error> {
                self.prepared.encode(encoder, &buffers.given())
            }

            /// Records it into a compute pass that the caller has begun, with timestamps for instance. The pass's
            /// pipeline and bind group 0 are left changed.
            ///
            /// # Errors
            /// As `encode`.
            ///
            /// ```no_run
            #[doc = concat!("use wgpu_batchnorm::{Error, ", stringify!($operation), ", ", stringify!($buffers), ", wgpu};")]
            ///
            /// fn in_my_pass(
            ///     encoder: &mut wgpu::CommandEncoder,
            #[doc = concat!("    layer: &", stringify!($operation), ",")]
            #[doc = concat!("    buffers: &", stringify!($buffers), "<'_>,")]
            /// ) -> Result<(), Error> {
            ///     let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            ///     layer.record(&mut pass, buffers)
            /// }
            /// ```
            pub fn record(
                &self,
                pass: &mut wgpu::ComputePass<'_>,
                buffers: &$buffers<'_>,
            ) -> Result<(), $crate::Error> {
                self.prepared.record(pass, &buffers.given())
            }
        }
    };
    ($operation:ident, $buffers:ident, $name:literal, workspace) => {
        operation!($operation, $buffers, $name);

        impl $operation {
            /// Bytes of scratch memory that it needs: `workspace` in its buffers. Its content need not be kept or
            /// cleared between recordings, and operations that run one after the other may use the same.
            pub fn workspace_size(&self) -> u64 {
                self.prepared.plan().workspace_size()
            }
        }
    };
}

pub(crate) use operation;
