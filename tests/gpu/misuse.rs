//! What callers get wrong with their buffers: each mistake is an error by value and by message, and leaves no trace
//! on the device.

use wgpu_batchnorm::{
    Affine, Backward, BackwardBuffers, BackwardOptions, Dtype, Error, Gathered, Gradients, MergeMoments,
    MergeMomentsBuffers, Momentum, Plan, Shape, Strategy, Training, TrainingBuffers, TrainingOptions,
    read_back, wgpu,
};

use crate::Test;
use crate::support::gpu::Gpu;

pub const TESTS: &[Test] = &[
    ("absent_and_unexpected", absent_and_unexpected),
    ("sizes_and_offsets", sizes_and_offsets),
    ("usages", usages),
    ("overlaps", overlaps),
    ("overlapping_inputs", overlapping_inputs),
    ("workspace_too_small", workspace_too_small),
    ("what_is_allowed", what_is_allowed),
    ("prepare", prepare),
    ("empty_tensors_are_not_looked_at", empty_tensors_are_not_looked_at),
    ("momentum", momentum),
];

const STORAGE: wgpu::BufferUsages = wgpu::BufferUsages::STORAGE.union(wgpu::BufferUsages::COPY_SRC);
const FILL: u32 = 0x7fc1_7e17;
/// 64 values in each of 3 channels: 768 bytes, a multiple of any alignment.
const BYTES: u64 = 768;

fn shape() -> Shape {
    Shape::new(&[16, 3, 4], 1, Dtype::F32).expect("a shape")
}

/// A buffer full of poison.
fn buffer(gpu: &Gpu, size: u64, usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size,
        usage: usage | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let fill = FILL.to_ne_bytes().repeat(size as usize / 4);
    buffer.get_mapped_range_mut(..).expect("mapped").copy_from_slice(&fill);
    buffer.unmap();
    buffer
}

/// The buffers of training and backward, and some that do not fit.
struct Buffers {
    tensors: [wgpu::Buffer; 4],
    channels: [wgpu::Buffer; 6],
    saved: wgpu::Buffer,
    workspace: wgpu::Buffer,
    /// Room for several tensors.
    big: wgpu::Buffer,
    /// May be copied, not bound.
    unbindable: wgpu::Buffer,
}

impl Buffers {
    fn new(gpu: &Gpu) -> Self {
        Self {
            tensors: [(); 4].map(|()| buffer(gpu, BYTES, STORAGE)),
            channels: [(); 6].map(|()| buffer(gpu, 12, STORAGE)),
            saved: buffer(gpu, 48, STORAGE),
            workspace: buffer(gpu, 4096, STORAGE),
            big: buffer(gpu, 8192, STORAGE),
            unbindable: buffer(gpu, 8192, wgpu::BufferUsages::COPY_DST),
        }
    }

    fn training(&self) -> TrainingBuffers<'_> {
        let [x, y, ..] = &self.tensors;
        let [gamma, beta, running_mean, running_var, ..] = &self.channels;
        TrainingBuffers {
            x: x.as_entire_buffer_binding(),
            y: y.as_entire_buffer_binding(),
            gamma: Some(gamma.as_entire_buffer_binding()),
            beta: Some(beta.as_entire_buffer_binding()),
            running_mean: Some(running_mean.as_entire_buffer_binding()),
            running_var: Some(running_var.as_entire_buffer_binding()),
            saved: self.saved.as_entire_buffer_binding(),
            workspace: self.workspace.as_entire_buffer_binding(),
            residual: None,
            new_running_mean: None,
            new_running_var: None,
            counters: None,
        }
    }

    fn backward(&self) -> BackwardBuffers<'_> {
        let [x, _, dy, dx] = &self.tensors;
        let [gamma, .., dgamma, dbeta] = &self.channels;
        BackwardBuffers {
            x: x.as_entire_buffer_binding(),
            dy: dy.as_entire_buffer_binding(),
            saved: self.saved.as_entire_buffer_binding(),
            gamma: Some(gamma.as_entire_buffer_binding()),
            dx: Some(dx.as_entire_buffer_binding()),
            dgamma: Some(dgamma.as_entire_buffer_binding()),
            dbeta: Some(dbeta.as_entire_buffer_binding()),
            workspace: self.workspace.as_entire_buffer_binding(),
            residual: None,
            beta: None,
            dresidual: None,
        }
    }

    fn untouched(&self, gpu: &Gpu) -> bool {
        let (tensors, channels) = (self.tensors.iter(), self.channels.iter());
        let others = [&self.saved, &self.workspace, &self.big, &self.unbindable];
        tensors.chain(channels).chain(others).all(|buffer| {
            let binding = buffer.as_entire_buffer_binding();
            let words: Vec<u32> =
                pollster::block_on(read_back(&gpu.device, &gpu.queue, binding)).expect("read");
            words.iter().all(|word| *word == FILL)
        })
    }
}

