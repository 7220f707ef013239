//! Is there a usable driver, and what to do where there is none.
//!
//! wgpu decides, not the look of the file system: the demo lists the adapters it would run on.

use std::ffi::OsString;
use std::process::{Command, Stdio};

use crate::Stop;
use crate::command::{self, announce, cargo, complain, find, say};
use crate::packages::Manager;

/// What to do about a missing driver.
#[derive(Clone, Copy, PartialEq)]
pub enum Setup {
    /// Install one.
    Install,
    /// Only say what is missing.
    Say,
}

/// The backends that the tests must meet on this system.
pub const REQUIRED: &[&str] = if cfg!(target_os = "macos") {
    &["metal"]
} else if cfg!(windows) {
    &["dx12"]
} else {
    &["vulkan", "gl"]
};

/// What has to be there: the adapter of one backend, or any.
#[derive(Clone, Copy)]
enum Need {
    Backend(&'static str),
    Any,
}

impl Need {
    fn adapter(self) -> String {
        match self {
            Self::Backend(backend) => format!("{backend} adapter"),
            Self::Any => "adapter".to_owned(),
        }
    }

    /// The backend that meets it, of those that can be installed.
    fn backend(self) -> &'static str {
        match self {
            Self::Backend(backend) => backend,
            Self::Any => "vulkan",
        }
    }
}

/// Exit code of the examples where no adapter matches.
const NO_ADAPTER: i32 = 3;

/// The demo, built as needed, without arguments.
pub fn demo() -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--release", "--package", "wgpu-batchnorm", "--example", "demo", "--"]);
    command
}

/// Makes sure that the tests meet every backend they require.
pub fn ensure_for_tests(setup: Setup) -> Result<(), Stop> {
    ensure(setup, &REQUIRED.iter().map(|&backend| Need::Backend(backend)).collect::<Vec<_>>())
}

/// Makes sure that Burn has the backend it takes first.
pub fn ensure_for_burn(setup: Setup) -> Result<(), Stop> {
    ensure(setup, &[Need::Backend(REQUIRED[0])])
}

/// Makes sure that the demo has an adapter: of the backend that its arguments name, else any.
pub fn ensure_for_demo(setup: Setup, arguments: &[OsString]) -> Result<(), Stop> {
    let named = named_backend(arguments);
    // One that belongs to another system, or is no backend at all, is the demo's to refuse.
    let known = REQUIRED.iter().find(|&&backend| named.as_deref() == Some(backend));
    ensure(setup, &[known.map_or(Need::Any, |&backend| Need::Backend(backend))])
}

/// The value of `--backend`, written in either way.
fn named_backend(arguments: &[OsString]) -> Option<String> {
    let mut arguments = arguments.iter().map(|argument| argument.to_string_lossy());
    while let Some(argument) = arguments.next() {
        if argument == "--backend" {
            return arguments.next().map(|name| name.into_owned());
        }
        if let Some(name) = argument.strip_prefix("--backend=") {
            return Some(name.to_owned());
        }
    }
    None
}

fn ensure(setup: Setup, needs: &[Need]) -> Result<(), Stop> {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "wgpu-batchnorm", "--example", "demo"]);
    announce(&build);
    command::succeed(&mut build)?;

    let missing = missing(needs)?;
    if missing.is_empty() {
        return Ok(());
    }
    complain(&format!("no {} on this machine{}", names(&missing), overridden()));
    if !HIDING.iter().all(|name| std::env::var_os(name).is_none()) {
        return Err(Stop::NoDriver(
            "these variables choose the drivers, so nothing is installed; unset them".into(),
        ));
    }
    let (manager, commands) = installation(&missing)?;
    let lines: String = commands.iter().map(|words| format!("\n  {}", words.join(" "))).collect();
    if setup == Setup::Say {
        return Err(Stop::NoDriver(format!("Mesa's software driver would be installed by{lines}")));
    }
    say(&format!("Installing Mesa's software driver:{lines}\n"));
    for words in &commands {
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        announce(&command);
        let status = command::status(&mut command)?;
        if !status.success() {
            let message = format!("{} failed: {status}{}", words.join(" "), manager.advice());
            return Err(Stop::NoDriver(message));
        }
    }

    let missing = self::missing(&missing)?;
    if missing.is_empty() {
        return Ok(());
    }
    Err(Stop::NoDriver(format!("still no {} after the installation{}", names(&missing), overridden())))
}

