//! Which values a launch takes: the index arithmetic of the shaders, carried out on the CPU with the numbers of a plan.
//! The shaders themselves are held against the reference on a device, in `tests/gpu/`.

use wgpu_batchnorm::{GradientSums, Kernel, Launch, Moments, Place, Role, Shape};

/// A constant that the plan chose, as the kernel's WGSL has it.
pub fn constant(kernel: &Kernel, name: &str) -> u32 {
    let start = format!("const {name} = ");
    let wgsl = kernel.wgsl();
    let line = wgsl.lines().find_map(|line| line.strip_prefix(&start)).expect("a constant");
    line.trim_end_matches("u;").parse().expect("a number")
}

/// How often a kernel takes each value, each record that it reads, and each that it writes.
#[derive(Debug)]
pub struct Taken {
    pub values: Vec<u32>,
    pub read: Vec<u32>,
    pub written: Vec<u32>,
}

/// The constants of a kernel.
struct Constants {
    lanes: u32,
    items: u32,
    /// First value of the launch's slice.
    start: u64,
    whole: Shape,
}

/// Where the slice of a launch begins in the tensor: where the binding does, and the words or vectors after that.
fn start(launch: &Launch, shape: &Shape) -> u64 {
    let size = shape.dtype().size();
    let unit = if launch.params.blocks > 0 { 16 } else { 4 };
    match launch.place(Role::X) {
        Place::Slice { offset, .. } => (offset + u64::from(launch.params.first) * unit) / size,
        _ => 0,
    }
}

impl Taken {
    /// By all invocations of the launches of one kernel, each over its slice of the tensor.
    pub fn by(launches: &[&Launch], shape: &Shape) -> Self {
        let launch = launches[0];
        let (name, channels) = (launch.kernel.name(), shape.channels() as usize);
        let records = launch.places.iter().find_map(|(role, place)| match (role, place) {
            (Role::PartialMoments, Place::Workspace { bytes, .. }) => Some((bytes / Moments::SIZE) as usize),
            (Role::PartialSums, Place::Workspace { bytes, .. }) => {
                Some((bytes / GradientSums::SIZE) as usize)
            }
            _ => None,
        });
        let (read, written) = match name.rsplit('_').next() {
            Some("merge") => (records.expect("records"), channels),
            Some("moments" | "sums") => (0, records.expect("records")),
            Some("fused" | "resident") => (0, channels),
            _ => (0, 0),
        };
        let values = vec![0; shape.len() as usize];
        let mut taken = Self { values, read: vec![0; read], written: vec![0; written] };
        for launch in launches {
            let [lanes, items] = ["CHANNEL_LANES", "ITEMS"].map(|name| constant(&launch.kernel, name));
            let constants = Constants { lanes, items, start: start(launch, shape), whole: *shape };
            for group in 0..launch.grid[0] * launch.grid[1] {
                for local in 0..launch.kernel.workgroup_size() {
                    match name {
                        "train_moments" | "grad_sums" => taken.reduce(launch, &constants, group, local),
                        "train_merge" | "grad_merge" | "moments_merge" => {
                            taken.merge(launch, &constants, group, local);
                        }
                        _ if launch.params.blocks > 0 => taken.blocks(launch, &constants, group, local),
                        _ => taken.walk(launch, &constants, group, local),
                    }
                }
            }
        }
        taken
    }

    /// A value of the slice, which its kernel takes for one of this channel.
    fn take(&mut self, launch: &Launch, constants: &Constants, value: u32, channel: u32) {
        let value = constants.start + u64::from(value);
        let whole = constants.whole;
        let actual = value / u64::from(whole.inner()) % u64::from(whole.channels());
        assert_eq!(actual, u64::from(launch.params.first_channel + channel), "a value of another channel");
        self.values[value as usize] += 1;
    }

