//! What has to be true of any plan: complete, within the limits of the device, each part of the work there once.

use wgpu_batchnorm::{
    Caps, Dtype, GradientSums, Launch, Moments, Params, Place, Plan, Role, SavedStatistics,
};

use crate::taken::constant;

/// llvmpipe ends the loops of an invocation after 65 535 iterations in all; the documentation promises fewer than this.
const ITERATIONS: u32 = 8500;

/// The iterations of a tree over the invocations of a channel.
fn tree(lanes: u32) -> u32 {
    lanes.next_power_of_two().ilog2()
}

/// What has to be true of any plan.
pub fn holds(plan: &Plan, dtype: Option<Dtype>, caps: &Caps) {
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
        bound(plan, launch, caps);
        match name {
            "train_moments" | "grad_sums" => reduces(plan, launch),
            "train_merge" | "grad_merge" | "moments_merge" => merges(plan, launch),
            "frozen_statistics" | "running_update" => channels(plan, launch),
            _ if launch.params.blocks > 0 => blocks(plan, launch, dtype.expect("a tensor")),
            // A weight and its bias may differ.
            _ if plan.operation() == "fold" => walks(plan, launch, stored(launch)),
            _ => walks(plan, launch, dtype.expect("a tensor")),
        }
    }
    regions(plan, caps);
    written(plan);
}

/// Some launch writes what the plan says is written. (An empty batch has nothing to say.)
fn written(plan: &Plan) {
    let writes = |role: Role| {
        plan.launches().iter().any(|launch| {
            launch.kernel.bindings().iter().filter(|binding| binding.writable).any(|binding| {
                matches!(launch.place(binding.role), Place::Argument(at) | Place::Slice { role: at, .. } if at == role)
            })
        })
    };
    let of_batch = |role| plan.arguments().iter().find(|argument| argument.role == role);
    let is_empty = [Role::X, Role::Dy].into_iter().filter_map(of_batch).any(|argument| argument.bytes == 0)
        || plan.launches().is_empty();
    for argument in plan.arguments().iter().filter(|a| a.access.writes() && a.bytes > 0 && !is_empty) {
        assert!(argument.role == Role::Workspace || writes(argument.role), "{plan}: {:?}", argument.role);
    }
}

/// What a kernel may find of the caller's in a role: its own, the gradient by z as the one by y, or a gradient, weight
/// or bias that is scaled as x is.
fn stands_for(bound: Role, given: Role) -> bool {
    bound == given
        || matches!(
            (bound, given),
            (Role::Dy, Role::Dresidual)
                | (Role::X, Role::Dy | Role::Weight | Role::Bias)
                | (Role::Y, Role::Dx | Role::FoldedWeight | Role::FoldedBias)
        )
}

/// The storage type that a kernel is written for.
fn stored(launch: &Launch) -> Dtype {
    if launch.kernel.wgsl().contains("lib/elements_f16.wgsl") { Dtype::F16 } else { Dtype::F32 }
}

