//! docs/plans.md: which way is taken for which layer, and why, as the plans themselves say it.

use std::fmt::Write;
use std::path::Path;

use wgpu_batchnorm::{BackwardOptions, Caps, Dtype, InferenceOptions, Plan, Shape, TrainingOptions};

/// The layers that every batch normalization is measured on: of ResNet-50 at two sizes of batch, of Inception, and a
/// fully connected one. Batch, channels, height, width.
const LAYERS: [[usize; 4]; 13] = [
    [32, 64, 112, 112],
    [32, 256, 56, 56],
    [32, 512, 28, 28],
    [32, 1024, 14, 14],
    [32, 2048, 7, 7],
    [256, 64, 112, 112],
    [256, 256, 56, 56],
    [256, 512, 28, 28],
    [256, 1024, 14, 14],
    [256, 2048, 7, 7],
    [32, 192, 28, 28],
    [32, 1024, 7, 7],
    [4096, 1024, 1, 1],
];

const INTRODUCTION: &str = "\
# Which plan for which layer

What `Plan::training`, `Plan::backward` and `Plan::inference` choose, and their own words for why. The rules are in
`src/plan/policy.rs`. `train_resident 512 @256` is a dispatch of 512 workgroups of 256 invocations; a pass is the tensor
read or written once. This page is written by the plans: `WGPU_BATCHNORM_BLESS=1 cargo test --test plan_table`, and a
test fails where it is out of date.
";

fn devices() -> [(&'static str, Caps); 3] {
    let most = 1 << 31;
    let wide = Caps {
        max_invocations: 1024,
        max_workgroup_storage: 49_152,
        max_binding_size: most - 4,
        subgroups: true,
        ..Caps::WEBGPU
    };
    [
        ("A GPU with WebGPU's default limits", Caps::WEBGPU),
        ("A GPU with workgroups of 1024, subgroups and bindings of 2 GiB", wide.clone()),
        ("A CPU (lavapipe, WARP) with the same", Caps { cpu: true, offset_alignment: 32, ..wide }),
    ]
}

/// The plan without the operation and shape that it begins with.
fn words(plan: &Plan) -> String {
    let plan = plan.to_string();
    plan.split_once(": ").map_or_else(|| plan.clone(), |(_, words)| words.to_owned())
}

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    for (device, caps) in devices() {
        let _ = writeln!(page, "\n## {device}\n");
        page += "| layer | layout | type | training | backward | inference |\n|---|---|---|---|---|---|\n";
        for [n, c, h, w] in LAYERS {
            for (layout, dims, axis) in
                [("channels first", [n, c, h, w], 1), ("channels last", [n, h, w, c], 3)]
            {
                // Without rows and columns the two are the same.
                if h * w == 1 && axis == 3 {
                    continue;
                }
                for dtype in Dtype::ALL {
                    let shape = Shape::new(&dims, axis, dtype).expect("a layer");
                    let training = Plan::training(&shape, &TrainingOptions::default(), &caps);
                    let backward = Plan::backward(&shape, &BackwardOptions::default(), &caps);
                    let inference = Plan::inference(&shape, &InferenceOptions::default(), &caps);
                    let [training, backward, inference] =
                        [training, backward, inference].map(|plan| words(&plan.expect("a plan")));
                    let layout = if h * w == 1 { "any" } else { layout };
                    let layer = if h * w == 1 { format!("{n}x{c}") } else { format!("{n}x{c}x{h}x{w}") };
                    let _ = writeln!(
                        page,
                        "| {layer} | {layout} | {dtype} | {training} | {backward} | {inference} |"
                    );
                }
            }
        }
    }
    page
}

/// Whoever changes the policy sees here for whom.
#[test]
fn the_page_is_what_the_plans_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/plans.md");
    let page = page();
    if std::env::var_os("WGPU_BATCHNORM_BLESS").is_some() {
        std::fs::write(&path, &page).expect("docs/plans.md");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    for (line, (written, said)) in (1..).zip(written.lines().zip(page.lines())) {
        assert_eq!(
            written, said,
            "docs/plans.md:{line} is out of date: WGPU_BATCHNORM_BLESS=1 writes it anew"
        );
    }
    assert_eq!(written.lines().count(), page.lines().count(), "docs/plans.md is out of date");
}
