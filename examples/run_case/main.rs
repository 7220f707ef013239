//! Runs batch normalization on tensors from files, and compares with expected values or the f64 reference.
//!
//! `cargo run --release --example run_case -- --help`

mod activation;
#[path = "../support/adapter.rs"]
mod adapter;
#[path = "../support/bounds.rs"]
mod bounds;
mod case;
mod compare;
mod device;
mod differentiate;
mod execute;
#[path = "../support/guard.rs"]
mod guard;
mod metadata;
mod output;
#[path = "../support/storage.rs"]
mod storage;
mod tail;
mod tensors;
mod truth;

use std::error::Error;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use case::Case;
use device::Device;
use output::Folder;
use tensors::File;

const HELP: &str = "run_case FILE.safetensors... [--out DIR] [OPTION...]

Runs batch normalization on tensors from files. Each file is one case; a bad one never stops the others. Files named
NAME.expected.safetensors are not cases, and skipped.

Metadata (of safetensors: __metadata__), all strings; mode and one of the next two are required:
  mode            train or eval
  layout          channels_first or channels_last; or instead
  channel_axis    an integer; below 0 it counts from the last dimension
  eps             1e-5 by default
  momentum        weight of the new value, as in PyTorch, 0.1 by default; or cumulative, which is 1 / (n + 1) with
  num_batches_tracked  the n batches seen before this one, as metadata or as an I64 tensor; 0 by default; read where
                  they are counted, with cumulative, finite or finite_layer
  running_var     unbiased (the default) or biased: which variance the running one takes
  update          always (the default), finite: only channels whose batch statistics are finite, finite_layer: only if
                  all are, or never: the running statistics stay as they are
  stats           batch or running: what the backward pass goes through, its gradients being those of a layer that is
                  normalized by them; by default what the forward pass is normalized by
  activation      identity (the default), relu, relu6, leaky_relu with alpha (0.01 by default), clamp with lo and hi,
                  sigmoid, tanh, silu, or gelu in its tanh form
Tensors; x is required:
  x                          F32 or F16, rank 2 or more
  weight, bias               F32, one value per channel; each may be absent
  running_mean, running_var  F32, one value per channel; both or neither
  residual                   shape and type of x: output = activation(weight x_hat + bias + residual)
  grad_output                shape and type of x; without it there is no backward pass

Without running statistics, mode eval normalizes by the batch's own, as PyTorch's modules do then.

With --out, writes DIR/NAME.safetensors: output, grad_input and grad_residual in x's type; in F32 batch_mean, batch_var
(biased), the updated running_mean and running_var, grad_weight and grad_bias; num_batches_tracked after the batch, one
I64, where they are counted (those that were let in); as far as the case implies them.
Without it, compares each result with the tensor of the same name (new_running_mean, new_running_var and
new_num_batches_tracked for what is updated), F64 or F32, the last I64, in NAME.expected.safetensors beside the case,
else with the f64 reference, and prints the worst absolute error, that by the largest expected value, and how much of
its bound the value nearest to it uses up. A layer that only normalizes, by the statistics of the batch:
  output       2e-6 (1 + max|weight| max|x_hat|)
  grad_input   2e-6 max|weight invstd| (1 + 1.5 max|grad_output|); where an outlier makes it more, 2e-6 of
               |weight invstd| max|x_hat| (mean|grad_output x_hat| + |mean grad_output| / 4)
  both         in F16 and half an F16 spacing; in F32 at least one F32 spacing, for a large bias
  output where all of a channel of x is equal: bias exactly
  grad_weight, grad_bias     2e-5 of the largest; where their sums cancel, 5e-7 of the root of the sum of squares, and
                             for grad_weight 5e-7 of grad_bias: each term has the rounding of the mean in it
  batch_mean                 2e-6 sqrt(variance + eps), of the mean as the kernels keep it, in two floats
  batch_var                  4e-6 of it
  running_mean, running_var  3e-7 of the parts, and twice the above by momentum; exact where they stay as they are