/// Whatever a kernel binds is the caller's or lies in the workspace, with room for all of its records.
fn bound(plan: &Plan, launch: &Launch, caps: &Caps) {
    for binding in launch.kernel.bindings().iter().filter(|binding| binding.storage()) {
        let role = match launch.place(binding.role) {
            Place::Argument(role) => {
                assert!(stands_for(binding.role, role), "{plan}: {role:?} as {:?}", binding.role);
                role
            }
            Place::Slice { role, offset, bytes } => {
                let whole = plan.arguments().iter().find(|argument| argument.role == role);
                let whole = whole.unwrap_or_else(|| panic!("{plan}: {role:?} comes from nowhere"));
                assert!(stands_for(binding.role, role), "{plan}: {role:?} as {:?}", binding.role);
                assert!(offset + bytes <= whole.bytes, "{plan}: a slice of {role:?}");
                assert!(bytes <= caps.max_binding_size, "{plan}: a slice of {role:?}");
                assert_eq!(offset % u64::from(caps.offset_alignment), 0, "{plan}: a slice of {role:?}");
                role
            }
            Place::Workspace { bytes, .. } => {
                let Params { channels, sets, .. } = launch.params;
                let all = if launch.params.all_channels > 0 { launch.params.all_channels } else { channels };
                // A binding cannot be empty, even where there is no set to read.
                let (record, sets) = match binding.role {
                    Role::PartialMoments => (Moments::SIZE, sets.max(1)),
                    Role::PartialSums => (GradientSums::SIZE, sets.max(1)),
                    Role::Sums => (GradientSums::SIZE, 1),
                    // Those of inference, as saved ones.
                    Role::Saved => (SavedStatistics::SIZE, 1),
                    role => panic!("{plan}: {role:?} lies in the workspace"),
                };
                let least = record * u64::from(sets) * u64::from(all);
                let sliced = launch.places.iter().any(|(_, place)| matches!(place, Place::Slice { .. }));
                assert!(bytes == least || sliced && bytes >= least, "{plan}: {:?}", binding.role);
                Role::Workspace
            }
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
    // The blocks and the values in them, once for the mean and once for the deviations.
    let values = params.chunk.div_ceil(value_lanes);
    let iterations = 2 * (values + values.div_ceil(constant(kernel, "BLOCK")) + tree(value_lanes));
    assert!(iterations < ITERATIONS, "{plan}: {iterations} iterations");
    // A chunk of one set ends in u32.
    assert!(u64::from(params.sets) * u64::from(params.chunk) <= u32::MAX.into(), "{plan}");
}

/// One workgroup, or as many as the channels need.
fn channels(plan: &Plan, Launch { kernel, params, .. }: &Launch) {
    let all = params.channels.div_ceil(kernel.workgroup_size());
    assert!(
        params.workgroups == all || kernel.name() == "running_update" && params.workgroups == 1,
        "{plan}"
    );
    let iterations =
        params.channels.div_ceil(params.workgroups * kernel.workgroup_size()) + tree(kernel.workgroup_size());
    assert!(iterations < ITERATIONS, "{plan}: {iterations} iterations");
}

fn merges(plan: &Plan, Launch { kernel, params, .. }: &Launch) {
    let lanes = constant(kernel, "CHANNEL_LANES");
    assert_eq!(params.workgroups, params.channels.div_ceil(lanes), "{plan}");
    let set_lanes = kernel.workgroup_size() / lanes;
    let iterations = params.sets.div_ceil(set_lanes) + tree(set_lanes);
    assert!(iterations < ITERATIONS, "{plan}: {iterations} iterations");
}

/// Blocks are whole vectors, and parts of them follow on each other.
fn blocks(plan: &Plan, Launch { kernel, params, .. }: &Launch, dtype: Dtype) {
    let (name, workgroup) = (kernel.name(), kernel.workgroup_size());
    let (lanes, items) = (16 / dtype.size() as u32, constant(kernel, "ITEMS"));
    let channel_lanes = constant(kernel, "CHANNEL_LANES");
    assert!(channel_lanes.is_power_of_two() && channel_lanes <= workgroup, "{plan}: {name}");
    assert_eq!(channel_lanes * params.inner, params.run * lanes, "{plan}: {name}");
    assert_eq!(params.channels * params.inner, params.row * lanes, "{plan}: {name}");
    assert_eq!(params.vectors, params.len / lanes / params.row * params.run, "{plan}: {name}");
    assert_eq!(params.blocks, params.row.div_ceil(params.run), "{plan}: {name}");
    let parts = params.vectors.div_ceil(params.chunk);
    assert_eq!(params.workgroups, params.blocks * parts, "{plan}: {name}");
    if name.ends_with("_moments") || name.ends_with("_sums") {
        assert_eq!(params.sets, parts, "{plan}: {name}");
    }
    // Lanes stay with their channel where a block has several, from part to part as well.
    let stride = params.stride;
    assert!((1..=workgroup).contains(&stride), "{plan}: {name}");
    assert!(channel_lanes == 1 || stride % params.run == 0, "{plan}: {name}");
    assert!(parts == 1 || params.chunk % stride == 0, "{plan}: {name}");
    let step = (stride / params.run).wrapping_mul(params.row).wrapping_add(stride % params.run);
    assert_eq!((params.step, params.step_positions), (step, stride % params.run), "{plan}: {name}");
    // The number of a vector, and of the one that is looked ahead at, stays in u32.
    assert!(u64::from(parts) * u64::from(params.chunk) + u64::from(items * stride) < 1 << 31, "{plan}");
    let resident = name.ends_with("_resident");
    assert!(!resident || items * stride >= params.vectors, "{plan}");
    // Whole groups and the rest, twice; sums over channels, three times; a merge.
    let walks = if resident { 0 } else { 2 * (params.chunk.div_ceil(stride * items) + items) };
    let sums = 3 * (2 * lanes + tree(workgroup));
    let merge = if name.ends_with("_finish") { params.sets + tree(workgroup) } else { 0 };
    let iterations = walks + sums + merge;
    assert!(iterations < ITERATIONS, "{plan}: {iterations} iterations");
    assert!(kernel.workgroup_storage() <= 32_768, "{plan}: {name}");
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
            Place::Argument(_) | Place::Slice { .. } => None,
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
    let end = regions.last().map_or(0, |(offset, bytes)| offset + bytes);
    // Of an empty batch no part of it is used.
    assert!(plan.workspace_size() == end || end == 0, "{plan}: {regions:?}");
    assert!(plan.arguments().iter().all(|argument| argument.bytes % 4 == 0), "{plan}");
}
