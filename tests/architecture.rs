//! The architecture, held as `docs/architecture.md` describes it: who may use what, and that the page is true.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The modules from the words to what users hold. Each uses only modules before it.
const ORDER: [&str; 22] = [
    "error",
    "role",
    "tensor",
    "statistics",
    "activation",
    "running",
    "options",
    "convention",
    "caps",
    "kernel",
    "plan",
    "shader",
    "pipeline",
    "encode",
    "operation",
    "inference",
    "training",
    "backward",
    "frozen_backward",
    "running_update",
    "fold",
    "stages",
];

/// Those that stand beside, and the words that they use.
const BESIDE: [(&str, &[&str]); 5] = [
    ("state", &["error", "running", "options"]),
    ("cpu", &["error", "tensor", "statistics", "activation", "running", "options"]),
    ("reference", &["error", "tensor", "activation", "running"]),
    ("verify", &[]),
    ("readback", &["error"]),
];

/// Words and decisions, up to the text of a shader: the same answer to the same question, wherever and whenever.
const PURE: [&str; 12] = [
    "error",
    "role",
    "tensor",
    "statistics",
    "activation",
    "running",
    "options",
    "convention",
    "caps",
    "kernel",
    "plan",
    "shader",
];

/// What users hold: none of these uses another.
const OPERATIONS: [&str; 7] =
    ["inference", "training", "backward", "frozen_backward", "running_update", "fold", "stages"];

/// Who may name wgpu in code. Words and decisions are pure, but for the limits of a device and the values in errors.
const TOUCH_WGPU: [&str; 13] = [
    "error",
    "caps",
    "pipeline",
    "encode",
    "operation",
    "inference",
    "training",
    "backward",
    "frozen_backward",
    "running_update",
    "fold",
    "stages",
    "readback",
];

