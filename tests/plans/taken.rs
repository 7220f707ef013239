//! Which values a launch takes: the index arithmetic of the shaders, carried out on the CPU with the numbers of a plan.
//! The shaders themselves are held against the reference on a device, in `tests/gpu/`.

use wgpu_batchnorm::{Kernel, Launch, Params, Shape};

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
}

impl Taken {
    /// By all invocations of a launch over a tensor.
    pub fn by(launch: &Launch, shape: &Shape) -> Self {
        let Params { channels, sets, .. } = launch.params;
        let (values, records) = (shape.len() as usize, (sets * channels) as usize);
        let is_merge = launch.kernel.name().ends_with("_merge");
        let name = launch.kernel.name();
        let (read, written) = if is_merge {
            (records, channels as usize)
        } else if name.ends_with("_finish") {
            (0, 0)
        } else if launch.params.blocks > 0 && !(name.ends_with("_moments") || name.ends_with("_sums")) {
            (0, channels as usize * usize::from(name.ends_with("_fused") || name.ends_with("_resident")))
        } else {
            (0, records)
        };
        let mut taken = Self { values: vec![0; values], read: vec![0; read], written: vec![0; written] };
        let [lanes, items] = ["CHANNEL_LANES", "ITEMS"].map(|name| constant(&launch.kernel, name));
        let constants = Constants { lanes, items };
        for group in 0..launch.grid[0] * launch.grid[1] {
            for local in 0..launch.kernel.workgroup_size() {
                match launch.kernel.name() {
                    "train_moments" | "grad_sums" => taken.reduce(launch, &constants, group, local),
                    "train_merge" | "grad_merge" | "moments_merge" => {
                        taken.merge(launch, &constants, group, local);
                    }
                    _ if launch.params.blocks > 0 => taken.blocks(launch, &constants, shape, group, local),
                    _ => taken.walk(launch, &constants, shape, group, local),
                }
            }
        }
        taken
    }

    /// `shaders/lib/cursor.wgsl` and the kernels that use it.
    fn reduce(
        &mut self,
        Launch { kernel, params, .. }: &Launch,
        constants: &Constants,
        group: u32,
        local: u32,
    ) {
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
            assert_eq!(index / params.inner % params.channels, channel, "a value of another channel");
            self.values[index as usize] += 1;
            index += outer_step * params.channels * params.inner + position_step;
            position += position_step;
            if position >= params.inner {
                position -= params.inner;
                index += (params.channels - 1) * params.inner;
            }
        }
        if local < lanes {
            self.written[(part * params.channels + channel) as usize] += 1;
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
    fn blocks(
        &mut self,
        Launch { params, .. }: &Launch,
        constants: &Constants,
        shape: &Shape,
        group: u32,
        local: u32,
    ) {
        if group >= params.workgroups {
            return;
        }
        let lanes = 16 / shape.dtype().size() as u32;
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
                let value = address * lanes + lane;
                let channel = value / params.inner % params.channels;
                let in_block = if constants.lanes == 1 { 0 } else { (fixed * lanes + lane) / params.inner };
                assert_eq!(channel, block * constants.lanes + in_block, "a value of another channel");
                self.values[value as usize] += 1;
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
            self.written[(part * params.channels + channel) as usize] += 1;
        }
    }

    /// `shaders/lib/walk.wgsl` and the kernels that walk the tensor.
    fn walk(
        &mut self,
        Launch { kernel, params, .. }: &Launch,
        constants: &Constants,
        shape: &Shape,
        group: u32,
        local: u32,
    ) {
        let word_values = 4 / shape.dtype().size() as u32;
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
                self.values[value as usize] += 1;
                value_at = after(value_at, 0, 1);
            }
            at = after(at, params.item_channels, params.item_positions);
        }
    }
}
