//! A device that the application has made and uses itself, beside Burn.

use burn::tensor::wgpu::WgpuSetup;
use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use wgpu_batchnorm_burn::{BatchNormConfig, Error, Path};

/// Burn's runtime asks the adapter what there is, not the device: all of it has to be switched on.
fn setup() -> WgpuSetup {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()))
        .expect("an adapter: on Linux without a GPU, Mesa's software driver");
    let without = wgpu::Features::MAPPABLE_PRIMARY_BUFFERS | wgpu::Features::all_experimental_mask();
    let (device, queue) = pollster::block_on(adapter.request_device(&wgpu::DeviceDescriptor {
        required_features: adapter.features() - without,
        required_limits: adapter.limits(),
        ..wgpu::DeviceDescriptor::default()
    }))
    .expect("a device");
    let backend = adapter.get_info().backend;
    WgpuSetup { instance, adapter, device, queue, backend }
}

#[test]
fn burn_and_the_application_share_a_device() {
    let setup = setup();
    let (device, queue) = (setup.device.clone(), setup.queue.clone());
    let burn =
        Device::wgpu_options().setup(setup).init().expect("the device has all that Burn needs").autodiff();
    let layer = BatchNormConfig::new(2).init(&burn);
    // A tensor on another device is refused, with or without autodiff there.
    let other = Device::wgpu(DeviceKind::DefaultDevice);
    let refused = |name, got: &Device, needs: &Device| {
        Some(Error::Device { name, got: got.clone().into(), needs: needs.clone().into() })
    };
    let there = |device: &Device| Tensor::<2>::zeros([4, 2], device);
    assert_eq!(layer.try_forward(there(&other), None).err(), refused("gamma", &burn, &other));
    let residual = layer.try_forward(there(&burn.clone().inner()), Some(there(&other)));
    assert_eq!(residual.err(), refused("residual", &other, &burn));
    let values: Vec<f32> = (0..36).map(|value| value as f32).collect();
    let x = Tensor::<4>::from_data(TensorData::new(values, [2, 2, 3, 3]), &burn).require_grad();
    assert_eq!(layer.path(&x), Path::Kernels);
    for round in 1..=3 {
        let y = layer.forward(x.clone());
        let grads = y.clone().powi_scalar(2).sum().backward();
        // The application's own work on the same queue, meanwhile.
        let buffer = device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("the application's"),
            size: 256,
            usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        queue.write_buffer(&buffer, 0, &[round; 256]);
        queue.submit([]);
        let read = pollster::block_on(wgpu_batchnorm::read_back::<u8>(
            &device,
            &queue,
            buffer.as_entire_buffer_binding(),
        ));
        assert_eq!(read.expect("its buffer"), [round; 256]);
        let y: Vec<f32> = y.into_data().try_to_vec().expect("f32");
        let mean: f32 = y.iter().sum::<f32>() / 36.0;
        let square: f32 = y.iter().map(|y| y * y).sum::<f32>() / 36.0;
        assert!(mean.abs() < 1e-6 && (square - 1.0).abs() < 1e-4, "mean {mean}, variance {square}");
        let dx: Vec<f32> = x.grad(&grads).expect("x asks for it").into_data().try_to_vec().expect("f32");
        // The sum of squares is what eps leaves of m: it hardly depends on x.
        assert!(dx.iter().all(|dx| dx.abs() < 1e-4), "{dx:?}");
    }
}
