//! Joins the files of a kernel into one WGSL module: parts as its `// uses:` lines name them, bindings as its
//! `// binds:` lines do, constants as the plan chose them.
//!
//! Joining text is a complete linker here: declarations of a module may come in any order, and what is not used costs
//! nothing.

use std::fmt::Write;

use crate::kernel::{Channels, Kernel, Later, Overwriting, Presence, Reduce, Sharing, Source};
use crate::role::Role;
use crate::running::{RunningTarget, Update};
use crate::tensor::Dtype;

macro_rules! files {
    ($($path:literal)*) => {
        &[$(($path, include_str!(concat!("../shaders/", $path, ".wgsl")))),*]
    };
}

/// Every file under `shaders/`, by its path there without the extension.
const FILES: &[(&str, &str)] = files![
    "kernels/fold_weight"
    "kernels/frozen_apply"
    "kernels/frozen_statistics"
    "kernels/grad_apply"
    "kernels/grad_block_apply"
    "kernels/grad_block_finish"
    "kernels/grad_block_sums"
    "kernels/grad_fused"
    "kernels/grad_merge"
    "kernels/grad_resident"
    "kernels/grad_residual"
    "kernels/grad_sums"
    "kernels/infer_apply"
    "kernels/infer_block_apply"
    "kernels/moments_merge"
    "kernels/running_update"
    "kernels/train_apply"
    "kernels/train_block_apply"
    "kernels/train_block_finish"
    "kernels/train_block_moments"
    "kernels/train_fused"
    "kernels/train_merge"
    "kernels/train_moments"
    "kernels/train_resident"
    "lib/activate_f16"
    "lib/activate_f32"
    "lib/activate_word"
    "lib/activation_clamp"
    "lib/activation_gelu"
    "lib/activation_identity"
    "lib/activation_leaky_relu"
    "lib/activation_relu"
    "lib/activation_sigmoid"
    "lib/activation_silu"
    "lib/activation_tanh"
    "lib/beta_given"
    "lib/beta_zero"
    "lib/block"
    "lib/channel_sums_many"
    "lib/channel_sums_one"
    "lib/channel_table"
    "lib/channels_many"
    "lib/channels_one"
    "lib/coefficients"
    "lib/counters_absent"
    "lib/counters_constant"
    "lib/counters_cumulative"
    "lib/counters_record"
    "lib/cursor"
    "lib/dbeta_absent"
    "lib/dbeta_given"
    "lib/dgamma_absent"
    "lib/dgamma_given"
    "lib/dresidual_absent"
    "lib/dresidual_given"
    "lib/dy_in_dx"
    "lib/dy_own"
    "lib/each_f16"
    "lib/each_f32"
    "lib/elements_f16"
    "lib/elements_f32"
    "lib/finish"
    "lib/finite"
    "lib/frozen_dx_absent"
    "lib/frozen_dx_given"
    "lib/gamma_given"
    "lib/gamma_one"
    "lib/gather_f16"
    "lib/gather_f32"
    "lib/grad_finish"
    "lib/grad_step"
    "lib/gradient_loop"
    "lib/gradient_sums"
    "lib/grid"
    "lib/invocation_plain"
    "lib/invocation_subgroups"
    "lib/keep_nan"
    "lib/lanes"
    "lib/logistic"
    "lib/map_f16"
    "lib/map_f32"
    "lib/later_computed"
    "lib/later_held"
    "lib/later_written"
    "lib/mean_running"
    "lib/mean_zero"
    "lib/merge"
    "lib/merge_sums"
    "lib/moments"
    "lib/normalize_loop"
    "lib/normalized"
    "lib/params"
    "lib/partial_sums_absent"
    "lib/partial_sums_given"
    "lib/plus_absent"
    "lib/plus_added"
    "lib/reduce_subgroups"
    "lib/reduce_tree"
    "lib/residual_absent"
    "lib/residual_added"
    "lib/running_absent"
    "lib/running_fresh"
    "lib/running_in_place"
    "lib/running_record"
    "lib/running_updated"
    "lib/saved"
    "lib/scale_absent"
    "lib/scale_given"
    "lib/share"
    "lib/shift_f16"
    "lib/shift_f32"
    "lib/shift_one"
    "lib/sums_loop"
    "lib/tail"
    "lib/tally"
    "lib/tally_loop"
    "lib/upstream_activated"
    "lib/upstream_plain"
    "lib/upstream_word_activated"
    "lib/upstream_word_plain"
    "lib/vectors_f16"
    "lib/vectors_f32"
    "lib/verdict_always"
    "lib/verdict_channel"
    "lib/verdict_layer"
    "lib/walk"
    "lib/write_lanes_f16"
    "lib/write_lanes_f32"
    "lib/x_in_y"
    "lib/x_own"
    "lib/x_unread"
];

