//! Every kernel in every variant that a plan asks for, without a GPU: joined, validated, translated for every backend,
//! and its bindings and records held against those of Rust.

mod plans;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::mem::offset_of;
use std::path::Path;
use std::sync::LazyLock;

use naga::back::{glsl, hlsl, msl, spv};
use naga::proc::BoundsCheckPolicies;
use naga::valid::{Capabilities, GlobalUse, ModuleInfo, ValidationFlags, Validator};
use naga::{AddressSpace, Module, StorageAccess, TypeInner};
use wgpu_batchnorm::{
    Caps, GradientSums, Kernel, Moments, Overwriting, Params, Plan, Role, RunningCounters, SavedStatistics,
    Sharing,
};

/// WebGPU's default limit of invocations in a workgroup.
const INVOCATIONS: u32 = 256;

/// WebGPU's default limit of the memory of a workgroup, in bytes.
const WORKGROUP_STORAGE: u32 = 16384;

/// WebGPU's default limit of storage buffers in a shader.
const STORAGE_BUFFERS: usize = 8;

/// The files that stand in an open place of a kernel, one or the other. Those that are not here go
/// with one that is.
const OPEN: [[&str; 2]; 9] = [
    ["elements_f32", "elements_f16"],
    ["vectors_f32", "vectors_f16"],
    ["channels_one", "channels_many"],
    ["reduce_tree", "reduce_subgroups"],
    ["gamma_given", "gamma_one"],
    ["beta_given", "beta_zero"],
    ["running_updated", "running_absent"],
    ["dgamma_given", "dgamma_absent"],
    ["dbeta_given", "dbeta_absent"],
];

/// A kernel, parsed and validated.
struct Checked {
    kernel: Kernel,
    wgsl: String,
    module: Module,
    info: ModuleInfo,
}

impl Checked {
    fn new(kernel: Kernel) -> Self {
        let wgsl = kernel.wgsl();
        let module = naga::front::wgsl::parse_str(&wgsl)
            .unwrap_or_else(|error| panic!("{}: {}", kernel.name(), error.emit_to_string(&wgsl)));
        // unpack2x16float: every WebGPU device has it, naga lists it by name.
        let capabilities = Capabilities::SHADER_FLOAT16_IN_FLOAT32 | Capabilities::SUBGROUP;
        let info = Validator::new(ValidationFlags::all(), capabilities)
            .validate(&module)
            .unwrap_or_else(|error| panic!("{}: {}", kernel.name(), error.emit_to_string(&wgsl)));
        Self { kernel, wgsl, module, info }
    }

    fn name(&self) -> &str {
        self.kernel.name()
    }
}

/// Every plan, on devices with workgroups of every size.
static PLANS: LazyLock<Vec<(Caps, Plan)>> = LazyLock::new(|| {
    let mut plans = Vec::new();
    for caps in plans::devices() {
        let of_shapes = plans::shapes().into_iter().flat_map(|shape| plans::of_shape(&shape, &caps));
        plans.extend(of_shapes.chain(plans::of_merges(&caps)).map(|plan| (caps.clone(), plan)));
    }
    for log in 0..=7 {
        let caps = Caps { max_invocations: 1 << log, ..Caps::WEBGPU };
        let of_shapes = plans::shapes().into_iter().flat_map(|shape| plans::of_shape(&shape, &caps));
        plans.extend(of_shapes.map(|plan| (caps.clone(), plan)));
    }
    plans
});

/// Every kernel of every plan, bound in either way.
static KERNELS: LazyLock<Vec<Checked>> = LazyLock::new(|| {
    let kernels: HashSet<Kernel> = PLANS
        .iter()
        .flat_map(|(_, plan)| plan.launches())
        .flat_map(|launch| overwritings(launch.kernel))
        .flat_map(|kernel| [Sharing::Separate, Sharing::Shared].map(|way| kernel.with_sharing(way)))
        .collect();
    kernels.into_iter().map(Checked::new).collect()
});

/// The kernel, and the one that writes over what it reads, where it may.
fn overwritings(kernel: Kernel) -> Vec<Kernel> {
    let bindings = kernel.bindings();
    let binds = |role| bindings.iter().any(|binding| binding.role == role);
    let may = binds(Role::X) && binds(Role::Y) || binds(Role::Dy) && binds(Role::Dx);
    let over = may.then(|| kernel.with_overwriting(Overwriting::Input));
    [kernel].into_iter().chain(over).collect()
}

/// The files under `shaders/`, as the joined text names them.
fn files() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
    ["kernels", "lib"]
        .iter()
        .flat_map(|folder| {
            let entries = std::fs::read_dir(root.join(folder)).expect("folder of shaders");
            entries
                .map(move |entry| format!("{folder}/{}", entry.expect("file").file_name().to_string_lossy()))
        })
        .collect()
}

