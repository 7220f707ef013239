//! docs/features.md: what a layer can be, cell by cell. Each cell is what has just been run; where the page says something
//! else the test fails. `WGPU_BATCHNORM_BLESS=1 cargo test --test gpu features` writes it anew.

use std::fmt::Write;
use std::path::Path;

use wgpu_batchnorm::{
    Activation, Affine, Backward, Dtype, FoldOptions, FrozenBackward, Gradients, Inference, Layer, Momentum,
    Residual, RunningStatistics, RunningTarget, RunningUpdate, RunningVariance, Shape, Training, Update,
    reference,
};

use crate::Test;
use crate::fold::Folding;
use crate::support::arena::Layout;
use crate::support::case::Case;
use crate::support::check::Verdict;
use crate::support::data::Random;
use crate::support::gpu::Gpu;
use crate::support::surface::Surface;

pub const TESTS: &[Test] = &[("page", page)];

const PAGE: &str = "docs/features.md";

const INTRODUCTION: &str = "\
# What a layer can be

Each cell was run: on each device of the test machine, the operations that the feature belongs to were held against the f64
reference in the storage types, layouts and with the tensors in place that the columns name. `tests/gpu/features.rs` runs them
again, and fails where this page says something else. A dash: there is nothing of the kind. Forward is `Training` and
`Inference`, with `RunningUpdate` and `Fold`; backward `Backward` and `FrozenBackward`, each as far as the feature matters to
it. Features combine freely: `tests/gpu/surface.rs` draws combinations at random.

The last column says who else has it in one operation, as far as their public sources show.

";

/// Everything in one pass over a feature.
#[derive(Clone, Copy, PartialEq)]
enum Pass {
    Training,
    Inference,
    Backward,
    Frozen,
    Update,
    Fold,
}

use Pass::{Backward as B, Fold as F, Frozen as Z, Inference as I, Training as T, Update as U};

struct Feature {
    name: String,
    layer: Layer,
    gradients: Gradients,
    passes: &'static [Pass],
    elsewhere: &'static str,
}

fn features() -> Vec<Feature> {
    let mut features = Vec::new();
    let all = Gradients::default();
    let plain = Layer::default();
    let mut add = |name: &str, layer, gradients, passes, elsewhere| {
        features.push(Feature { name: name.to_owned(), layer, gradients, passes, elsewhere });
    };
    let every: &[Pass] = &[T, I, B, Z];
    for affine in Affine::ALL {
        let (name, elsewhere) = match affine {
            Affine::GammaBeta => ("gamma and beta", "all"),
            Affine::Gamma => ("gamma alone", "Keras, PyTorch's functional form"),
            Affine::Beta => ("beta alone", "Keras, PyTorch's functional form"),
            Affine::None => ("neither gamma nor beta", "PyTorch, Keras"),
        };
        add(name, Layer { affine, ..plain }, all, every, elsewhere);
    }
    let residual = Residual::Added;
    let with_residual = Gradients { dresidual: true, ..all };
    for activation in Activation::EACH {
        let name = format!("activation {}", activation.name());
        let elsewhere = match activation {
            Activation::Identity => continue,
            Activation::Relu => "cuDNN, oneDNN, Apex",
            Activation::LeakyRelu { .. } => "InPlace-ABN",
            Activation::Clamp { .. } => "MIOpen",
            _ => "nobody in training",
        };
        add(&name, Layer { activation, ..plain }, all, every, elsewhere);
        let name = format!("residual and {}", activation.name());
        let elsewhere = if activation == Activation::Relu { "cuDNN, Apex" } else { "nobody" };
        add(&name, Layer { activation, residual, ..plain }, with_residual, every, elsewhere);
    }
    add("residual without activation", Layer { residual, ..plain }, with_residual, every, "nobody");
    add("frozen statistics", plain, all, &[I, Z], "PyTorch");
    let only = Gradients::NONE;
    for (name, layer, gradients) in [
        ("dx alone", plain, Gradients { dx: true, ..only }),
        ("dgamma alone", plain, Gradients { dgamma: true, ..only }),
        ("dbeta alone", plain, Gradients { dbeta: true, ..only }),
        ("dresidual alone", Layer { residual, ..plain }, Gradients { dresidual: true, ..only }),
    ] {
        let elsewhere = if gradients.dresidual { "nobody" } else { "PyTorch" };
        add(name, layer, gradients, &[B, Z], elsewhere);
    }
    let mut follow = |name: &str, running: RunningStatistics, elsewhere| {
        add(name, Layer { running: Some(running), ..plain }, all, &[T, U], elsewhere);
    };
    let usual = RunningStatistics::default();
    follow("momentum of the new value", usual, "PyTorch, cuDNN, Burn");
    let momentum = Momentum::OfOld(0.9);
    follow("momentum of the old value", RunningStatistics { momentum, ..usual }, "TensorFlow, Keras, ONNX");
    let momentum = Momentum::Cumulative;
    follow("cumulative average, counted on the GPU", RunningStatistics { momentum, ..usual }, "PyTorch");
    follow("unbiased running variance", usual, "PyTorch, cuDNN, TensorFlow's fused operation");
    let variance = RunningVariance::Biased;
    follow("biased running variance", RunningStatistics { variance, ..usual }, "Keras, ONNX, Burn");
    let update = Update::IfChannelFinite;
    follow("update only channels that are finite", RunningStatistics { update, ..usual }, "nobody");
    let update = Update::IfLayerFinite;
    follow("update only if the layer is finite", RunningStatistics { update, ..usual }, "nobody");
    let target = RunningTarget::Fresh;
    follow("running statistics to fresh buffers", RunningStatistics { target, ..usual }, "ONNX, JAX");
    let running = Some(usual);
    add("running statistics apart from the forward pass", Layer { running, ..plain }, all, &[U], "nobody");
    add("no running statistics", Layer { running: None, ..plain }, all, &[T], "PyTorch");
    add("folded into the layer before", plain, all, &[F], "PyTorch, ONNX Runtime, TensorRT, on the host");
    features
}