/// A buffer that a kernel binds.
///
/// ```
/// use wgpu_batchnorm::{Binding, Role};
///
/// let binding = Binding { role: Role::Y, writable: true };
/// assert!(binding.storage());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding {
    /// What it is for, and so its number.
    pub role: Role,
    /// Whether it is bound as `read_write`.
    pub writable: bool,
}

impl Binding {
    /// Whether it is a storage buffer; else it is the uniform block.
    pub fn storage(&self) -> bool {
        self.role != Role::Params
    }
}

impl Kernel {
    /// Its whole WGSL module. The entry point has the kernel's name, all bindings are in group 0.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Dtype, Plan, Shape, TrainingOptions};
    ///
    /// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::training(&shape, &TrainingOptions::default(), &Caps::WEBGPU)?;
    /// assert!(plan.launches()[0].kernel.wgsl().contains("fn train_fused("));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn wgsl(&self) -> String {
        self.wgsl_numbered(Role::binding)
    }

    /// The same module where each `@binding` is numbered by the caller, as hosts want it that bind by position.
    ///
    /// ```
    /// use wgpu_batchnorm::{Caps, Dtype, InferenceOptions, Plan, Shape};
    ///
    /// let shape = Shape::new(&[32, 64, 28, 28], 1, Dtype::F32)?;
    /// let plan = Plan::inference(&shape, &InferenceOptions::default(), &Caps::WEBGPU)?;
    /// let kernel = plan.launches()[0].kernel;
    /// let bindings = kernel.bindings();
    /// let position = |role| bindings.iter().position(|binding| binding.role == role).unwrap_or_default() as u32;
    /// assert!(kernel.wgsl_numbered(position).contains("@binding(2) var<storage, read_write> y"));
    /// # Ok::<(), wgpu_batchnorm::Error>(())
    /// ```
    pub fn wgsl_numbered(&self, number: impl Fn(Role) -> u32) -> String {
        let tuning = self.tuning;
        let mut wgsl = String::new();
        // Writing to a string cannot fail.
        for (name, value) in [
            ("WORKGROUP", tuning.workgroup),
            ("CHANNEL_LANES", tuning.channel_lanes),
            ("ITEMS", tuning.items),
            ("BLOCK", tuning.block),
        ] {
            let _ = writeln!(wgsl, "const {name} = {value}u;");
        }
        for Binding { role, writable } in self.bindings() {
            let (number, name, wgsl_type) = (number(role), role.name(), role.wgsl_type());
            let space = match (role, writable) {
                (Role::Params, _) => "uniform",
                (_, true) => "storage, read_write",
                (_, false) => "storage, read",
            };
            let _ = writeln!(wgsl, "@group(0) @binding({number}) var<{space}> {name}: {wgsl_type};");
        }
        for path in self.files() {
            let _ = write!(wgsl, "\n// {path}.wgsl\n{}", repeated(text(&path), tuning.items));
        }
        wgsl
    }

    /// The buffers that it binds, by number.
    pub fn bindings(&self) -> Vec<Binding> {
        let files = self.files();
        let declared: Vec<(&str, &str)> = files
            .iter()
            .flat_map(|path| words(text(path), "// binds:", ','))
            .filter_map(|b| b.split_once(' '))
            .collect();
        let has_params = files.iter().any(|path| path == "lib/params");
        Role::BOUND
            .into_iter()
            .filter_map(|role| {
                if role == Role::Params {
                    return has_params.then_some(Binding { role, writable: false });
                }
                let mut access =
                    declared.iter().filter(|(name, _)| *name == role.name()).map(|(_, access)| *access);
                let first = access.next()?;
                let written = first == "read_write" || access.any(|access| access == "read_write");
                Some(Binding { role, writable: written || self.sharing == Sharing::Shared })
            })
            .collect()
    }

    /// The files that make it up, each once, the kernel's own last.
    fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        self.collect(format!("kernels/{}", self.name), &mut files);
        files
    }

    fn collect(&self, path: String, files: &mut Vec<String>) {
        if files.contains(&path) {
            return;
        }
        for part in words(text(&path), "// uses:", ' ') {
            self.collect(format!("lib/{}", self.file_of(part)), files);
        }
        files.push(path);
    }

    /// The file that stands in an open place of the kernel; any other part is its own file.
    fn file_of<'a>(&self, part: &'a str) -> &'a str {
        let parts = &self.parts;
        let pick = |presence, given, absent| match presence {
            Presence::Given => given,
            Presence::Absent => absent,
        };
        let of_dtype = |f32, f16| match parts.elements {
            Dtype::F32 => f32,
            Dtype::F16 => f16,
        };
        let of_channels = |one, many| match parts.channels {
            Channels::Unblocked | Channels::One => one,
            Channels::Many => many,
        };
        let of_reduce = |tree, subgroups| match parts.reduce {
            Reduce::Tree => tree,
            Reduce::Subgroups => subgroups,
        };
        let of_source = |read, unread| match parts.source {
            Source::Read => read,
            Source::Unread => unread,
        };
        let of_overwriting = |own, over| match self.overwriting {
            Overwriting::Nothing => own,
            Overwriting::Input => over,
        };
        let acts = Presence::of(parts.activation.acts());
        let scaled = Presence::of(parts.activation.acts() || parts.frozen_dx == Presence::Given);
        match part {
            "elements" => of_dtype("elements_f32", "elements_f16"),
            "each" => of_dtype("each_f32", "each_f16"),
            "map" => of_dtype("map_f32", "map_f16"),
            "vectors" => of_dtype("vectors_f32", "vectors_f16"),
            "gather" => of_dtype("gather_f32", "gather_f16"),
            "write_lanes" => of_dtype("write_lanes_f32", "write_lanes_f16"),
            "channels" => of_channels("channels_one", "channels_many"),
            "channel_sums" => of_channels("channel_sums_one", "channel_sums_many"),
            "reduce" => of_reduce("reduce_tree", "reduce_subgroups"),
            "invocation" => of_reduce("invocation_plain", "invocation_subgroups"),
            "gamma" => pick(parts.gamma, "gamma_given", "gamma_one"),
            "beta" => pick(parts.beta, "beta_given", "beta_zero"),
            "running" => pick(parts.running, "running_updated", "running_absent"),
            "dgamma" => pick(parts.dgamma, "dgamma_given", "dgamma_absent"),
            "dbeta" => pick(parts.dbeta, "dbeta_given", "dbeta_absent"),
            "activation" => parts.activation.path(),
            "activate" => of_dtype("activate_f32", "activate_f16"),
            "residual" => pick(parts.residual, "residual_added", "residual_absent"),
            "plus" => pick(parts.residual, "plus_added", "plus_absent"),
            "source" => of_overwriting("x_own", "x_in_y"),
            "gradient_source" => of_overwriting("dy_own", "dy_in_dx"),
            "input" => of_source("x_own", "x_unread"),
            "mean" => of_source("mean_running", "mean_zero"),
            "upstream" => pick(acts, "upstream_activated", "upstream_plain"),
            "upstream_word" => pick(acts, "upstream_word_activated", "upstream_word_plain"),
            "partial_sums" => pick(parts.sums, "partial_sums_given", "partial_sums_absent"),
            "later" => match parts.later {
                Later::Computed => "later_computed",
                Later::Held => "later_held",
                Later::Written => "later_written",
            },
            "shift" => of_channels("shift_one", of_dtype("shift_f32", "shift_f16")),
            "scale" => pick(scaled, "scale_given", "scale_absent"),
            "dresidual" => pick(parts.dresidual, "dresidual_given", "dresidual_absent"),
            "frozen_dx" => pick(parts.frozen_dx, "frozen_dx_given", "frozen_dx_absent"),
            "running_target" => match parts.following.target {
                RunningTarget::InPlace => "running_in_place",
                RunningTarget::Fresh => "running_fresh",
            },
            "verdict" => match parts.following.update {
                Update::Always => "verdict_always",
                Update::IfChannelFinite => "verdict_channel",
                Update::IfLayerFinite => "verdict_layer",
            },
            "counters" => match (parts.following.counts, parts.following.cumulative) {
                (false, _) => "counters_absent",
                (true, false) => "counters_constant",
                (true, true) => "counters_cumulative",
            },
            file => file,
        }
    }
}

