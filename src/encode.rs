//! Recording: checks the caller's buffers, then dispatches. The only place that does either.

use std::sync::{Arc, OnceLock};

use crate::error::Error;
use crate::kernel::{Kernel, Overwriting, Sharing};
use crate::pipeline::{Context, Pipeline};
use crate::plan::{Access, Argument, Launch, Place, Plan};
use crate::role::Role;

/// The buffers given for an operation, by what they are for.
pub(crate) type Given<'a, 'b> = &'b [(Role, Option<wgpu::BufferBinding<'a>>)];

/// A plan with its pipelines and parameters: ready to be recorded any number of times.
pub(crate) struct Prepared {
    context: Context,
    plan: Plan,
    launches: Vec<PreparedLaunch>,
}

struct PreparedLaunch {
    params: wgpu::Buffer,
    /// What is bound where every buffer has memory of its own.
    separate: Arc<Pipeline>,
    /// Compiled when a caller's buffers first need them.
    others: [OnceLock<Arc<Pipeline>>; 3],
}

impl PreparedLaunch {
    /// The pipeline of the kernel in the variant that the buffers need.
    fn pipeline(
        &self,
        context: &Context,
        kernel: Kernel,
        sharing: Sharing,
        overwriting: Overwriting,
    ) -> Result<Arc<Pipeline>, Error> {
        let slot = match (sharing, overwriting) {
            (Sharing::Separate, Overwriting::Nothing) => return Ok(self.separate.clone()),
            (Sharing::Shared, Overwriting::Nothing) => &self.others[0],
            (Sharing::Separate, Overwriting::Input) => &self.others[1],
            (Sharing::Shared, Overwriting::Input) => &self.others[2],
        };
        if let Some(pipeline) = slot.get() {
            return Ok(pipeline.clone());
        }
        let pipeline = context.pipeline(kernel.with_sharing(sharing).with_overwriting(overwriting))?;
        Ok(slot.get_or_init(|| pipeline).clone())
    }
}

/// A buffer of the caller's that has passed all checks.
#[derive(Clone, Copy)]
struct Checked<'a> {
    role: Role,
    access: Access,
    buffer: &'a wgpu::Buffer,
    offset: u64,
    bytes: u64,
}

impl Checked<'_> {
    /// Whether one is computed from the other value by value, and lies exactly over it: each value is read before it is
    /// written, by who writes it.
    fn goes_over(&self, input: &Self) -> bool {
        let pair = (self.role, input.role);
        matches!(
            pair,
            (Role::Y, Role::X)
                | (Role::Dx, Role::Dy)
                | (Role::FoldedWeight, Role::Weight)
                | (Role::FoldedBias, Role::Bias)
        ) && (self.buffer, self.offset, self.bytes) == (input.buffer, input.offset, input.bytes)
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.buffer == other.buffer
            && self.offset < other.offset + other.bytes
            && other.offset < self.offset + self.bytes
    }
}

/// What one launch binds, in the order of its kernel's bindings.
struct BoundLaunch<'a> {
    pipeline: Arc<Pipeline>,
    buffers: Vec<Checked<'a>>,
}