/// What recording gave: once into the encoder, once into a pass. Both are finished and submitted, and wgpu has no
/// complaint, whatever was recorded.
fn attempt(
    gpu: &Gpu,
    encode: impl FnOnce(&mut wgpu::CommandEncoder) -> Result<(), Error>,
    record: impl FnOnce(&mut wgpu::ComputePass<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let scope = gpu.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let encoded = encode(&mut encoder);
    let recorded = record(&mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default()));
    gpu.queue.submit([encoder.finish()]);
    let complaint = pollster::block_on(scope.pop());
    assert!(complaint.is_none(), "wgpu: {complaint:?}");
    assert_eq!(encoded, recorded, "encode and record differ");
    encoded
}

/// Recording is refused with this error and this message, and no buffer has changed.
#[track_caller]
fn refused(gpu: &Gpu, buffers: &Buffers, outcome: Result<(), Error>, error: &Error, message: &str) {
    let actual = outcome.expect_err(message);
    assert_eq!(&actual, error);
    assert_eq!(actual.to_string(), message);
    assert!(buffers.untouched(gpu), "{message}: a buffer has changed");
}

fn train(gpu: &Gpu, layer: &Training, buffers: &TrainingBuffers<'_>) -> Result<(), Error> {
    attempt(gpu, |encoder| layer.encode(encoder, buffers), |pass| layer.record(pass, buffers))
}

fn differentiate(gpu: &Gpu, layer: &Backward, buffers: &BackwardBuffers<'_>) -> Result<(), Error> {
    attempt(gpu, |encoder| layer.encode(encoder, buffers), |pass| layer.record(pass, buffers))
}

fn training(gpu: &Gpu) -> Training {
    Training::new(&gpu.context, &shape(), TrainingOptions::default()).expect("training")
}

fn backward(gpu: &Gpu) -> Backward {
    Backward::new(&gpu.context, &shape(), BackwardOptions::default()).expect("backward")
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}