    /// `shaders/lib/cursor.wgsl` and the kernels that use it.
    fn reduce(&mut self, launch: &Launch, constants: &Constants, group: u32, local: u32) {
        let Launch { kernel, params, .. } = launch;
        let lanes = constants.lanes;
        let tiles = params.channels.div_ceil(lanes);
        let (part, channel) = (group / tiles, group % tiles * lanes + local % lanes);
        if group >= params.workgroups || channel >= params.channels {
            return;
        }
        let (begin, step) = (part * params.chunk, kernel.workgroup_size() / lanes);
        let end = (begin + params.chunk).min(params.count);
        // The kernels divide by the length of a chunk.
        assert!(begin < end, "an empty chunk");
        let place = |value: u32| (value / params.inner, value % params.inner);
        let (outer, mut position) = place(begin + local / lanes);
        let mut index = (outer * params.channels + channel) * params.inner + position;
        let (outer_step, position_step) = place(step);
        for _ in (begin + local / lanes..end).step_by(step as usize) {
            self.take(launch, constants, index, channel);
            index += outer_step * params.channels * params.inner + position_step;
            position += position_step;
            if position >= params.inner {
                position -= params.inner;
                index += (params.channels - 1) * params.inner;
            }
        }
        if local < lanes {
            let record = params.first_partial + part * params.all_channels + channel;
            self.written[record as usize] += 1;
        }
    }

    /// `shaders/lib/merge.wgsl` and the kernels that merge.
    fn merge(
        &mut self,
        Launch { kernel, params, .. }: &Launch,
        constants: &Constants,
        group: u32,
        local: u32,
    ) {
        let lanes = constants.lanes;
        let channel = group * lanes + local % lanes;
        if group >= params.workgroups || channel >= params.channels {
            return;
        }
        for part in (local / lanes..params.sets).step_by((kernel.workgroup_size() / lanes) as usize) {
            self.read[(part * params.channels + channel) as usize] += 1;
        }
        if local < lanes {
            self.written[channel as usize] += 1;
        }
    }

    /// `shaders/lib/block.wgsl` and the kernels that use it.
    fn blocks(&mut self, launch: &Launch, constants: &Constants, group: u32, local: u32) {
        let params = launch.params;
        if group >= params.workgroups {
            return;
        }
        let lanes = 16 / constants.whole.dtype().size() as u32;
        let (part, block) = (group / params.blocks, group % params.blocks);
        let begin = part * params.chunk;
        let end = (begin + params.chunk).min(params.vectors);
        assert!(begin < end, "an empty part");
        let mut index = begin + local;
        let mut position = index % params.run;
        let mut address = index / params.run * params.row + block * params.run + position;
        let fixed = position;
        let taken = local < params.stride && block * params.run + position < params.row;
        while taken && index < end {
            for lane in 0..lanes {
                let in_block = if constants.lanes == 1 { 0 } else { (fixed * lanes + lane) / params.inner };
                self.take(launch, constants, address * lanes + lane, block * constants.lanes + in_block);
            }
            index += params.stride;
            address = address.wrapping_add(params.step);
            position += params.step_positions;
            if position >= params.run {
                position -= params.run;
                address = address.wrapping_add(params.row - params.run);
            }
            assert!(constants.lanes == 1 || position == fixed, "a lane of another channel");
        }
        let channel = block * constants.lanes + local;
        if local < constants.lanes && channel < params.channels && !self.written.is_empty() {
            let record = params.first_partial + part * params.all_channels.max(params.channels) + channel;
            self.written[record as usize] += 1;
        }
    }

    /// `shaders/lib/walk.wgsl` and the kernels that walk the tensor.
    fn walk(&mut self, launch: &Launch, constants: &Constants, group: u32, local: u32) {
        let Launch { kernel, params, .. } = launch;
        let word_values = 4 / constants.whole.dtype().size() as u32;
        let items = constants.items;
        let after = |(channel, position): (u32, u32), channels: u32, positions: u32| {
            let carry = (position + positions) / params.inner;
            // The shader subtracts once.
            assert!(carry <= 1 && channel + channels + carry < 2 * params.channels, "carried twice");
            ((channel + channels + carry) % params.channels, (position + positions) % params.inner)
        };
        let place = |index: u32| (index / params.inner % params.channels, index % params.inner);
        let first = group * kernel.workgroup_size() * items + local;
        let mut at = place(first * word_values);
        for index in (0..items).map(|item| (first + item * kernel.workgroup_size()) * word_values) {
            if index >= params.len {
                return;
            }
            let mut value_at = at;
            for value in index..params.len.min(index + word_values) {
                assert_eq!(value_at, place(value), "a value of another channel");
                self.take(launch, constants, value, value_at.0);
                value_at = after(value_at, 0, 1);
            }
            at = after(at, params.item_channels, params.item_positions);
        }
    }
}