/// There is no file that no kernel needs, and none that is needed and not there.
#[test]
fn every_file_is_joined() {
    let joined: BTreeSet<String> = KERNELS
        .iter()
        .flat_map(|kernel| kernel.wgsl.lines())
        .filter_map(|line| line.strip_prefix("// "))
        .filter(|line| line.ends_with(".wgsl"))
        .map(str::to_owned)
        .collect();
    assert_eq!(joined, files());
}

/// No combination of the files that may fill a kernel's open places is left out, in either way of binding.
#[test]
fn every_combination_is_joined() {
    // Which file stands in each open place of the kernel, if it has the place, and the way of binding.
    type Combination = (Vec<Option<usize>>, Sharing);
    let combination = |Checked { kernel, wgsl, .. }: &Checked| -> Combination {
        let is_joined = |name: &str| wgsl.contains(&format!("// lib/{name}.wgsl\n"));
        let filled = OPEN.iter().map(|files| files.iter().position(|name| is_joined(name)));
        (filled.collect(), kernel.sharing())
    };
    // Those of a layer without a tail: with one, they have more open places.
    let tails = [
        "upstream_activated",
        "upstream_word_activated",
        "residual_added",
        "dresidual_given",
        "frozen_dx_given",
    ];
    let plain = |checked: &&Checked| {
        let joined = |name: &&str| checked.wgsl.contains(&format!("// lib/{name}.wgsl\n"));
        !tails.iter().any(joined) && checked.kernel.overwriting() == Overwriting::Nothing
    };
    let mut found: BTreeMap<(&str, Vec<bool>), HashSet<Combination>> = BTreeMap::new();
    for checked in KERNELS.iter().filter(plain) {
        let (filled, sharing) = combination(checked);
        let open: Vec<bool> = filled.iter().map(Option::is_some).collect();
        found.entry((checked.name(), open)).or_default().insert((filled, sharing));
    }
    for ((name, open), found) in found {
        // Subgroups add up over one channel.
        let all = 2usize << open.iter().filter(|open| **open).count();
        let expected = match (open[2], open[3]) {
            (true, true) => all / 4 * 3,
            (false, true) => all / 2,
            (_, false) => all,
        };
        assert_eq!(found.len(), expected, "{name}: {found:?}");
    }
    // Of every size that a workgroup may have, and with every number of channels side by side.
    let text = |log: u32| format!("const CHANNEL_LANES = {}u;", 1 << log);
    for name in ["train_moments", "grad_sums"] {
        let kernels = || KERNELS.iter().filter(|checked| checked.name() == name);
        let sizes: BTreeSet<u32> = kernels().map(|checked| checked.kernel.workgroup_size()).collect();
        assert_eq!(sizes, (0..=8).map(|log| 1 << log).collect(), "{name}");
        for lanes in (0..=5).map(text) {
            assert!(kernels().any(|checked| checked.wgsl.contains(&lanes)), "{name}: {lanes}");
        }
    }
}

/// What a file says that it uses is a part, and what a kernel binds has a role: a word that is misspelt would be left
/// out in silence.
#[test]
fn headers_name_parts_and_roles() {
    let open = [
        "elements",
        "map",
        "vectors",
        "gather",
        "write_lanes",
        "channels",
        "channel_sums",
        "reduce",
        "invocation",
        "gamma",
        "beta",
        "running",
        "dgamma",
        "dbeta",
        "source",
        "input",
        "gradient_source",
        "residual",
        "plus",
        "activation",
        "activate",
        "upstream",
        "upstream_word",
        "shift",
        "scale",
        "dresidual",
        "frozen_dx",
        "running_target",
        "counters",
        "verdict",
        "each",
        "mean",
        "later",
        "partial_sums",
    ];
    let names: Vec<&str> = Role::BOUND.iter().map(|role| role.name()).collect();
    let files = files();
    for file in &files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders").join(file);
        let text = std::fs::read_to_string(path).expect("shader");
        for line in text.lines().filter_map(|line| line.strip_prefix("// uses:")) {
            for part in line.split_whitespace() {
                let known = open.contains(&part) || files.contains(&format!("lib/{part}.wgsl"));
                assert!(known, "{file} uses {part}");
            }
        }
        for line in text.lines().filter_map(|line| line.strip_prefix("// binds:")) {
            for binding in line.split(',') {
                let words: Vec<&str> = binding.split_whitespace().collect();
                let [name, access] = words[..] else { panic!("{file} binds {binding:?}") };
                assert!(names.contains(&name), "{file} binds {name}");
                assert!(["read", "read_write"].contains(&access), "{file} binds {name} as {access}");
            }
        }
        if file.starts_with("kernels/") {
            for header in ["// uses:", "// binds:", "// grid:", "// memory:"] {
                assert!(text.lines().any(|line| line.starts_with(header)), "{file} has no {header}");
            }
        }
    }
}

