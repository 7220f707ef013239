//! Reading a buffer back: what tests, examples and tools need, and a training loop should not.

use futures_intrusive::channel::shared::oneshot_channel;

use crate::error::Error;

/// Copies part of a buffer to the CPU. Submits a copy of its own and, outside the browser, waits for the device.
///
/// The buffer needs usage `COPY_SRC`; offset and size are multiples of 4 bytes, and the size a multiple of `T`'s.
///
/// # Errors
/// [`Error::Usage`], [`Error::OutOfBounds`], [`Error::Misaligned`], [`Error::Indivisible`], and [`Error::Readback`] if
/// the device fails. A `T` without size does not compile.
///
/// ```no_run
/// # async fn f(device: &wgpu::Device, queue: &wgpu::Queue, y: &wgpu::Buffer) -> Result<(), wgpu_batchnorm::Error> {
/// let values: Vec<f32> = wgpu_batchnorm::read_back(device, queue, y.as_entire_buffer_binding()).await?;
/// # Ok(())
/// # }
/// ```
pub async fn read_back<T: bytemuck::Pod>(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    binding: wgpu::BufferBinding<'_>,
) -> Result<Vec<T>, Error> {
    const { assert!(size_of::<T>() > 0, "elements of no size cannot be counted") };
    let wgpu::BufferBinding { buffer, offset, size } = binding;
    let argument = "binding";
    if !buffer.usage().contains(wgpu::BufferUsages::COPY_SRC) {
        let needs = wgpu::BufferUsages::COPY_SRC;
        return Err(Error::Usage { argument, got: buffer.usage(), needs });
    }
    let size = size.map_or(buffer.size().saturating_sub(offset), |size| size.get());
    let end = offset.saturating_add(size);
    if end > buffer.size() {
        return Err(Error::OutOfBounds { argument, end, size: buffer.size() });
    }
    if offset % 4 != 0 {
        return Err(Error::Misaligned { argument, got: offset, needs: 4 });
    }
    for needs in [4, size_of::<T>() as u64] {
        if size % needs != 0 {
            return Err(Error::Indivisible { argument, got: size, needs });
        }
    }
    if size == 0 {
        return Ok(Vec::new());
    }
    // What wgpu has to say, as on a lost device, is an error of this function and not the application's.
    let memory = device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let validation = device.push_error_scope(wgpu::ErrorFilter::Validation);
    let staging = device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read_back"),
        size,
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder =
        device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("read_back") });
    encoder.copy_buffer_to_buffer(buffer, offset, &staging, 0, size);
    queue.submit([encoder.finish()]);

    let (sender, receiver) = oneshot_channel();
    staging.map_async(wgpu::MapMode::Read, .., move |result| {
        // The receiver is gone only if the caller dropped this future.
        let _ = sender.send(result);
    });
    let (validation, memory) = (validation.pop(), memory.pop());
    if let Some(error) = validation.await.or(memory.await) {
        return Err(failure(error));
    }
    // In the browser the event loop does the waiting.
    #[cfg(not(target_arch = "wasm32"))]
    device.poll(wgpu::PollType::wait_indefinitely()).map_err(failure)?;
    match receiver.receive().await {
        Some(Ok(())) => {
            let mapped = staging.get_mapped_range(..).map_err(failure)?;
            Ok(bytemuck::pod_collect_to_vec(&mapped))
        }
        Some(Err(error)) => Err(failure(error)),
        None => Err(failure("the device dropped the request")),
    }
}

fn failure(reason: impl std::fmt::Display) -> Error {
    Error::Readback { reason: reason.to_string() }
}
