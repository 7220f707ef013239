//! Plans: complete, within the limits of the device, each value taken once, and the ones that are picked for known
//! layers.

mod plans;

use proptest::prelude::*;
use wgpu_batchnorm::{
    BackwardOptions, Caps, Dtype, Error, InferenceOptions, Kernel, Launch, Place, Plan, Role, Shape,
    TrainingOptions,
};

/// llvmpipe ends the loops of an invocation after 65 535 iterations in all; a reduction has two loops.
const ITERATIONS: u32 = 8192;

/// A constant that the plan chose, as the kernel's WGSL has it.
fn constant(kernel: &Kernel, name: &str) -> u32 {
    let start = format!("const {name} = ");
    let wgsl = kernel.wgsl();
    let line = wgsl.lines().find_map(|line| line.strip_prefix(&start)).expect("a constant");
    line.trim_end_matches("u;").parse().expect("a number")
}

/// What has to be true of any plan.
fn holds(plan: &Plan, dtype: Option<Dtype>, caps: &Caps) {
    for launch in plan.launches() {
        let params = launch.params;
        let (grid, name) = (launch.grid, launch.kernel.name());
        assert!(
            grid.iter().all(|&size| (1..=caps.max_workgroups).contains(&size)),
            "{plan}: {name} {grid:?}"
        );
        let workgroups = u64::from(grid[0]) * u64::from(grid[1]);
        assert!(workgroups >= params.workgroups.into(), "{plan}: {name} has {workgroups} workgroups");
        assert!(launch.kernel.workgroup_size() <= caps.max_invocations, "{plan}: {name}");
        bound(plan, launch);
        match name {
            "train_moments" | "grad_sums" => reduces(plan, launch),
            "train_merge" | "grad_merge" | "moments_merge" => merges(plan, launch),
            _ => walks(plan, launch, dtype.expect("a tensor")),
        }
    }
    regions(plan, caps);
}

/// Whatever a kernel binds is the caller's or lies in the workspace.
fn bound(plan: &Plan, launch: &Launch) {
    for binding in launch.kernel.bindings().iter().filter(|binding| binding.storage()) {
        let role = match launch.place(binding.role) {
            Place::Argument(role) => role,
            Place::Workspace { .. } => Role::Workspace,
        };
        let argument = plan.arguments().iter().find(|argument| argument.role == role);
        let argument = argument.unwrap_or_else(|| panic!("{plan}: {role:?} comes from nowhere"));
        let right = !binding.writable || argument.access.writes();
        assert!(right, "{plan}: {} writes {role:?}, which is an input", launch.kernel.name());
    }
}

/// Chunks of a channel follow on each other and end with it; tiles of channels likewise.
fn reduces(plan: &Plan, Launch { kernel, params, .. }: &Launch) {
    let lanes = constant(kernel, "CHANNEL_LANES");
    let value_lanes = kernel.workgroup_size() / lanes;
    assert_eq!(kernel.workgroup_size(), lanes * value_lanes, "{plan}");
    assert_eq!(params.workgroups, params.channels.div_ceil(lanes) * params.sets, "{plan}");
    assert_eq!(params.sets, params.count.div_ceil(params.chunk), "{plan}");
    assert!(params.chunk.div_ceil(value_lanes) <= ITERATIONS / 2, "{plan}");
    // A chunk of one set ends in u32.
    assert!(u64::from(params.sets) * u64::from(params.chunk) <= u32::MAX.into(), "{plan}");
}

fn merges(plan: &Plan, Launch { kernel, params, .. }: &Launch) {
    let lanes = constant(kernel, "CHANNEL_LANES");
    assert_eq!(params.workgroups, params.channels.div_ceil(lanes), "{plan}");
    assert!(params.sets.div_ceil(kernel.workgroup_size() / lanes) <= ITERATIONS, "{plan}");
}

/// Pieces of the tensor follow on each other and end with it; a step of one item is where the next word lies.
fn walks(plan: &Plan, Launch { kernel, params, .. }: &Launch, dtype: Dtype) {
    let word_values = 4 / u32::try_from(dtype.size()).expect("a size");
    let words = params.len.div_ceil(word_values);
    let piece = kernel.workgroup_size() * constant(kernel, "ITEMS");
    assert_eq!(params.workgroups, words.div_ceil(piece), "{plan}");
    let step = kernel.workgroup_size() * word_values;
    let (channels, positions) = (step / params.inner % params.channels, step % params.inner);
    assert_eq!((params.item_channels, params.item_positions), (channels, positions), "{plan}");
}

