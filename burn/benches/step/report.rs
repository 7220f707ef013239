//! The measurement as Markdown.

use std::fmt::Write;

use burn::tensor::Device;

use crate::launches::sum;
use crate::measure::{Measured, NETWORKS};
use crate::options::Options;

/// Median, and the quartiles around it.
fn quartiles(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    let at = |part: f64| values.get(((values.len() - 1) as f64 * part).round() as usize).copied();
    [0.5, 0.25, 0.75].map(|part| at(part).unwrap_or(f64::NAN))
}

pub fn markdown(device: &Device, options: &Options, measured: &Measured) -> String {
    let Options { batch, size, channels, turns, steps, .. } = options;
    let fusion = match (cfg!(feature = "fusion"), cfg!(feature = "autotune")) {
        (true, true) => "with fusion and autotune",
        (true, false) => "with fusion",
        (false, true) => "without fusion, with autotune",
        (false, false) => "without fusion",
    };
    let name = device.identity().map_or("unknown".to_owned(), |identity| identity.name);
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "{name}, Burn 0.22 {fusion}; {batch} images of {size}x{size}, convolutions of {channels} and {} channels; \
         {turns} turns of {steps} steps.\n\n\
         | batch norm | ms per step | quartiles | in batch norm, ms | launches | of batch norm | loss |\n\
         |---|--:|--:|--:|--:|--:|--:|",
        2 * channels,
    );
    let extra = |network: usize| measured.seconds.iter().map(move |turn| 1e3 * (turn[network] - turn[0]));
    for (network, name) in NETWORKS.iter().enumerate() {
        let of = |turn: &[f64; 3]| 1e3 * turn[network];
        let [median, low, high] = quartiles(measured.seconds.iter().map(of).collect());
        let [in_norm, ..] = quartiles(extra(network).collect());
        let launches = sum(&measured.launches[network]);
        let of_norm = launches.saturating_sub(sum(&measured.launches[0]));
        let loss = measured.losses[network];
        let _ = writeln!(
            text,
            "| {name} | {median:.2} | {low:.2} to {high:.2} | {in_norm:.2} | {launches} | {of_norm} | {loss:.6} |"
        );
    }
    let ratios = extra(2).zip(extra(1)).map(|(burns, ours)| burns / ours).collect();
    let [median, low, high] = quartiles(ratios);
    let of_step = |turn: &[f64; 3]| turn[2] / turn[1];
    let [step, ..] = quartiles(measured.seconds.iter().map(of_step).collect());
    let _ = writeln!(
        text,
        "\nTime in batch norm, Burn's over ours: {median:.2} ({low:.2} to {high:.2}). The whole step: {step:.2}."
    );
    if options.kernels {
        for (name, launches) in NETWORKS.iter().zip(&measured.launches) {
            let _ = writeln!(text, "\n{name}:\n");
            for (kernel, count) in launches {
                let _ = writeln!(text, "- {count} `{}`", kernel.rsplit("::").next().unwrap_or(kernel));
            }
        }
    }
    text
}
