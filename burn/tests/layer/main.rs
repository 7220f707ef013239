//! The layer on a device: against Burn's own, against f64, and on tensors that lie in every way.

mod case;
mod drop_in;
mod exact;
mod extras;
mod f16;
mod layouts;
mod paths;
mod quantized;
mod record;
mod sharing;