/// The text with its `// repeat:` ... `// end` parts written out ITEMS times, `$k` counting them: drivers do not unroll
/// the loops that naga writes, and arrays that are indexed in a loop do not stay in registers.
fn repeated(text: &str, items: u32) -> String {
    let mut written = String::with_capacity(text.len());
    let mut part: Option<String> = None;
    for line in text.lines() {
        match (line.trim(), &mut part) {
            ("// repeat:", None) => part = Some(String::new()),
            ("// end", Some(lines)) => {
                for item in 0..items {
                    written.push_str(&lines.replace("$k", &item.to_string()));
                }
                part = None;
            }
            (_, Some(lines)) => {
                lines.push_str(line);
                lines.push('\n');
            }
            (_, None) => {
                written.push_str(line);
                written.push('\n');
            }
        }
    }
    written
}

/// The text of a file, empty for an unknown one: tests/shaders.rs joins and validates every variant.
fn text(path: &str) -> &'static str {
    FILES.iter().find(|(known, _)| *known == path).map_or("", |(_, text)| text)
}

/// The items after a marker that starts a line.
fn words(text: &'static str, marker: &'static str, separator: char) -> impl Iterator<Item = &'static str> {
    text.lines()
        .filter_map(move |line| line.strip_prefix(marker))
        .flat_map(move |items| items.split(separator))
        .map(str::trim)
        .filter(|item| !item.is_empty())
}
