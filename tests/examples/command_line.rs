//! What all examples make of their arguments.

use crate::{EXAMPLES, process::run};

pub fn help() {
    for example in EXAMPLES {
        for option in ["--help", "-h"] {
            let ended = run(example, [option]);
            assert_eq!(ended.code, Some(0), "{ended:?}");
            assert!(ended.stdout.starts_with(example), "{ended:?}");
            for expected in ["--backend", "--adapter", "--list", "--help", "Exit code"] {
                assert!(ended.stdout.contains(expected), "{example}: no {expected} in {ended:?}");
            }
        }
    }
}

pub fn wrong_arguments() {
    let wrong: &[(&str, &[&str], &str)] = &[
        ("demo", &["--speed"], "--speed"),
        ("demo", &["file"], "file"),
        ("demo", &["--batch"], "--batch"),
        ("demo", &["--batch", "many"], "--batch: is \"many\", needs to be a whole number of at least 2"),
        ("demo", &["--batch", "1"], "--batch: is \"1\""),
        ("demo", &["--list=yes"], "--list"),
        ("embed", &["file"], "file"),
        ("embed", &["--backend", "opengl"], "needs to be vulkan, metal, dx12 or gl"),
        ("run_case", &["--adapter"], "--adapter"),
        ("run_case", &["--out"], "--out"),
        ("run_case", &["--out", "a", "--out", "b"], "--out: is given twice"),
        ("run_case", &["case.safetensors", "-o", "folder"], "-o"),
    ];
    for (example, arguments, expected) in wrong {
        let ended = run(example, *arguments);
        assert_eq!(ended.code, Some(2), "{example} {arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(expected), "{example} {arguments:?}: {ended:?}");
        assert!(ended.stderr.contains(&format!("usage: {example} ")), "{example} {arguments:?}: {ended:?}");
    }
}

pub fn no_adapter() {
    let name = "a name that no adapter has";
    for example in EXAMPLES {
        let listed = run(example, ["--list", "--adapter", name]);
        assert_eq!(listed.code, Some(3), "{listed:?}");
        assert!(listed.stdout.is_empty() && listed.stderr.contains("no adapter"), "{listed:?}");
        let ran = run(example, ["--adapter", name].iter().chain((example == "run_case").then_some(&"file")));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.stderr.contains(name), "{ran:?}");
    }
}

pub fn run_case_without_files() {
    let none: [&[&str]; 2] = [&[], &["case.expected.safetensors"]];
    for arguments in none {
        let ended = run("run_case", arguments);
        assert_eq!(ended.code, Some(2), "{ended:?}");
        assert!(ended.stderr.contains("no FILE given"), "{ended:?}");
    }
}

pub fn list(backend: &str) {
    for example in EXAMPLES {
        let all = run(example, ["--list", "--backend", backend]);
        assert_eq!(all.code, Some(0), "{all:?}");
        let first = all.stdout.lines().next().unwrap_or_default();
        assert!(first.contains(&format!(", {backend}, ")), "{all:?}");
        // Whatever part of the name, in whatever case.
        let name: String = first.split(',').next().unwrap_or_default().chars().take(6).collect();
        let by_name = run(example, ["--list", "--backend", backend, "--adapter", &name.to_uppercase()]);
        assert_eq!(by_name.stdout.lines().next(), Some(first), "{by_name:?}");
    }
}
