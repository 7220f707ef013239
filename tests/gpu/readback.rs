//! Reading buffers back.

use wgpu_batchnorm::{Error, read_back, wgpu};

use crate::Test;
use crate::support::gpu::Gpu;

pub const TESTS: &[Test] = &[("reading_back", reading_back), ("lost_device", lost_device)];

/// 2048 words, each its own index.
fn counting(gpu: &Gpu) -> wgpu::Buffer {
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: 8192,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC,
        mapped_at_creation: true,
    });
    let words: Vec<u32> = (0..2048).collect();
    buffer.get_mapped_range_mut(..).expect("mapped").copy_from_slice(bytemuck::cast_slice(&words));
    buffer.unmap();
    buffer
}

fn range(buffer: &wgpu::Buffer, offset: u64, size: u64) -> wgpu::BufferBinding<'_> {
    wgpu::BufferBinding { buffer, offset, size: wgpu::BufferSize::new(size) }
}

/// The errors of [`read_back`], and that a part, the whole and nothing can be read.
fn reading_back(gpu: &Gpu) {
    let counting = counting(gpu);
    // The future can be sent to another thread, as an executor may.
    fn wait<T>(future: impl Future<Output = T> + Send) -> T {
        pollster::block_on(future)
    }
    let read = |binding| wait(read_back::<u32>(&gpu.device, &gpu.queue, binding));
    assert!(read(range(&counting, 0, 0)).expect("the whole").into_iter().eq(0..2048));
    assert_eq!(read(range(&counting, 4, 8)).expect("a part"), [1, 2]);
    assert_eq!(read(range(&counting, 8192, 0)).expect("nothing"), Vec::<u32>::new());

    let usage = wgpu::BufferUsages::STORAGE;
    let descriptor = wgpu::BufferDescriptor { label: None, size: 16, usage, mapped_at_creation: false };
    let unreadable = gpu.device.create_buffer(&descriptor);
    let error = read(unreadable.as_entire_buffer_binding()).expect_err("no COPY_SRC");
    assert_eq!(error, Error::Usage { argument: "binding", got: usage, needs: wgpu::BufferUsages::COPY_SRC });
    let error = read(range(&counting, 8192, 4)).expect_err("beyond the end");
    assert_eq!(error, Error::OutOfBounds { argument: "binding", end: 8196, size: 8192 });
    let error = read(range(&counting, u64::MAX - 3, u64::MAX)).expect_err("beyond the end of u64");
    assert_eq!(error, Error::OutOfBounds { argument: "binding", end: u64::MAX, size: 8192 });
    let error = read(range(&counting, 2, 4)).expect_err("half a word before");
    assert_eq!(error, Error::Misaligned { argument: "binding", got: 2, needs: 4 });
    assert_eq!(error.to_string(), "binding: offset is 2, needs to be a multiple of 4");
    let error = read(range(&counting, 4, 6)).expect_err("half a word after");
    assert_eq!(error, Error::Indivisible { argument: "binding", got: 6, needs: 4 });
    assert_eq!(error.to_string(), "binding: size is 6 bytes, needs to be a multiple of 4");
    let binding = range(&counting, 0, 12);
    let error = pollster::block_on(read_back::<[f32; 4]>(&gpu.device, &gpu.queue, binding));
    assert_eq!(error, Err(Error::Indivisible { argument: "binding", got: 12, needs: 16 }));
}

/// [`Error::Readback`] where the device is gone: no panic.
fn lost_device(gpu: &Gpu) {
    let lost = gpu.limited(|_| {});
    let buffer = counting(&lost);
    lost.device.destroy();
    let binding = buffer.as_entire_buffer_binding();
    let error = pollster::block_on(read_back::<u32>(&lost.device, &lost.queue, binding));
    let error = error.expect_err("a lost device");
    assert!(matches!(error, Error::Readback { .. }), "{error:?}");
    assert!(error.to_string().starts_with("readback: "), "{error}");
}