With z = weight x_hat + bias + residual and u = 6e-8, half the spacing of F32 at 1, residual and activation add to that:
  z              is within the bound of output above, at least an F32 spacing, and one of z for the residual's sum
  output         that by the steepest slope; and 16 u (|output| + min(|z|, 1)) for the rounding of sigmoid, tanh, silu
                 and gelu, 2 u |output| for that of leaky_relu and clamp
  grad_residual  is grad_output by the slope at z, within |grad_output| times: how much the slope turns at a corner,
                 where z is within its bound of one; 2 u |alpha| for leaky_relu; for the smooth ones the largest bend by
                 the bound of z, and 24 u of the steepest slope. It takes the place of grad_output in all that follows
  grad_bias, grad_weight     also the sum of these, by |x_hat| for grad_weight
  grad_input     also |weight invstd| times these, their mean, and |x_hat| mean(these |x_hat|)
Through running statistics grad_input is within 16 u of itself, and |weight invstd| times these.

  --out DIR            where to write the results; made if it is not there
";

const CODES: &str = "Exit code: 0 if all cases are within bounds, 1 if one is not; 2 if one is unusable, for wrong arguments, for no adapter.";

fn main() -> ExitCode {
    let help = format!("{HELP}{}\n\n{CODES}", adapter::HELP);
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folder = None;
    let own = |option: &str, parser: &mut lexopt::Parser| {
        if option != "out" {
            return Ok(false);
        }
        let path = parser.value()?;
        if folder.replace(PathBuf::from(path)).is_some() {
            return Err("--out: is given twice, needs to be given once".into());
        }
        Ok(true)
    };
    let choice = match adapter::Choice::parse(own, |file| {
        files.push(file.into());
        true
    }) {
        Ok(choice) => choice,
        Err(error) => return adapter::misused(&help, &error),
    };
    if let Some(code) = choice.answer(&help) {
        return code;
    }
    files.retain(|file| !file.as_os_str().as_encoded_bytes().ends_with(b".expected.safetensors"));
    if files.is_empty() {
        return adapter::misused(&help, &"no FILE given that is a case".into());
    }
    let folder = match folder.map(|path| Folder::new(path, &files)).transpose() {
        Ok(folder) => folder,
        Err(reason) => return adapter::unusable(&reason),
    };
    let adapter = match choice.adapter() {
        Ok(adapter) => adapter,
        Err(code) => return code,
    };
    let device = match Device::new(&adapter) {
        Ok(device) => device,
        Err(reason) => return adapter::unusable(&reason),
    };

    let (mut within, mut beyond, mut unusable) = (0, 0, 0);
    for file in &files {
        match run(file, &device, folder.as_ref()) {
            Ok(true) => within += 1,
            Ok(false) => beyond += 1,
            Err(reason) => {
                unusable += 1;
                let _ = writeln!(std::io::stderr(), "{}: {reason}", file.display());
            }
        }
    }
    let done = if folder.is_some() { "written" } else { "within bounds" };
    let cases = if files.len() == 1 { "1 case".to_owned() } else { format!("{} cases", files.len()) };
    print(&format!("\n{cases}: {within} {done}, {beyond} out of bounds, {unusable} unusable"));
    ExitCode::from(match (unusable, beyond) {
        (0, 0) => 0,
        (0, _) => 1,
        _ => 2,
    })
}

/// Whether the results of one case are within their bounds, or written where they are not compared.
fn run(path: &Path, device: &Device, folder: Option<&Folder>) -> Result<bool, Box<dyn Error>> {
    let file = File::read(path)?;
    let case = Case::new(&file)?;
    print(&format!("{}: {case}", path.display()));
    for note in &case.notes {
        print(&format!("  note: {note}"));
    }
    let results = guard::guarded(&device.device, || execute::run(device, &case))?;
    match folder {
        Some(folder) => {
            let written = folder.write(path, &case, &results)?;
            print(&format!("  wrote {}", written.display()));
            Ok(true)
        }
        None => compare::compare(path, &case, &results),
    }
}

/// A line to stdout. A reader that has gone away, as in `| head`, is no reason to panic.
fn print(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