/// The adapters as they follow on "no".
fn names(needs: &[Need]) -> String {
    needs.iter().map(|need| need.adapter()).collect::<Vec<_>>().join(", no ")
}

/// The needs that no adapter meets. Shows the adapters that meet the others.
fn missing(needs: &[Need]) -> Result<Vec<Need>, Stop> {
    let mut missing = Vec::new();
    for &need in needs {
        let mut command = demo();
        command.arg("--list");
        if let Need::Backend(backend) = need {
            command.args(["--backend", backend]);
        }
        command.stdin(Stdio::null());
        let output = command.output().map_err(|error| command::unstartable(&command, &error))?;
        match output.status.code() {
            Some(0) => say(&String::from_utf8_lossy(&output.stdout)),
            Some(NO_ADAPTER) => missing.push(need),
            _ => {
                say(&String::from_utf8_lossy(&output.stdout));
                complain(&String::from_utf8_lossy(&output.stderr));
                return Err(Stop::Failed(format!("the adapters cannot be listed: {}", output.status)));
            }
        }
    }
    Ok(missing)
}

/// The commands that install what is missing, with sudo when not root.
fn installation(missing: &[Need]) -> Result<(Manager, Vec<Vec<String>>), Stop> {
    if !cfg!(target_os = "linux") {
        return Err(Stop::NoDriver("it comes with the system; there is nothing to install".to_owned()));
    }
    let Some(manager) = Manager::of_this_system() else {
        return Err(Stop::NoDriver(
            "there is no apt-get, dnf or pacman; install the Vulkan loader, and Mesa's software Vulkan (lavapipe) and \
             EGL drivers"
                .to_owned(),
        ));
    };
    let packages: Vec<_> =
        missing.iter().flat_map(|need| manager.packages(need.backend())).copied().collect();
    let mut commands = manager.commands(&packages);
    if !is_root() {
        if find("sudo").is_none() {
            let lines: String = commands.iter().map(|words| format!("\n  {}", words.join(" "))).collect();
            return Err(Stop::NoDriver(format!("not root, and there is no sudo; as root, run{lines}")));
        }
        for words in &mut commands {
            words.insert(0, "sudo".to_owned());
        }
    }
    Ok((manager, commands))
}

/// Where `id` is missing, sudo is asked, which root may always use.
fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// The variables that tell the loaders which drivers there are.
const HIDING: [&str; 3] = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "__EGL_VENDOR_LIBRARY_FILENAMES"];

/// Those of them that are set.
fn overridden() -> String {
    let set: Vec<_> = HIDING
        .into_iter()
        .filter_map(|name| Some(format!("{name}={}", std::env::var_os(name)?.to_string_lossy())))
        .collect();
    if set.is_empty() { String::new() } else { format!(" (with {} in the environment)", set.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::named_backend;

    #[test]
    fn backend_is_read_from_the_arguments_of_the_demo() {
        let named = |words: &[&str]| named_backend(&words.iter().map(Into::into).collect::<Vec<_>>());
        assert_eq!(named(&["--list", "--backend", "gl"]).as_deref(), Some("gl"));
        assert_eq!(named(&["--backend=vulkan", "--list"]).as_deref(), Some("vulkan"));
        assert_eq!(named(&["--adapter", "gl"]), None);
        assert_eq!(named(&["--backend"]), None);
    }
}