/// [`Error::Missing`] and [`Error::Unexpected`], for each optional buffer.
fn absent_and_unexpected(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let layer = training(gpu);
    type Spoil = fn(&mut TrainingBuffers<'_>);
    let spoils: [(&'static str, Spoil); 4] = [
        ("gamma", |buffers| buffers.gamma = None),
        ("beta", |buffers| buffers.beta = None),
        ("running_mean", |buffers| buffers.running_mean = None),
        ("running_var", |buffers| buffers.running_var = None),
    ];
    let bare = TrainingOptions { affine: Affine::None, running: None, ..Default::default() };
    let bare = Training::new(&gpu.context, &shape(), bare).expect("training");
    for (argument, spoil) in spoils {
        let mut buffers = given.training();
        spoil(&mut buffers);
        let message = format!("{argument}: is absent, needs a buffer of 12 bytes");
        let error = Error::Missing { argument, needs: 12 };
        refused(gpu, &given, train(gpu, &layer, &buffers), &error, &message);

        // Without all but this one.
        let mut buffers = given.training();
        for (name, spoil) in spoils {
            if name != argument {
                spoil(&mut buffers);
            }
        }
        let message =
            format!("{argument}: was given, but this operation, as it is described, has no use for it");
        refused(gpu, &given, train(gpu, &bare, &buffers), &Error::Unexpected { argument }, &message);
    }

    let mut buffers = given.backward();
    buffers.dx = None;
    let error = Error::Missing { argument: "dx", needs: BYTES };
    let message = "dx: is absent, needs a buffer of 768 bytes";
    refused(gpu, &given, differentiate(gpu, &backward(gpu), &buffers), &error, message);

    let gradients = Gradients { dx: false, ..Default::default() };
    let options = BackwardOptions { gradients, ..Default::default() };
    let layer = Backward::new(&gpu.context, &shape(), options).expect("backward");
    let message = "gamma: was given, but this operation, as it is described, has no use for it";
    let error = Error::Unexpected { argument: "gamma" };
    refused(gpu, &given, differentiate(gpu, &layer, &buffers), &error, message);
}

/// [`Error::TooSmall`], [`Error::OutOfBounds`] and [`Error::Misaligned`], offsets near the end of u64 included.
fn sizes_and_offsets(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let layer = training(gpu);
    let alignment = u64::from(gpu.device.limits().min_storage_buffer_offset_alignment);
    let with_x = |x| train(gpu, &layer, &TrainingBuffers { x, ..given.training() });

    let too_small = |argument, got, needs, elements: &str| {
        let message = format!("{argument}: holds {got} bytes, needs {needs} ({elements})");
        (Error::TooSmall { argument, got, needs, elements: elements.into() }, message)
    };
    let (error, message) = too_small("x", 764, BYTES, "192 values of 4 bytes");
    refused(gpu, &given, with_x(range(&given.big, 0, 764)), &error, &message);
    let (error, message) = too_small("x", BYTES - alignment, BYTES, "192 values of 4 bytes");
    refused(gpu, &given, with_x(range(&given.tensors[0], alignment, 0)), &error, &message);
    let (error, message) = too_small("gamma", 8, 12, "3 channels of 4 bytes");
    let gamma = Some(range(&given.channels[0], 0, 8));
    let outcome = train(gpu, &layer, &TrainingBuffers { gamma, ..given.training() });
    refused(gpu, &given, outcome, &error, &message);
    let (error, message) = too_small("saved", 44, 48, "3 channels of 16 bytes");
    let saved = range(&given.saved, 0, 44);
    let outcome = train(gpu, &layer, &TrainingBuffers { saved, ..given.training() });
    refused(gpu, &given, outcome, &error, &message);
    let halves = Shape::new(&[5, 3, 5], 1, Dtype::F16).expect("a shape");
    let odd = Training::new(&gpu.context, &halves, TrainingOptions::default()).expect("training");
    let (error, message) = too_small("y", 148, 152, "75 values of 2 bytes, in whole words");
    let y = range(&given.big, 0, 148);
    let outcome = train(gpu, &odd, &TrainingBuffers { y, ..given.training() });
    refused(gpu, &given, outcome, &error, &message);

    let last = u64::MAX - u64::MAX % alignment;
    for (offset, size, end) in [
        (0, 8196, 8196),
        (alignment, 8192, 8192 + alignment),
        (8192 + alignment, 0, 8192 + alignment),
        (8192 + alignment, 4, 8196 + alignment),
        (0, u64::MAX, u64::MAX),
        (last, 0, last),
        (last, u64::MAX, u64::MAX),
        (u64::MAX, u64::MAX, u64::MAX),
    ] {
        let error = Error::OutOfBounds { argument: "x", end, size: 8192 };
        let message = format!("x: ends at byte {end} of a buffer of 8192 bytes");
        refused(gpu, &given, with_x(range(&given.big, offset, size)), &error, &message);
    }

    for got in [1, 2, 4, alignment / 2, alignment + 4, 3 * alignment - 1] {
        if got % alignment == 0 {
            continue;
        }
        let message = format!("x: offset is {got}, needs to be a multiple of {alignment}");
        let error = Error::Misaligned { argument: "x", got, needs: alignment };
        refused(gpu, &given, with_x(range(&given.big, got, BYTES)), &error, &message);
    }
}

/// [`Error::Usage`].
fn usages(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let got = given.unbindable.usage();
    let needs = wgpu::BufferUsages::STORAGE;
    let outcome = train(
        gpu,
        &training(gpu),
        &TrainingBuffers { x: range(&given.unbindable, 0, 0), ..given.training() },
    );
    let message =
        "x: buffer usages are BufferUsages(COPY_SRC | COPY_DST), need to include BufferUsages(STORAGE)";
    refused(gpu, &given, outcome, &Error::Usage { argument: "x", got, needs }, message);
}

/// [`Error::Overlap`]: what is written overlaps another buffer by a byte or as a whole.
fn overlaps(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let layer = training(gpu);
    let alignment = u64::from(gpu.device.limits().min_storage_buffer_offset_alignment);
    let overlap = |argument, other| {
        let message = format!("{argument}: is written and overlaps {other}, needs memory of its own");
        (Error::Overlap { argument, other }, message)
    };
    let x = || range(&given.big, BYTES, BYTES);
    // Exactly over x it may lie; see `in_place`.
    for offset in [BYTES + alignment, 2 * BYTES - alignment, alignment, BYTES - alignment] {
        let y = range(&given.big, offset, BYTES);
        let (error, message) = overlap("y", "x");
        let buffers = TrainingBuffers { x: x(), y, ..given.training() };
        refused(gpu, &given, train(gpu, &layer, &buffers), &error, &message);
    }
    let (error, message) = overlap("running_mean", "running_var");
    let running_var = given.training().running_mean;
    let buffers = TrainingBuffers { running_var, ..given.training() };
    refused(gpu, &given, train(gpu, &layer, &buffers), &error, &message);
    let (error, message) = overlap("workspace", "x");
    let buffers = TrainingBuffers { x: x(), workspace: range(&given.big, BYTES, 0), ..given.training() };
    refused(gpu, &given, train(gpu, &layer, &buffers), &error, &message);
    let (error, message) = overlap("dgamma", "gamma");
    let dgamma = given.backward().gamma;
    let buffers = BackwardBuffers { dgamma, ..given.backward() };
    refused(gpu, &given, differentiate(gpu, &backward(gpu), &buffers), &error, &message);
}

/// [`Error::InputsOverlap`]: where one of them shares its buffer with what is written, inputs are bound as writable
/// and may not overlap; elsewhere x may well be dy, and gamma beta.
fn overlapping_inputs(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let layer = backward(gpu);
    let x = || range(&given.big, 0, BYTES);
    let dx = Some(range(&given.big, BYTES, BYTES));
    let buffers = BackwardBuffers { x: x(), dy: x(), dx, ..given.backward() };
    let message = "x: overlaps dy while a buffer is both read and written, needs memory of its own then";
    let error = Error::InputsOverlap { argument: "x", other: "dy" };
    refused(gpu, &given, differentiate(gpu, &layer, &buffers), &error, message);

    let gamma = || Some(range(&given.big, 0, 12));
    let y = range(&given.big, BYTES, BYTES);
    let buffers = TrainingBuffers { gamma: gamma(), beta: gamma(), y, ..given.training() };
    let message =
        "gamma: overlaps beta while a buffer is both read and written, needs memory of its own then";
    let error = Error::InputsOverlap { argument: "gamma", other: "beta" };
    refused(gpu, &given, train(gpu, &training(gpu), &buffers), &error, message);

    let buffers = BackwardBuffers { x: x(), dy: x(), ..given.backward() };
    assert_eq!(differentiate(gpu, &layer, &buffers), Ok(()));
    let buffers = TrainingBuffers { gamma: gamma(), beta: gamma(), ..given.training() };
    assert_eq!(train(gpu, &training(gpu), &buffers), Ok(()));
}

/// [`Error::TooSmall`] for scratch memory, by one word; and for the gathered sets of a merge.
fn workspace_too_small(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let options = BackwardOptions::default();
    let plan = Plan::backward_by(Strategy::General, &shape(), &options, gpu.context.caps()).expect("a plan");
    let layer = Backward::from_plan(&gpu.context, plan).expect("backward");
    let needs = layer.workspace_size();
    let workspace = range(&given.workspace, 0, needs - 4);
    let outcome = differentiate(gpu, &layer, &BackwardBuffers { workspace, ..given.backward() });
    let (got, elements) = (needs - 4, format!("{needs} bytes"));
    let message = format!("workspace: holds {got} bytes, needs {needs} ({needs} bytes)");
    refused(gpu, &given, outcome, &Error::TooSmall { argument: "workspace", got, needs, elements }, &message);

    let merge =
        MergeMoments::new(&gpu.context, Gathered { sets: 5, channels: 3 }, 1e-5, None).expect("merge");
    let buffers = MergeMomentsBuffers {
        partial_moments: range(&given.big, 0, 236),
        saved: given.saved.as_entire_buffer_binding(),
        running_mean: None,
        running_var: None,
    };
    let outcome =
        attempt(gpu, |encoder| merge.encode(encoder, &buffers), |pass| merge.record(pass, &buffers));
    let elements = "15 sets times channels of 16 bytes";
    let message = format!("partial_moments: holds 236 bytes, needs 240 ({elements})");
    let (argument, elements) = ("partial_moments", elements.into());
    refused(gpu, &given, outcome, &Error::TooSmall { argument, got: 236, needs: 240, elements }, &message);
}

/// No error: a binding without a size, one that is larger than needed, one that ends with its buffer, one that
/// starts at the smallest offset there is, and neighbours that touch.
fn what_is_allowed(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let layer = training(gpu);
    let alignment = u64::from(gpu.device.limits().min_storage_buffer_offset_alignment);
    let end = 8192 - BYTES;
    let first = alignment.next_multiple_of(BYTES);
    for (x, y) in [
        (range(&given.big, 0, 0), range(&given.tensors[1], 0, 0)),
        (range(&given.tensors[0], 0, 0), range(&given.big, 0, 8192)),
        (range(&given.big, alignment, BYTES), range(&given.tensors[1], 0, BYTES)),
        (range(&given.big, end - end % alignment, 0), range(&given.big, first, BYTES)),
        (range(&given.big, first, BYTES), range(&given.big, first + BYTES, BYTES)),
        (range(&given.big, first + BYTES, BYTES), range(&given.big, first, BYTES)),
    ] {
        assert_eq!(train(gpu, &layer, &TrainingBuffers { x, y, ..given.training() }), Ok(()));
    }
    assert!(!given.untouched(gpu), "nothing was recorded");
}

/// `prepare` says what `encode` would say, and writes nothing.
fn prepare(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let layer = training(gpu);
    let x = range(&given.big, BYTES, BYTES);
    for y in [range(&given.big, 0, BYTES), given.training().y] {
        assert_eq!(layer.prepare(&TrainingBuffers { x: x.clone(), y, ..given.training() }), Ok(()));
    }
    let saved = x.clone();
    let buffers = TrainingBuffers { x, saved, ..given.training() };
    let error = layer.prepare(&buffers).expect_err("saved over x");
    assert_eq!(error, Error::Overlap { argument: "saved", other: "x" });
    gpu.queue.submit([]);
    assert!(given.untouched(gpu), "preparing has written");
}

/// The tensors of an empty batch may be any buffer, one that cannot be bound included: nothing reads or writes them.
fn empty_tensors_are_not_looked_at(gpu: &Gpu) {
    let given = Buffers::new(gpu);
    let empty = Shape::new(&[0, 3, 4], 1, Dtype::F32).expect("a shape");
    let unbindable = || range(&given.unbindable, 1, 0);
    let layer = Training::new(&gpu.context, &empty, TrainingOptions::default()).expect("training");
    let buffers = TrainingBuffers { x: unbindable(), y: unbindable(), ..given.training() };
    assert_eq!(train(gpu, &layer, &buffers), Ok(()));
    assert!(given.untouched(gpu), "an empty batch has written");
    let layer = Backward::new(&gpu.context, &empty, BackwardOptions::default()).expect("backward");
    let (x, dy, dx) = (unbindable(), unbindable(), Some(unbindable()));
    assert_eq!(differentiate(gpu, &layer, &BackwardBuffers { x, dy, dx, ..given.backward() }), Ok(()));
}

/// [`Error::Momentum`] and [`Error::NoRunningStatistics`] of `set_momentum`.
fn momentum(gpu: &Gpu) {
    let mut layer = training(gpu);
    for got in [f32::INFINITY, f32::NEG_INFINITY] {
        let error = layer.set_momentum(Momentum::OfNew(got)).expect_err("an infinite momentum");
        assert_eq!(error, Error::Momentum { got });
        assert_eq!(error.to_string(), format!("momentum: is {got}, needs to be finite"));
    }
    let error = layer.set_momentum(Momentum::OfNew(f32::NAN)).expect_err("a NaN momentum");
    assert_eq!(error.to_string(), "momentum: is NaN, needs to be finite");
    let options = TrainingOptions { running: None, ..Default::default() };
    let mut layer = Training::new(&gpu.context, &shape(), options).expect("training");
    let error = layer.set_momentum(Momentum::OfNew(0.1)).expect_err("no running statistics");
    assert_eq!(error, Error::NoRunningStatistics);
    let message = "momentum: given, but this operation was described without running statistics";
    assert_eq!(error.to_string(), message);
}