/// What only one module does.
const ALONE: [(&str, &[&str]); 3] = [
    ("pipeline", &["create_compute_pipeline", "create_shader_module", "create_bind_group_layout"]),
    ("encode", &["dispatch_workgroups", "begin_compute_pass", "create_bind_group(", "set_pipeline"]),
    ("readback", &[".submit(", ".poll(", "map_async", "push_error_scope", "copy_buffer_to_buffer"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files below a folder of the repository with that extension, by their path from its root.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut folders = vec![root().join(folder)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("folder") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                // A crate of its own, as a peer in the benchmarks is, may have been built in place.
                if !path.ends_with("target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                let path: PathBuf = path.strip_prefix(root()).expect("below the root").components().collect();
                files.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    files.sort();
    files
}

fn text(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A file without its comments and its own tests, which are one module at its end: nothing hides behind them.
fn code(path: &str) -> String {
    let text = text(path);
    let (text, tests) = text.split_once("#[cfg(test)]").unwrap_or((&text, "\nmod tests {\n}\n"));
    let body =
        tests.strip_prefix("\nmod tests {\n").unwrap_or_else(|| panic!("{path}: tests are `mod tests`"));
    let is_outside = |line: &&str| !line.is_empty() && !line.starts_with(' ');
    assert_eq!(body.lines().filter(is_outside).collect::<Vec<_>>(), ["}"], "{path}: code behind its tests");
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.map(|line| format!("{}\n", line.split(" // ").next().unwrap_or_default())).collect()
}

/// The module of a file: `plan` of `src/plan/flat.rs`, `caps` of `src/caps.rs`.
fn module(path: &str) -> &str {
    let path = path.strip_prefix("src/").expect("a source");
    path.split(['/', '.']).next().expect("a name")
}

/// The sources with their modules; `lib.rs` only names them.
fn sources() -> Vec<(String, String)> {
    let sources: Vec<_> = files("src", "rs").into_iter().filter(|path| path != "src/lib.rs").collect();
    sources.into_iter().map(|path| (module(&path).to_owned(), path)).collect()
}

/// The module of each name that `lib.rs` makes public, as in `pub use plan::{Access, Plan}`.
fn public_names() -> BTreeMap<String, String> {
    let code = code("src/lib.rs");
    let uses = code.split("pub use ").skip(1).filter_map(|rest| rest.split(';').next()?.split_once("::"));
    let names = uses.flat_map(|(module, names)| {
        let names = names.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names.filter(|name| !name.is_empty()).map(|name| (name.to_owned(), module.to_owned()))
    });
    names.collect()
}

/// The modules that a file's code names, by `crate::module` or by a public name of one, as in `crate::Plan`.
fn used(path: &str) -> BTreeSet<String> {
    let code = code(path);
    assert!(!code.contains("crate::{") && !code.contains("crate::*"), "{path}: one `use crate::name` a line");
    let public = public_names();
    let module = |rest: &str| {
        let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        public.get(&name).cloned().unwrap_or(name)
    };
    code.split("crate::").skip(1).map(module).collect()
}

/// Whether code names the crate wgpu, under its own name or to give it another.
fn names_wgpu(code: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    code.split(|c: char| !is_word(c)).any(|word| word == "wgpu")
}

#[test]
fn every_module_has_its_place() {
    let found: BTreeSet<String> = sources().into_iter().map(|(module, _)| module).collect();
    let listed: BTreeSet<String> =
        ORDER.iter().chain(BESIDE.iter().map(|(name, _)| name)).map(|&name| name.to_owned()).collect();
    assert_eq!(found, listed);
}

#[test]
fn modules_use_what_stands_before_them() {
    for (module, path) in sources() {
        let allowed: BTreeSet<&str> = match BESIDE.iter().find(|(name, _)| *name == module) {
            Some((_, words)) => words.iter().copied().collect(),
            None => ORDER.iter().copied().take_while(|name| *name != module).collect(),
        };
        for name in used(&path) {
            let operations = OPERATIONS.contains(&module.as_str()) && OPERATIONS.contains(&name.as_str());
            assert!(name == module || allowed.contains(name.as_str()), "{path} uses {name}");
            assert!(name == module || !operations, "{path} uses {name}");
        }
        // `super` stays inside a module: none is nested deeper than a folder.
        assert!(path.matches('/').count() <= 2, "{path} lies too deep");
        let nested = path.matches('/').count() == 2 && !path.ends_with("/mod.rs");
        let code = code(&path);
        assert!(nested || !code.contains("super::"), "{path} uses super");
        assert!(!code.contains("super::super"), "{path} climbs out of its module");
    }
}

/// Words and plans, and the text of shaders, are functions of what they are given: no state, no clock, no environment.
#[test]
fn decisions_are_pure() {
    for (_, path) in sources().into_iter().filter(|(module, _)| PURE.contains(&module.as_str())) {
        let code = code(&path);
        let used =
            code.split("std::").skip(1).filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
        for name in used {
            assert_eq!(name, "fmt", "{path} uses std::{name}");
        }
        for word in
            ["std as", "static ", "static_", "thread_local", "env!", "option_env!", "extern crate", "Cell<"]
        {
            let code = code.replace("&'static ", "");
            assert!(!code.contains(word), "{path} has {word}");
        }
    }
}

#[test]
fn who_touches_wgpu() {
    for (module, path) in sources() {
        let touches = names_wgpu(&code(&path));
        assert!(!touches || TOUCH_WGPU.contains(&module.as_str()), "{path} touches wgpu");
        for (alone, calls) in ALONE {
            for call in calls.iter().filter(|_| module != alone) {
                assert!(!code(&path).contains(call), "{path} calls {call}, which is for {alone} alone");
            }
        }
        // The application's own.
        for call in ["on_uncaptured_error", "set_device_lost_callback", "request_device", "request_adapter"] {
            assert!(!code(&path).contains(call), "{path} calls {call}");
        }
    }
    for module in TOUCH_WGPU {
        let touched = sources().iter().any(|(name, path)| name == module && names_wgpu(&code(path)));
        assert!(touched, "{module} may touch wgpu, and need not");
    }
}

/// A panic on a user's input is a bug; none is written down.
#[test]
fn nothing_panics() {
    for (_, path) in sources() {
        let code = code(&path);
        for word in [
            ".unwrap()",
            ".expect(",
            "panic!",
            "unreachable!",
            "todo!",
            "unimplemented!",
            "create_buffer_init",
        ] {
            assert!(!code.contains(word), "{path} has {word}");
        }
        // That a type has a size is known when it is compiled.
        let asserts = code.matches("assert").count() - code.matches("const { assert!").count();
        assert_eq!(asserts, 0, "{path} asserts");
    }
}

/// None without the CPU path, and with it in two files: each block is a promise to keep.
#[test]
fn unsafe_code_has_its_places() {
    let lib = text("src/lib.rs");
    assert!(lib.contains("#![deny(unsafe_code)]"));
    assert!(lib.contains("#![cfg_attr(not(feature = \"cpu\"), forbid(unsafe_code))]"));
    let places = [("src/cpu/cache.rs", 4), ("src/cpu/halves_x86.rs", 2)];
    for (_, path) in sources() {
        let code = code(&path);
        let allowed = code.contains("allow(unsafe_code") || code.contains("expect(unsafe_code");
        let blocks = allowed.then(|| code.matches("unsafe {").count());
        let place = places.iter().find(|(place, _)| path == *place);
        assert_eq!(blocks, place.map(|(_, blocks)| *blocks), "{path}");
        assert!(allowed || !code.contains("unsafe {"), "{path}");
    }
}

/// Files of one reason: of a length that can be read at once, and with a name that says it.
#[test]
fn files_have_one_reason() {
    let folders = [
        ("src", "rs"),
        ("shaders", "wgsl"),
        ("tests", "rs"),
        ("benches", "rs"),
        ("examples", "rs"),
        ("burn", "rs"),
        ("xtask", "rs"),
    ];
    for path in folders.into_iter().flat_map(|(folder, extension)| files(folder, extension)) {
        let lines = text(&path).lines().count();
        let most = if path.starts_with("tests/") { 500 } else { 400 };
        assert!(lines <= most, "{path} has {lines} lines");
        for name in ["utils", "util", "common", "helpers", "helper", "manager", "misc", "base"] {
            let stem = Path::new(&path).with_extension("");
            assert!(!stem.iter().any(|part| part == name), "{path}: {name} says nothing");
        }
    }
}

/// The page names every source and every kernel, and nothing that is not there.
#[test]
fn the_page_is_complete() {
    let page = text("docs/architecture.md");
    for path in files("src", "rs") {
        assert!(page.contains(&format!("`{path}`")), "docs/architecture.md lacks {path}");
    }
    for path in files("shaders/kernels", "wgsl") {
        let name = Path::new(&path).file_stem().expect("a name").to_string_lossy().into_owned();
        assert!(page.contains(&format!("| `{name}` |")), "docs/architecture.md lacks {name}");
    }
    for named in page.split('`').skip(1).step_by(2) {
        let is_path =
            named.starts_with("src/") || named.starts_with("shaders/") || named.starts_with("tests/");
        // Files of the example of a new kernel, and patterns.
        let invented = named.contains("grouped") || named.contains('*');
        if is_path && !invented {
            assert!(root().join(named).exists(), "docs/architecture.md names {named}");
        }
    }
}

/// The page gives the import order twice, in its picture and in its table, and both are the one held here.
#[test]
fn the_page_is_in_order() {
    let page = text("docs/architecture.md");
    let mut table: Vec<&str> = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| `src/")) {
        // The operations stand in one row.
        for path in line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2) {
            if path != "src/lib.rs" && table.last() != Some(&module(path)) {
                table.push(module(path));
            }
        }
    }
    let listed: Vec<&str> = ORDER.iter().copied().chain(BESIDE.map(|(name, _)| name)).collect();
    assert_eq!(table, listed);

    // The words stand one below the other, the rest in one line from left to right.
    let picture = page.split("```").nth(1).expect("a picture");
    let words: Vec<&str> = picture.split_whitespace().map(|word| word.trim_end_matches([',', '/'])).collect();
    let first = words.windows(2).position(|pair| pair == ["error", "role"]).expect("the first words");
    let drawn = words[first..].iter().filter(|word| listed.contains(word)).copied();
    let (below, right): (Vec<&str>, Vec<&str>) = drawn.partition(|word| ORDER[..10].contains(word));
    assert_eq!(below, ORDER[..10]);
    // How the operations are written is no station on the way.
    let stations: Vec<&str> = listed[10..].iter().copied().filter(|name| *name != "operation").collect();
    assert_eq!(right, stations);
}

/// The crate for Burn has its files in the page's table, in the order in which they use each other.
#[test]
fn the_crate_for_burn_is_in_order() {
    let page = text("docs/architecture.md");
    let section = page.split("## The crate for Burn").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("a section").lines().filter(|line| line.starts_with("| `"));
    let order: Vec<&str> = rows
        .flat_map(|line| line.split('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .filter_map(|name| name.strip_suffix(".rs"))
        .collect();
    let mut sources = files("burn/src", "rs");
    sources.retain(|path| !path.ends_with("/lib.rs"));
    assert_eq!(sources.len(), order.len(), "{sources:?} {order:?}");
    for path in sources {
        let stem = Path::new(&path).file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let place = order.iter().position(|name| *name == stem);
        let before = &order[..place.unwrap_or_else(|| panic!("docs/architecture.md lacks {path}"))];
        for other in order.iter().filter(|other| **other != stem && !before.contains(other)) {
            let uses = code(&path).contains(&format!("crate::{other}"));
            assert!(!uses, "{path} uses {other}, which stands after it");
        }
    }
}

/// Links of the pages lead to files.
#[test]
fn links_lead_somewhere() {
    for page in ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/architecture.md", "burn/README.md"] {
        let folder = Path::new(page).parent().expect("a folder");
        for target in text(page).split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            if target.starts_with("http") {
                continue;
            }
            let path = if file.is_empty() { page.into() } else { folder.join(file) };
            assert!(root().join(&path).exists(), "{page} links to {target}");
            if !heading.is_empty() {
                // As GitHub makes it: without punctuation.
                let anchor = |line: &str| -> String {
                    let heading = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
                    heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
                };
                let headings = text(&path.to_string_lossy());
                let mut headings = headings.lines().filter(|line| line.starts_with('#'));
                assert!(headings.any(|line| anchor(line) == heading), "{page} links to {target}");
            }
        }
    }
}

/// Every mistake that the crate knows is provoked by some test, by value.
#[test]
fn every_error_is_provoked() {
    let tests: String = files("tests", "rs").iter().map(|path| text(path)).collect();
    let source = text("src/error.rs");
    let variants: Vec<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([' ', '{', ',']))
        .collect();
    assert!(variants.len() > 20, "{variants:?}");
    for variant in variants {
        assert!(tests.contains(&format!("Error::{variant}")), "no test provokes Error::{variant}");
    }
}