impl Prepared {
    pub(crate) fn new(context: &Context, operation: &'static str, plan: Plan) -> Result<Self, Error> {
        plan.check_for(operation, context.caps())?;
        let mut launches = Vec::with_capacity(plan.launches().len());
        for launch in plan.launches() {
            let separate = context.pipeline(launch.kernel)?;
            let shares = shares_workspace(launch, &separate);
            let params = upload(context.device(), launch);
            let prepared = PreparedLaunch { params, separate, others: Default::default() };
            if shares {
                prepared.pipeline(context, launch.kernel, Sharing::Shared, Overwriting::Nothing)?;
            }
            launches.push(prepared);
        }
        Ok(Self { context: context.clone(), plan, launches })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Later recordings use another momentum; earlier ones keep theirs.
    pub(crate) fn set_momentum(&mut self, momentum: f32) {
        self.plan.set_momentum(momentum);
        for (prepared, launch) in self.launches.iter_mut().zip(self.plan.launches()) {
            prepared.params = upload(self.context.device(), launch);
        }
    }

    /// Checks what recording would check, and compiles what it would compile.
    pub(crate) fn prepare(&self, given: Given<'_, '_>) -> Result<(), Error> {
        self.check(given).map(drop)
    }

    /// Records into a compute pass of its own.
    pub(crate) fn encode(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        given: Given<'_, '_>,
    ) -> Result<(), Error> {
        let bound = self.check(given)?;
        if bound.is_empty() {
            return Ok(());
        }
        let label = Some(self.plan.operation());
        let mut pass =
            encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label, timestamp_writes: None });
        self.dispatch(&mut pass, &bound);
        Ok(())
    }

    /// Records into the caller's compute pass.
    pub(crate) fn record(&self, pass: &mut wgpu::ComputePass<'_>, given: Given<'_, '_>) -> Result<(), Error> {
        let bound = self.check(given)?;
        if bound.is_empty() {
            return Ok(());
        }
        pass.push_debug_group(self.plan.operation());
        self.dispatch(pass, &bound);
        pass.pop_debug_group();
        Ok(())
    }

    fn dispatch(&self, pass: &mut wgpu::ComputePass<'_>, bound: &[BoundLaunch<'_>]) {
        for ((launch, prepared), bound) in self.plan.launches().iter().zip(&self.launches).zip(bound) {
            let mut buffers = bound.buffers.iter();
            let entries: Vec<_> = bound
                .pipeline
                .bindings
                .iter()
                .filter_map(|binding| {
                    let resource = if binding.storage() {
                        let Checked { buffer, offset, bytes, .. } = *buffers.next()?;
                        let size = wgpu::BufferSize::new(bytes);
                        wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset, size })
                    } else {
                        prepared.params.as_entire_binding()
                    };
                    Some(wgpu::BindGroupEntry { binding: binding.role.binding(), resource })
                })
                .collect();
            let bind_group = self.context.device().create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(launch.kernel.name),
                layout: &bound.pipeline.layout,
                entries: &entries,
            });
            pass.set_pipeline(&bound.pipeline.pipeline);
            pass.set_bind_group(0, &bind_group, &[]);
            pass.dispatch_workgroups(launch.grid[0], launch.grid[1], 1);
        }
    }

    /// All that the caller can get wrong, found before anything is recorded.
    fn check<'a>(&self, given: Given<'a, '_>) -> Result<Vec<BoundLaunch<'a>>, Error> {
        let arguments = self.plan.arguments();
        for (role, binding) in given {
            if binding.is_some() && !arguments.iter().any(|argument| argument.role == *role) {
                return Err(Error::Unexpected { argument: role.name() });
            }
        }
        let alignment = u64::from(self.context.caps().offset_alignment.max(1));
        let mut checked: Vec<Checked<'a>> = Vec::with_capacity(arguments.len());
        for argument in arguments.iter().filter(|argument| argument.bytes > 0) {
            let binding = given.iter().find(|(role, _)| *role == argument.role);
            let Some(binding) = binding.and_then(|(_, binding)| binding.as_ref()) else {
                return Err(Error::Missing { argument: argument.role.name(), needs: argument.bytes });
            };
            checked.push(check_binding(argument, binding, alignment)?);
        }
        for (i, a) in checked.iter().enumerate() {
            for b in &checked[i + 1..] {
                if (a.access.writes() || b.access.writes()) && a.overlaps(b) {
                    let (written, other) = if a.access.writes() { (a, b) } else { (b, a) };
                    if written.goes_over(other) {
                        continue;
                    }
                    return Err(Error::Overlap { argument: written.role.name(), other: other.role.name() });
                }
            }
        }
        self.plan.launches().iter().zip(&self.launches).map(|pair| self.bind(pair, &checked)).collect()
    }

    /// Finds the buffers of one launch, and the kernel's variant that they need.
    fn bind<'a>(
        &self,
        (launch, prepared): (&Launch, &PreparedLaunch),
        checked: &[Checked<'a>],
    ) -> Result<BoundLaunch<'a>, Error> {
        let bindings = &prepared.separate.bindings;
        let mut buffers = Vec::with_capacity(bindings.len());
        for binding in bindings.iter().filter(|binding| binding.storage()) {
            let (source, region) = match launch.place(binding.role) {
                Place::Argument(role) => (role, None),
                Place::Slice { role, offset, bytes } => (role, Some((offset, bytes))),
                Place::Workspace { offset, bytes } => (Role::Workspace, Some((offset, bytes))),
            };
            let Some(found) = checked.iter().find(|checked| checked.role == source) else {
                return Err(Error::Missing { argument: source.name(), needs: 4 });
            };
            let (offset, bytes) = region.unwrap_or((0, found.bytes));
            let access = if binding.writable { Access::Write } else { Access::Read };
            let offset = found.offset + offset;
            buffers.push(Checked { role: binding.role, access, offset, bytes, ..*found });
        }
        // What lies under an output is read through it.
        let under = |input: &Checked<'_>| buffers.iter().any(|output| output.goes_over(input));
        let overwritten: Option<Role> = buffers.iter().find(|input| under(input)).map(|input| input.role);
        buffers.retain(|input| Some(input.role) != overwritten);
        let overwriting = if overwritten.is_some() { Overwriting::Input } else { Overwriting::Nothing };
        // Usage is tracked by the buffer, not by the range.
        let shared = buffers
            .iter()
            .any(|a| a.access.writes() && buffers.iter().any(|b| !b.access.writes() && a.buffer == b.buffer));
        let sharing = if shared { Sharing::Shared } else { Sharing::Separate };
        for (i, a) in buffers.iter().enumerate().filter(|_| shared) {
            if let Some(b) = buffers[i + 1..].iter().find(|b| a.overlaps(b)) {
                return Err(Error::InputsOverlap { argument: a.role.name(), other: b.role.name() });
            }
        }
        let pipeline = prepared.pipeline(&self.context, launch.kernel, sharing, overwriting)?;
        Ok(BoundLaunch { pipeline, buffers })
    }
}