/// Regions of the workspace lie in it, apart from each other, where the device lets bindings begin.
fn regions(plan: &Plan, caps: &Caps) {
    let mut regions: Vec<(u64, u64)> = plan
        .launches()
        .iter()
        .flat_map(|launch| &launch.places)
        .filter_map(|(_, place)| match place {
            Place::Workspace { offset, bytes } => Some((*offset, *bytes)),
            Place::Argument(_) => None,
        })
        .collect();
    regions.sort_unstable();
    regions.dedup();
    for (offset, bytes) in &regions {
        assert!(*bytes > 0 && offset % u64::from(caps.offset_alignment) == 0, "{plan}: {regions:?}");
        assert!(offset + bytes <= plan.workspace_size(), "{plan}: {regions:?}");
    }
    assert!(regions.windows(2).all(|pair| pair[0].0 + pair[0].1 <= pair[1].0), "{plan}: {regions:?}");
    let takes_one = plan.arguments().iter().any(|argument| argument.role == Role::Workspace);
    assert_eq!(plan.workspace_size() > 0, takes_one, "{plan}");
}

#[test]
fn every_variant() {
    for caps in plans::devices() {
        for shape in plans::shapes() {
            plans::of_shape(&shape, &caps).iter().for_each(|plan| holds(plan, Some(shape.dtype()), &caps));
        }
        plans::of_merges(&caps).iter().for_each(|plan| holds(plan, None, &caps));
    }
}

/// Dimensions of `[outer, channels, inner]`, small ones as often as large ones, of about 2^32 values at most.
fn dims() -> impl Strategy<Value = [usize; 3]> {
    (0u32..=32, 0u32..=32, 0u32..=32).prop_flat_map(|(all, first, second)| {
        let outer = all * first / 32;
        let channels = (all - outer) * second / 32;
        let size = |bits: u32| (1usize << bits) / 2..=1usize << bits;
        (size(outer), size(channels), size(all - outer - channels)).prop_map(|(a, b, c)| [a, b, c])
    })
}

fn device() -> impl Strategy<Value = Caps> {
    (1u32..=1024, 1u32..=16, 0u32..=8, 20u32..=40).prop_map(|(invocations, grid, alignment, binding)| Caps {
        max_invocations: invocations,
        max_workgroups: (1 << grid) - 1,
        offset_alignment: 1 << alignment,
        max_binding_size: 1 << binding,
        ..Caps::WEBGPU
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2000, ..ProptestConfig::default() })]

    /// Of any shape on any device: a plan that holds, the same each time, or a limit of the device that is too low.
    #[test]
    fn any_shape_on_any_device(
        dims in dims(),
        f16 in any::<bool>(),
        caps in device(),
    ) {
        let dtype = if f16 { Dtype::F16 } else { Dtype::F32 };
        let shape = match Shape::new(&dims, 1, dtype) {
            Ok(shape) => shape,
            Err(error) => {
                let is_input = matches!(error, Error::NoChannels | Error::TooManyValues { .. });
                prop_assert!(is_input, "{error}");
                return Ok(());
            }
        };
        let make = || [
            Plan::training(&shape, &TrainingOptions::default(), &caps),
            Plan::inference(&shape, &InferenceOptions::default(), &caps),
            Plan::backward(&shape, &BackwardOptions::default(), &caps),
            Plan::batch_moments(&shape, &caps),
            Plan::batch_gradient_sums(&shape, &caps),
        ];
        let plans = make();
        prop_assert_eq!(&plans, &make());
        for plan in plans {
            match plan {
                Ok(plan) => holds(&plan, Some(dtype), &caps),
                Err(Error::TooFewValues { got: 1, .. }) => prop_assert_eq!(shape.values_per_channel(), 1),
                Err(Error::Limit { got, needs, .. }) => prop_assert!(needs > got),
                Err(error) => return Err(TestCaseError::fail(error.to_string())),
            }
        }
    }
}

/// The training plans of known layers on WebGPU's default device: sets, workgroups of train_moments and their size,
/// workgroups of train_merge and of train_apply. Whoever changes the policy sees here for whom.
#[test]
fn plans_of_known_layers() {
    type Row = (&'static [usize], usize, [u32; 5]);
    let layers: [Row; 9] = [
        (&[32, 64, 112, 112], 1, [32, 2048, 256, 32, 25088]),
        (&[32, 112, 112, 64], 3, [1024, 2048, 256, 64, 25088]),
        (&[32, 192, 28, 28], 1, [11, 2112, 256, 48, 4704]),
        (&[32, 1024, 7, 7], 1, [2, 2048, 64, 32, 1568]),
        (&[32, 7, 7, 1024], 3, [25, 800, 256, 512, 1568]),
        (&[32, 2048, 7, 7], 1, [1, 2048, 64, 32, 3136]),
        (&[128, 1024], 1, [2, 64, 256, 32, 128]),
        (&[2, 3], 1, [1, 1, 64, 1, 1]),
        (&[8, 1, 512, 512], 1, [1024, 1024, 256, 1, 2048]),
    ];
    for (dims, axis, expected) in layers {
        let shape = Shape::new(dims, axis, Dtype::F32).expect("a shape");
        let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU).expect("a plan");
        let [moments, merge, apply] = plan.launches() else { panic!("{plan}") };
        let groups = [moments, merge, apply].map(|launch| launch.params.workgroups);
        let actual = [moments.params.sets, groups[0], moments.kernel.workgroup_size(), groups[1], groups[2]];
        assert_eq!(actual, expected, "{plan}");
    }
}
