//! The three networks in turns.

use std::error::Error;
use std::time::Instant;

use burn::nn::BatchNorm as BurnsNorm;
use burn::tensor::Device;
use wgpu_batchnorm_burn::BatchNorm as OurNorm;

use crate::launches::{self, Launches};
use crate::network::{Training, Without, training};
use crate::options::Options;

/// The networks, in the order of everything below.
pub const NETWORKS: [&str; 3] = ["none", "ours", "Burn's"];

/// Steps until pipelines are compiled and tuning is over.
const WARM_UP: usize = 8;

/// Losses of ours and Burn's may differ by that much of them after the warm-up: both round.
const LOSS_BOUND: f32 = 1e-3;

/// What was measured.
pub struct Measured {
    /// Launches of one step.
    pub launches: [Launches; 3],
    /// Seconds for a step, for each turn.
    pub seconds: Vec<[f64; 3]>,
    /// The loss after the warm-up.
    pub losses: [f32; 3],
}

pub fn measure(device: &Device, options: &Options) -> Result<Measured, Box<dyn Error>> {
    let mut networks: [Box<dyn Training>; 3] = [
        training::<Without>(device, options),
        training::<OurNorm>(device, options),
        training::<BurnsNorm>(device, options),
    ];
    let mut losses = [0.0; 3];
    for (network, loss) in networks.iter_mut().zip(&mut losses) {
        for _ in 0..WARM_UP {
            *loss = network.step().into_scalar::<f32>();
        }
    }
    let [_, ours, burns] = losses;
    if (ours - burns).abs() > LOSS_BOUND * burns.abs() {
        return Err(format!("after {WARM_UP} steps the loss of ours is {ours}, of Burn's {burns}").into());
    }
    let mut launches = [const { Launches::new() }; 3];
    for (network, launches) in networks.iter_mut().zip(&mut launches) {
        device.sync()?;
        *launches = launches::of(|| {
            network.step();
            // With fusion what nobody reads is not yet launched.
            drop(device.sync());
        });
    }
    let mut seconds = Vec::with_capacity(options.turns);
    for turn in 0..options.turns {
        let mut of_turn = [0.0; 3];
        // Who begins alternates.
        for place in 0..3 {
            let network = (place + turn) % 3;
            device.sync()?;
            let start = Instant::now();
            for _ in 0..options.steps {
                networks[network].step();
            }
            device.sync()?;
            of_turn[network] = start.elapsed().as_secs_f64() / options.steps as f64;
        }
        eprintln!("turn {}: {of_turn:.4?} s", turn + 1);
        seconds.push(of_turn);
    }
    Ok(Measured { launches, seconds, losses })
}