/// Whether a launch reads one region of the workspace and writes another, so that it needs the variant of its kernel for
/// shared buffers whatever the caller gives.
fn shares_workspace(launch: &Launch, pipeline: &Pipeline) -> bool {
    let in_workspace = |writable| {
        let mut bindings = pipeline.bindings.iter().filter(|binding| binding.writable == writable);
        bindings.any(|binding| matches!(launch.place(binding.role), Place::Workspace { .. }))
    };
    in_workspace(false) && in_workspace(true)
}

fn check_binding<'a>(
    argument: &Argument,
    binding: &wgpu::BufferBinding<'a>,
    alignment: u64,
) -> Result<Checked<'a>, Error> {
    let Argument { role, access, bytes: needs, .. } = *argument;
    let (name, buffer, offset) = (role.name(), binding.buffer, binding.offset);
    if !buffer.usage().contains(wgpu::BufferUsages::STORAGE) {
        let needs = wgpu::BufferUsages::STORAGE;
        return Err(Error::Usage { argument: name, got: buffer.usage(), needs });
    }
    let available = buffer.size().saturating_sub(offset);
    let got = binding.size.map_or(available, |size| size.get());
    let end = offset.saturating_add(got);
    if end > buffer.size() {
        return Err(Error::OutOfBounds { argument: name, end, size: buffer.size() });
    }
    if offset % alignment != 0 {
        return Err(Error::Misaligned { argument: name, got: offset, needs: alignment });
    }
    if got < needs {
        let elements = format!("{} {}", argument.elements, argument.element);
        return Err(Error::TooSmall { argument: name, got, needs, elements });
    }
    Ok(Checked { role, access, buffer, offset, bytes: needs })
}

/// The plan: what is compiled says no more.
impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.plan)
    }
}

/// The parameters of a launch. Written while the buffer is created, so that no queue is needed.
fn upload(device: &wgpu::Device, launch: &Launch) -> wgpu::Buffer {
    let contents = bytemuck::bytes_of(&launch.params);
    let params = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("params"),
        size: contents.len() as u64,
        usage: wgpu::BufferUsages::UNIFORM,
        mapped_at_creation: true,
    });
    // On a lost device, or one without memory, there is nothing to write to. wgpu has told the application.
    if let Ok(mut mapped) = params.get_mapped_range_mut(..) {
        mapped.copy_from_slice(contents);
        drop(mapped);
        params.unmap();
    }
    params
}
