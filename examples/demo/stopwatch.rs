//! Times work on the GPU: by timestamp queries where the device has them, else by the clock on the wall.

use std::error::Error;
use std::time::Instant;

use wgpu_batchnorm::{read_back, wgpu};

/// The features that the demo uses where they are there.
pub const FEATURES: wgpu::Features = wgpu::Features::TIMESTAMP_QUERY;

/// Times compute passes on one device.
pub struct Stopwatch<'a> {
    device: &'a wgpu::Device,
    queue: &'a wgpu::Queue,
    timestamps: Option<Timestamps>,
    runs: u32,
}

struct Timestamps {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

impl<'a> Stopwatch<'a> {
    /// Each time is the median of `runs` runs after a first one that does not count.
    pub fn new(device: &'a wgpu::Device, queue: &'a wgpu::Queue, runs: u32) -> Self {
        let timestamps = device.features().contains(wgpu::Features::TIMESTAMP_QUERY).then(|| Timestamps {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("times"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * runs,
            }),
            resolved: device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("times"),
                size: u64::from(2 * runs) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
        });
        Self { device, queue, timestamps, runs }
    }

    pub fn method(&self) -> &'static str {
        match self.timestamps {
            Some(_) => "timestamp queries around each operation",
            None => "wall time of submit and wait (the device has no timestamp queries)",
        }
    }

    /// Seconds that a compute pass with this content takes.
    pub fn time(
        &self,
        record: impl Fn(&mut wgpu::ComputePass<'_>) -> Result<(), wgpu_batchnorm::Error>,
    ) -> Result<f64, Box<dyn Error>> {
        self.submit(None, &record)?;
        self.wait()?;
        let mut seconds = match &self.timestamps {
            Some(timestamps) => self.by_timestamps(timestamps, &record)?,
            None => self.by_wall(&record)?,
        };
        seconds.sort_by(f64::total_cmp);
        Ok(seconds[seconds.len() / 2])
    }

    fn by_timestamps(
        &self,
        Timestamps { queries, resolved }: &Timestamps,
        record: &dyn Fn(&mut wgpu::ComputePass<'_>) -> Result<(), wgpu_batchnorm::Error>,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        for run in 0..self.runs {
            let writes = wgpu::ComputePassTimestampWrites {
                query_set: queries,
                beginning_of_pass_write_index: Some(2 * run),
                end_of_pass_write_index: Some(2 * run + 1),
            };
            self.submit(Some(writes), record)?;
        }
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        encoder.resolve_query_set(queries, 0..2 * self.runs, resolved, 0);
        self.queue.submit([encoder.finish()]);
        let read = read_back::<u64>(self.device, self.queue, resolved.as_entire_buffer_binding());
        let ticks = pollster::block_on(read)?;
        let tick = f64::from(self.queue.get_timestamp_period()) * 1e-9;
        Ok(ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * tick).collect())
    }

    fn by_wall(
        &self,
        record: &dyn Fn(&mut wgpu::ComputePass<'_>) -> Result<(), wgpu_batchnorm::Error>,
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        let mut seconds = Vec::new();
        for _ in 0..self.runs {
            let start = Instant::now();
            self.submit(None, record)?;
            self.wait()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
        Ok(seconds)
    }

    fn submit(
        &self,
        timestamp_writes: Option<wgpu::ComputePassTimestampWrites<'_>>,
        record: &dyn Fn(&mut wgpu::ComputePass<'_>) -> Result<(), wgpu_batchnorm::Error>,
    ) -> Result<(), Box<dyn Error>> {
        let mut encoder = self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        let descriptor = wgpu::ComputePassDescriptor { label: Some("timed"), timestamp_writes };
        record(&mut encoder.begin_compute_pass(&descriptor))?;
        self.queue.submit([encoder.finish()]);
        Ok(())
    }

    fn wait(&self) -> Result<(), wgpu::PollError> {
        self.device.poll(wgpu::PollType::wait_indefinitely()).map(|_| ())
    }
}