/// No feature, but for subgroups where they are asked for; no atomics, no talk between workgroups.
#[test]
fn plain_webgpu() {
    for Checked { wgsl, kernel, .. } in KERNELS.iter() {
        let code: String = wgsl.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
        for word in ["enable ", "atomic", "storageBarrier", "subgroup", "override"] {
            let asked_for = word == "subgroup" && wgsl.contains("// lib/reduce_subgroups.wgsl");
            assert!(asked_for || !code.contains(word), "{} has {word:?}", kernel.name());
        }
    }
}

#[test]
fn translated_to_spirv() {
    let options = spv::Options { lang_version: (1, 3), ..Default::default() };
    for kernel in KERNELS.iter() {
        let words = spv::write_vec(&kernel.module, &kernel.info, &options, None);
        assert!(!words.unwrap_or_else(|error| panic!("{}: {error}", kernel.name())).is_empty());
    }
}

#[test]
fn translated_to_msl() {
    let options = msl::Options { lang_version: (2, 0), ..Default::default() };
    for kernel in KERNELS.iter() {
        let translated =
            msl::write_string(&kernel.module, &kernel.info, &options, &msl::PipelineOptions::default());
        let (text, _) = translated.unwrap_or_else(|error| panic!("{}: {error}", kernel.name()));
        assert!(text.contains(kernel.name()), "{}", kernel.name());
    }
}

#[test]
fn translated_to_hlsl() {
    let (options, pipeline) = (hlsl::Options::default(), hlsl::PipelineOptions::default());
    for kernel in KERNELS.iter() {
        let mut text = String::new();
        let mut writer = hlsl::Writer::new(&mut text, &options, &pipeline);
        let written = writer.write(&kernel.module, &kernel.info, None);
        written.unwrap_or_else(|error| panic!("{}: {error}", kernel.name()));
        assert!(text.contains(kernel.name()), "{}", kernel.name());
    }
}

/// GLSL ES 3.10 is the least that can compute.
#[test]
fn translated_to_glsl() {
    let options = glsl::Options { version: glsl::Version::new_gles(310), ..Default::default() };
    for kernel in KERNELS.iter() {
        let pipeline = glsl::PipelineOptions {
            shader_stage: naga::ShaderStage::Compute,
            entry_point: kernel.name().to_owned(),
            multiview: None,
        };
        let mut text = String::new();
        let policies = BoundsCheckPolicies::default();
        glsl::Writer::new(&mut text, &kernel.module, &kernel.info, &options, &pipeline, policies)
            .and_then(|mut writer| writer.write())
            .unwrap_or_else(|error| panic!("{}: {error}", kernel.name()));
        assert!(text.contains("void main"), "{}", kernel.name());
    }
}

/// What the host binds is what the shader declares: number, name, access. What is declared is used as it is declared.
#[test]
fn bindings_are_those_of_the_host() {
    for Checked { kernel, module, info, .. } in KERNELS.iter() {
        let name = kernel.name();
        let mut bindings = kernel.bindings();
        let entry = info.get_entry_point(0);
        for (handle, variable) in module.global_variables.iter() {
            let Some(bound) = variable.binding else { continue };
            let role = variable.name.as_deref().unwrap_or_default();
            let index = bindings.iter().position(|binding| binding.role.name() == role);
            let binding = bindings.remove(index.unwrap_or_else(|| panic!("{name}: the host lacks {role}")));
            assert_eq!((bound.group, bound.binding), (0, binding.role.binding()), "{name}: {role}");
            let expected = match (binding.storage(), binding.writable) {
                (false, _) => AddressSpace::Uniform,
                (true, false) => AddressSpace::Storage { access: StorageAccess::LOAD },
                (true, true) => AddressSpace::Storage { access: StorageAccess::LOAD | StorageAccess::STORE },
            };
            assert_eq!(variable.space, expected, "{name}: {role}");
            let usage = entry[handle];
            assert!(!usage.is_empty(), "{name}: {role} is bound for nothing");
            let written = usage.contains(GlobalUse::WRITE);
            let right = match kernel.sharing() {
                Sharing::Separate => written == binding.writable,
                Sharing::Shared => !written || binding.writable,
            };
            assert!(right, "{name}: {role} is writable: {}, written: {written}", binding.writable);
        }
        assert!(bindings.is_empty(), "{name}: the shader lacks {bindings:?}");
    }
}

