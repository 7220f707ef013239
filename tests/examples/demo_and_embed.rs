//! `demo` and `embed`, from start to end.

use crate::process::run;

pub fn demo(backend: &str) {
    let ended = run("demo", ["--backend", backend, "--batch", "2"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    // 11 layers in 2 layouts and a flat one, 2 types, 3 operations.
    let rows = ended.stdout.lines().filter(|line| line.starts_with("2x") && line.contains(" ok ")).count();
    assert_eq!(rows, 23 * 2 * 3, "{ended:?}");
    assert!(ended.stdout.contains("138 rows in") && ended.stdout.contains("within its bound"), "{ended:?}");
    assert!(!ended.stderr.contains('\r'), "progress without a terminal: {ended:?}");
}

pub fn embed(backend: &str) {
    let ended = run("embed", ["--backend", backend]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ended.stdout.lines().filter(|line| line.ends_with(" right")).count(), 12, "{ended:?}");
}
