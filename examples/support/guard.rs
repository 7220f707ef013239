//! Turns what wgpu would report by panicking, such as a lack of memory, into errors.

use std::error::Error;

use wgpu_batchnorm::wgpu;

/// Runs `work`, and fails if it does or if wgpu found fault with it.
pub fn guarded<T>(
    device: &wgpu::Device,
    work: impl FnOnce() -> Result<T, Box<dyn Error>>,
) -> Result<T, Box<dyn Error>> {
    let scopes = [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory]
        .map(|filter| device.push_error_scope(filter));
    let result = work();
    let mut found = None;
    for scope in scopes.into_iter().rev() {
        // A lack of memory comes first: what is invalid is so because of it.
        found = found.or(pollster::block_on(scope.pop()));
    }
    match found {
        Some(wgpu::Error::OutOfMemory { .. }) => Err("the device is out of memory".into()),
        Some(error) => Err(error.to_string().into()),
        None => result,
    }
}