/// Workgroups, their memory and the number of buffers are within WebGPU's default limits, and what the host counts.
#[test]
fn default_limits_suffice() {
    for Checked { kernel, module, .. } in KERNELS.iter() {
        let name = kernel.name();
        let [entry] = &module.entry_points[..] else { panic!("{name}: more than one entry point") };
        assert_eq!((entry.name.as_str(), entry.workgroup_size), (name, [kernel.workgroup_size(), 1, 1]));
        let storage = kernel.bindings().iter().filter(|binding| binding.storage()).count();
        assert!(storage <= STORAGE_BUFFERS, "{name} binds {storage} buffers");
        let scratch: u32 = module
            .global_variables
            .iter()
            .filter(|(_, variable)| variable.space == AddressSpace::WorkGroup)
            .map(|(_, variable)| module.types[variable.ty].inner.size(module.to_ctx()))
            .sum();
        let counted = kernel.workgroup_storage();
        assert!(scratch <= counted, "{name}: {scratch} bytes of workgroup memory, {counted} counted");
    }
    for kernel in PLANS.iter().filter(|(caps, _)| *caps == Caps::WEBGPU).flat_map(|(_, plan)| plan.launches())
    {
        let (name, kernel) = (kernel.kernel.name(), kernel.kernel);
        assert!(kernel.workgroup_size() <= INVOCATIONS, "{name}");
        let scratch = kernel.workgroup_storage();
        assert!(scratch <= WORKGROUP_STORAGE, "{name}: {scratch} bytes of workgroup memory");
    }
    let webgpu = Caps::WEBGPU;
    assert_eq!((webgpu.max_invocations, webgpu.max_workgroup_storage), (INVOCATIONS, WORKGROUP_STORAGE));
    assert_eq!(webgpu.max_storage_buffers as usize, STORAGE_BUFFERS);
}

/// The host counts the bytes of a buffer by the elements that the shader finds in it.
#[test]
fn arguments_have_the_elements_of_the_shader() {
    let mut strides: BTreeMap<Role, BTreeSet<u32>> = BTreeMap::new();
    for Checked { module, .. } in KERNELS.iter() {
        for role in Role::BOUND.into_iter().filter(|role| *role != Role::Params) {
            let mut variables = module.global_variables.iter().map(|(_, variable)| variable);
            let Some(found) = variables.find(|found| found.name.as_deref() == Some(role.name())) else {
                continue;
            };
            let TypeInner::Array { stride, .. } = module.types[found.ty].inner else { panic!("{role:?}") };
            strides.entry(role).or_default().insert(stride);
        }
    }
    let mut counted = BTreeSet::new();
    for argument in PLANS.iter().flat_map(|(_, plan)| plan.arguments()) {
        let (role, bytes) = (argument.role, argument.bytes);
        match role {
            // Words, and vectors of four.
            Role::X | Role::Y | Role::Dy | Role::Dx | Role::Residual | Role::Dresidual => {
                assert!(strides[&role] == BTreeSet::from([4, 16]) && bytes % 4 == 0, "{role:?}");
            }
            // Bound as x and y.
            Role::Weight | Role::Bias | Role::FoldedWeight | Role::FoldedBias => {
                assert!(bytes % 4 == 0, "{role:?}");
                continue;
            }
            Role::Workspace => continue,
            _ => {
                let [stride] = *strides[&role].iter().collect::<Vec<_>>() else { panic!("{role:?} has two") };
                assert_eq!(bytes, argument.elements * u64::from(*stride), "{role:?}");
            }
        }
        counted.insert(role);
    }
    assert_eq!(counted, strides.into_keys().collect());
}

/// The members of a struct of WGSL with their offsets, and its size.
fn layout(name: &str) -> Option<(Vec<(String, u32)>, u32)> {
    KERNELS.iter().find_map(|Checked { module, .. }| {
        let (_, found) = module.types.iter().find(|(_, ty)| ty.name.as_deref() == Some(name))?;
        let TypeInner::Struct { members, span } = &found.inner else { return None };
        let members = members.iter().map(|member| (member.name.clone().unwrap_or_default(), member.offset));
        Some((members.collect(), *span))
    })
}

/// The records of Rust lie in memory as those of WGSL do, member by member.
#[test]
fn records_are_those_of_the_host() {
    macro_rules! same {
        ($wgsl:literal, $rust:ty, $($member:ident)*) => {
            let members = vec![$((stringify!($member).to_owned(), offset_of!($rust, $member) as u32)),*];
            let filler = |(name, _): &(String, u32)| !name.starts_with("unused");
            let found = layout($wgsl).map(|(found, size)| (found.into_iter().filter(filler).collect(), size));
            assert_eq!(found, Some((members, size_of::<$rust>() as u32)), $wgsl);
        };
    }
    same!("Params", Params, channels inner count len chunk sets workgroups eps momentum correction item_channels
        item_positions run row vectors blocks stride step step_positions first first_channel all_channels first_partial
        low high);
    same!("Saved", SavedStatistics, pivot difference variance invstd);
    same!("Moments", Moments, count pivot difference m2);
    same!("GradientSums", GradientSums, count dy dy_centered);
    same!("Counters", RunningCounters, updates skipped);
}
