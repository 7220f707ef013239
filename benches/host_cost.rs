//! What recording costs on the CPU: microseconds per call of `encode` on a prepared layer.
//!
//! `cargo bench --bench host_cost`. Each figure is the median of rounds that take turns, with the range behind it.

use std::time::Instant;

use wgpu_batchnorm::{
    Backward, BackwardBuffers, BackwardOptions, Context, Dtype, Error, Inference, InferenceBuffers,
    InferenceOptions, SavedStatistics, Shape, Training, TrainingBuffers, TrainingOptions, wgpu,
};

const ROUNDS: usize = 31;
const CALLS: u32 = 200;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))?;
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor::default()))?;
    let info = adapter.get_info();
    println!("{} ({:?}, {})", info.name, info.backend, info.driver_info);

    let context = Context::new(&device);
    // Small, so that the GPU's share of a submit stays small beside the recording.
    let shape = Shape::new(&[8, 16, 4, 4], 1, Dtype::F32)?;
    let inference = Inference::new(&context, &shape, InferenceOptions::default())?;
    let training = Training::new(&context, &shape, TrainingOptions::default())?;
    let backward = Backward::new(&context, &shape, BackwardOptions::default())?;

    let buffer = |size| {
        let usage = wgpu::BufferUsages::STORAGE;
        device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false })
    };
    let [x, y, dy, dx] = [(); 4].map(|()| buffer(shape.size_in_bytes()));
    let channels = u64::from(shape.channels());
    let [gamma, beta, mean, variance, dgamma, dbeta] = [(); 6].map(|()| buffer(channels * 4));
    let saved = buffer(channels * SavedStatistics::SIZE);
    let workspace = buffer(training.workspace_size().max(backward.workspace_size()));
    let whole = wgpu::Buffer::as_entire_buffer_binding;

    type Record<'a> = Box<dyn Fn(&mut wgpu::CommandEncoder) -> Result<(), Error> + 'a>;
    let operations: [(&str, Record<'_>); 3] = [
        (
            "inference",
            Box::new(|encoder| {
                inference.encode(
                    encoder,
                    &InferenceBuffers {
                        x: whole(&x),
                        y: whole(&y),
                        gamma: Some(whole(&gamma)),
                        beta: Some(whole(&beta)),
                        running_mean: whole(&mean),
                        running_var: whole(&variance),
                    },
                )
            }),
        ),
        (
            "training",
            Box::new(|encoder| {
                training.encode(
                    encoder,
                    &TrainingBuffers {
                        x: whole(&x),
                        y: whole(&y),
                        gamma: Some(whole(&gamma)),
                        beta: Some(whole(&beta)),
                        running_mean: Some(whole(&mean)),
                        running_var: Some(whole(&variance)),
                        saved: whole(&saved),
                        workspace: whole(&workspace),
                    },
                )
            }),
        ),
        (
            "backward",
            Box::new(|encoder| {
                backward.encode(
                    encoder,
                    &BackwardBuffers {
                        x: whole(&x),
                        dy: whole(&dy),
                        saved: whole(&saved),
                        gamma: Some(whole(&gamma)),
                        dx: Some(whole(&dx)),
                        dgamma: Some(whole(&dgamma)),
                        dbeta: Some(whole(&dbeta)),
                        workspace: whole(&workspace),
                    },
                )
            }),
        ),
    ];

    let mut times = operations.each_ref().map(|_| Vec::with_capacity(ROUNDS));
    for _ in 0..ROUNDS {
        for ((_, record), times) in operations.iter().zip(&mut times) {
            let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            let start = Instant::now();
            for _ in 0..CALLS {
                record(&mut encoder)?;
            }
            times.push(start.elapsed().as_secs_f64() * 1e6 / f64::from(CALLS));
            queue.submit([encoder.finish()]);
            device.poll(wgpu::PollType::wait_indefinitely())?;
        }
    }
    println!(
        "{:<10} {:>8} {:>8} {:>8}   us per call, {CALLS} calls a round, {ROUNDS} rounds",
        "", "median", "min", "max"
    );
    for ((name, _), times) in operations.iter().zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{name:<10} {:>8.2} {:>8.2} {:>8.2}", times[ROUNDS / 2], times[0], times[ROUNDS - 1]);
    }
    Ok(())
}
