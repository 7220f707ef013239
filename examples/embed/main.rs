//! Batch normalization inside a host application: one training step of a layer, in the host's own encoder.
//!
//! The host owns everything: the device, one large buffer that it hands out in pieces, the encoder, the submit. Among
//! its own compute passes it records our training forward and backward pass.
//!
//! ```text
//! host:  generate ──▶ x
//! ours:  Training     x ──▶ y, saved statistics, running statistics
//! host:  activate     y ──▶ activation = max(y, 0), dy = gradient of the loss by y
//! ours:  Backward     x, dy, saved ──▶ dx, dgamma, dbeta
//! host:  descend      gamma and beta, one step against their gradients
//! ```
//!
//! `cargo run --release --example embed`

#[path = "../support/adapter.rs"]
mod adapter;
#[path = "../support/bounds.rs"]
mod bounds;
mod check;
mod host;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use check::Step;
use host::Host;
use wgpu_batchnorm::wgpu::{self, BufferUsages};
use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Context, Dtype, SavedStatistics, Shape, Training,
    TrainingBuffers, TrainingOptions, read_back,
};

const HELP: &str = "embed [OPTION...]

One training step of a layer in a host application: its own device, its own compute passes before, between and after
ours, all tensors in one buffer, one encoder, one submit. The results are checked against the f64 reference.
";

fn main() -> ExitCode {
    let codes = "Exit code: 0, or 1 if a result is wrong, or 2 for wrong arguments or no adapter.";
    let help = format!("{HELP}\n{}\n\n{codes}", adapter::HELP);
    let choice = match adapter::Choice::parse(|_, _| Ok(false), |_| false) {
        Ok(choice) => choice,
        Err(error) => return adapter::misused(&help, &error),
    };
    if let Some(code) = choice.answer(&help) {
        return code;
    }
    let adapter = match choice.adapter() {
        Ok(adapter) => adapter,
        Err(code) => return code,
    };
    match run(&adapter) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => adapter::unusable(&error),
    }
}

/// A piece of the host's memory.
#[derive(Clone, Copy)]
struct Piece {
    offset: u64,
    size: u64,
}

impl Piece {
    /// As wgpu binds it: a buffer, an offset, a size. Our operations want to know nothing else of memory.
    fn of(self, memory: &wgpu::Buffer) -> wgpu::BufferBinding<'_> {
        wgpu::BufferBinding { buffer: memory, offset: self.offset, size: wgpu::BufferSize::new(self.size) }
    }
}

/// Whether all results are right.
fn run(adapter: &wgpu::Adapter) -> Result<bool, Box<dyn Error>> {
    // The device is the host's. We need no features, and no limits above WebGPU's defaults.
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;

    // A context once for the device. A layer is described, planned and compiled once.
    let context = Context::new(&device);
    let shape = Shape::new(&[8, 64, 14, 14], 1, Dtype::F32)?; // dimensions, channel axis
    let training = Training::new(&context, &shape, TrainingOptions::default())?;
    let backward = Backward::new(&context, &shape, BackwardOptions::default())?;

    // One buffer for everything. Pieces begin where the device lets bindings begin.
    let alignment = u64::from(device.limits().min_storage_buffer_offset_alignment);
    let mut end = 0;
    let mut piece = |size: u64| {
        let offset = end;
        end = (offset + size).next_multiple_of(alignment);
        Piece { offset, size }
    };
    let channels = u64::from(shape.channels());
    let [x, y, activation, dy, dx] = [(); 5].map(|()| piece(shape.size_in_bytes()));
    let [gamma, dgamma, beta, dbeta, mean, variance] = [(); 6].map(|()| piece(channels * 4));
    let saved = piece(channels * SavedStatistics::SIZE);
    // Operations that run one after the other may share their scratch memory.
    let workspace = piece(training.workspace_size().max(backward.workspace_size()));
    let memory = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("memory of the host"),
        size: end,
        usage: BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    // A new layer has gamma 1, beta 0, running mean 0, running variance 1; a new buffer is full of zeros.
    for piece in [gamma, variance] {
        queue.write_buffer(&memory, piece.offset, &1f32.to_ne_bytes().repeat(channels as usize));
    }
    let host = Host::new(&device, &memory, [x, y, activation, dy, gamma, dgamma, beta, dbeta]);

    // The step: the host's encoder, the host's order. Our operations record, and do nothing else.
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("step") });
    host.generate(&mut encoder, u32::try_from(shape.len())?);
    training.encode(
        &mut encoder,
        &TrainingBuffers {
            gamma: Some(gamma.of(&memory)),
            beta: Some(beta.of(&memory)),
            running_mean: Some(mean.of(&memory)),
            running_var: Some(variance.of(&memory)),
            // What is saved is for the backward pass.
            ..TrainingBuffers::new(x.of(&memory), y.of(&memory), saved.of(&memory), workspace.of(&memory))
        },
    )?;
    host.activate(&mut encoder, u32::try_from(shape.len())?);
    backward.encode(
        &mut encoder,
        &BackwardBuffers {
            gamma: Some(gamma.of(&memory)),
            dx: Some(dx.of(&memory)),
            dgamma: Some(dgamma.of(&memory)),
            dbeta: Some(dbeta.of(&memory)),
            ..BackwardBuffers::new(x.of(&memory), dy.of(&memory), saved.of(&memory), workspace.of(&memory))
        },
    )?;
    host.descend(&mut encoder, shape.channels());
    queue.submit([encoder.finish()]);

    // That was all. An application goes on from here; this one reads back, and looks whether it is right.
    print(&format!("one buffer of {end} bytes, one encoder, one submit:"));
    print("  generate (the host's)");
    print(&format!("  {}", training.plan()));
    print("  activate (the host's)");
    print(&format!("  {}", backward.plan()));
    print("  descend (the host's)\n");
    let read = |piece: Piece| pollster::block_on(read_back::<f32>(&device, &queue, piece.of(&memory)));
    let step = Step {
        shape,
        x: read(x)?,
        y: read(y)?,
        activation: read(activation)?,
        dy: read(dy)?,
        dx: read(dx)?,
        gamma: read(gamma)?,
        dgamma: read(dgamma)?,
        beta: read(beta)?,
        dbeta: read(dbeta)?,
        running: [read(mean)?, read(variance)?],
        saved: pollster::block_on(read_back(&device, &queue, saved.of(&memory)))?,
    };
    let mut right = true;
    for (name, fault) in step.check()? {
        print(&format!("{name:<12} {}", fault.as_deref().unwrap_or("right")));
        right &= fault.is_none();
    }
    Ok(right)
}

/// A line to stdout. A reader that has gone away, as in `| head`, is no reason to panic.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