/// The tensors of a feature in one storage type and layout.
fn surface(feature: &Feature, dtype: Dtype, last: bool, in_place: bool) -> Surface {
    let (dims, axis) = if last { ([3, 5, 7, 12], 3) } else { ([3, 6, 7, 5], 1) };
    let shape = Shape::new(&dims, axis, dtype).expect("a shape");
    // A batch that is not to be let in, where that is the point.
    let bad = feature.layer.running.is_some_and(|running| running.update != Update::Always);
    let case = Case::random(shape, 11, 3.0).with_x(|i, _, x| if bad && i == 0 { f64::NAN } else { x });
    let residual = Random::new(13).normals(shape.len() as usize, 0.0, 1.5);
    Surface {
        residual: reference::stored(dtype, &residual),
        case,
        layer: feature.layer,
        gradients: feature.gradients,
        layout: Layout::Separate,
        in_place,
    }
}

fn run(gpu: &Gpu, surface: &Surface, pass: Pass) -> Verdict {
    let (context, shape) = (&gpu.context, &surface.case.shape);
    let (layer, gradients) = (surface.layer, surface.gradients);
    let text = |error: wgpu_batchnorm::Error| error.to_string();
    match pass {
        T => surface.training(gpu, &Training::new(context, shape, layer.training()).map_err(text)?).map(drop),
        I => surface.inference(gpu, &Inference::new(context, shape, layer.inference()).map_err(text)?),
        B => {
            let operation = Backward::new(context, shape, layer.backward(gradients)).map_err(text)?;
            surface.backward(gpu, &operation, &surface.case.saved(layer.eps))
        }
        Z => {
            let operation = FrozenBackward::new(context, shape, layer.frozen_backward(gradients));
            surface.frozen_backward(gpu, &operation.map_err(text)?)
        }
        U => {
            let running = layer.running.expect("running statistics");
            surface.update(gpu, &RunningUpdate::new(context, shape, running).map_err(text)?)
        }
        F => {
            let folding = Folding::new(*shape, FoldOptions { eps: layer.eps, ..Default::default() }, 11);
            folding.check(&folding.run(gpu, Layout::Separate, surface.in_place))
        }
    }
}

/// The cells of a feature: which runs each stands for, and whether all of them are right.
fn cells(gpu: &Gpu, feature: &Feature) -> [&'static str; 7] {
    let gpu = &gpu.anew();
    let mut runs = Vec::new();
    for &pass in feature.passes {
        for dtype in Dtype::ALL {
            for last in [false, true] {
                for in_place in [false, true] {
                    let verdict = run(gpu, &surface(feature, dtype, last, in_place), pass);
                    if let Err(wrong) = &verdict {
                        println!("{}: {}, {dtype}: {wrong}", gpu.name(), feature.name);
                    }
                    runs.push((pass, dtype, last, in_place, verdict.is_ok()));
                }
            }
        }
    }
    let cell = |of: &dyn Fn(Pass, Dtype, bool, bool) -> bool| {
        let mut of =
            runs.iter().filter(|(pass, dtype, last, in_place, _)| of(*pass, *dtype, *last, *in_place));
        match of.next() {
            None => "–",
            Some((.., first)) => {
                if *first && of.all(|(.., right)| *right) {
                    "yes"
                } else {
                    "no"
                }
            }
        }
    };
    // A gradient that is not asked for lies over nothing, and the update sees no tensor.
    let over = |pass| match pass {
        T | I | F => true,
        B | Z => feature.gradients.dx,
        U => false,
    };
    [
        cell(&|pass, _, _, _| matches!(pass, T | I | U | F)),
        cell(&|pass, _, _, _| matches!(pass, B | Z)),
        cell(&|_, dtype, _, _| dtype == Dtype::F32),
        cell(&|_, dtype, _, _| dtype == Dtype::F16),
        cell(&|_, _, last, _| !last),
        cell(&|_, _, last, _| last),
        cell(&|pass, _, _, in_place| in_place && over(pass)),
    ]
}

fn page(gpu: &Gpu) {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("| feature | forward | backward | f32 | f16 | channels first | channels last | in place | elsewhere |\n");
    page.push_str("|---|---|---|---|---|---|---|---|---|\n");
    for feature in features() {
        let cells = cells(gpu, &feature).join(" | ");
        let _ = writeln!(page, "| {} | {cells} | {} |", feature.name, feature.elsewhere);
    }
    if std::env::var_os("WGPU_BATCHNORM_BLESS").is_some() {
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE), &page).expect("the page");
        return;
    }
    // Carried along, as the test may be, to a machine without the repository.
    let written = include_str!("../../docs/features.md").replace("\r\n", "\n");
    for (written, run) in written.lines().zip(page.lines()) {
        assert_eq!(written, run, "{PAGE} is not what was run on {}", gpu.name());
    }
    assert_eq!(written.lines().count(), page.lines().count(), "{PAGE} is not what was run");
}
