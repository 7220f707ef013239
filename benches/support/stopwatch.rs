//! Times work on the GPU: by timestamp queries around each operation, or by the clock on the wall.

use std::error::Error;
use std::time::Instant;

use wgpu_batchnorm::{read_back, wgpu};

use crate::gpu::Gpu;
use crate::options::Timer;

/// Operations in one turn at most.
pub const MOST: u32 = 64;

/// Something that takes time on the GPU.
pub trait Timed {
    /// Records it over one set of tensors, with a timestamp before and after it where there are `times`.
    fn record(
        &self,
        encoder: &mut wgpu::CommandEncoder,
        set: usize,
        times: Option<Times<'_>>,
    ) -> Result<(), Box<dyn Error>>;
}

/// Where the two timestamps of an operation go.
#[derive(Clone, Copy)]
pub struct Times<'a> {
    pub queries: &'a wgpu::QuerySet,
    pub first: u32,
}

impl<'a> Times<'a> {
    /// Around a compute pass.
    pub fn pass(self) -> wgpu::ComputePassTimestampWrites<'a> {
        wgpu::ComputePassTimestampWrites {
            query_set: self.queries,
            beginning_of_pass_write_index: Some(self.first),
            end_of_pass_write_index: Some(self.first + 1),
        }
    }
}

/// A compute pass with these timestamps, if any.
pub fn begin_pass<'e>(
    encoder: &'e mut wgpu::CommandEncoder,
    times: Option<Times<'_>>,
) -> wgpu::ComputePass<'e> {
    encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
        label: Some("timed"),
        timestamp_writes: times.map(Times::pass),
    })
}

pub struct Stopwatch<'a> {
    gpu: &'a Gpu,
    timestamps: Option<(wgpu::QuerySet, wgpu::Buffer)>,
}

impl<'a> Stopwatch<'a> {
    pub fn new(gpu: &'a Gpu) -> Self {
        let timestamps = (gpu.timer == Timer::Timestamps).then(|| {
            let queries = gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("times"),
                ty: wgpu::QueryType::Timestamp,
                count: 2 * MOST,
            });
            let resolved = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("times"),
                size: u64::from(2 * MOST) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            });
            (queries, resolved)
        });
        Self { gpu, timestamps }
    }

    pub fn method(&self) -> &'static str {
        match self.timestamps {
            Some(_) => "timestamp queries around each operation, one compute pass and one submit each",
            None => "wall time of one submit of several operations and the wait for it, by their number",
        }
    }

    /// Microseconds of each of some operations, one for each set named; of all of them on average by the wall clock.
    /// With `lead`, that set is worked on before, untimed.
    pub fn turn(
        &self,
        timed: &dyn Timed,
        lead: Option<usize>,
        sets: &[usize],
    ) -> Result<Vec<f64>, Box<dyn Error>> {
        if let Some(set) = lead {
            self.submit(timed, set, None)?;
        }
        match &self.timestamps {
            Some((queries, resolved)) => {
                // A submission each: wgpu has one end before the next begins, so that nothing overlaps.
                for (index, &set) in sets.iter().enumerate() {
                    self.submit(timed, set, Some(Times { queries, first: 2 * index as u32 }))?;
                }
                let mut encoder = self.gpu.encoder();
                let count = 2 * sets.len() as u32;
                encoder.resolve_query_set(queries, 0..count, resolved, 0);
                self.gpu.submit(encoder);
                let size = wgpu::BufferSize::new(u64::from(count) * 8);
                let binding = wgpu::BufferBinding { buffer: resolved, offset: 0, size };
                let ticks: Vec<u64> =
                    pollster::block_on(read_back(&self.gpu.device, &self.gpu.queue, binding))?;
                let tick = f64::from(self.gpu.queue.get_timestamp_period()) * 1e-3;
                let spans = ticks.chunks_exact(2).map(|pair| pair[1].saturating_sub(pair[0]) as f64 * tick);
                Ok(spans.collect())
            }
            None => {
                self.gpu.wait()?;
                let mut encoder = self.gpu.encoder();
                for &set in sets {
                    timed.record(&mut encoder, set, None)?;
                }
                let start = Instant::now();
                self.gpu.submit(encoder);
                self.gpu.wait()?;
                Ok(vec![start.elapsed().as_secs_f64() * 1e6 / sets.len() as f64])
            }
        }
    }

    fn submit(&self, timed: &dyn Timed, set: usize, times: Option<Times<'_>>) -> Result<(), Box<dyn Error>> {
        let mut encoder = self.gpu.encoder();
        timed.record(&mut encoder, set, times)?;
        self.gpu.submit(encoder);
        Ok(())
    }
}
