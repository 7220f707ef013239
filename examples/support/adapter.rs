//! Which adapter an example runs on: chosen by its arguments, listed on request.

use std::ffi::OsStr;
use std::io::Write;
use std::process::ExitCode;

use lexopt::ValueExt;
use wgpu_batchnorm::wgpu;

/// The options that every example has, for its `--help`.
pub const HELP: &str = "  --backend NAME       vulkan, metal, dx12 or gl; any by default
  --adapter SUBSTRING  an adapter whose name contains this, in upper or lower case
  --list               list the adapters that match; exit code 3 if there are none
  --help               this text

Without --adapter, a discrete GPU comes before an integrated one, and software last.";

/// Exit code for arguments or a machine that the example cannot work with.
const UNUSABLE: u8 = 2;
/// Exit code of `--list` where nothing matches.
const NOTHING_LISTED: u8 = 3;

/// The backends with their names, the preferred ones first.
const BACKENDS: [(wgpu::Backend, &str); 4] = [
    (wgpu::Backend::Vulkan, "vulkan"),
    (wgpu::Backend::Metal, "metal"),
    (wgpu::Backend::Dx12, "dx12"),
    (wgpu::Backend::Gl, "gl"),
];

/// What the arguments say about the adapter.
#[derive(Default)]
pub struct Choice {
    backend: Option<wgpu::Backend>,
    name: Option<String>,
    help: bool,
    list: bool,
}

impl Choice {
    /// Reads the command line. `option` and `value` take what is the example's own, and say whether they did.
    pub fn parse(
        mut option: impl FnMut(&str, &mut lexopt::Parser) -> Result<bool, lexopt::Error>,
        mut value: impl FnMut(&OsStr) -> bool,
    ) -> Result<Self, lexopt::Error> {
        use lexopt::Arg::{Long, Short, Value};
        let mut choice = Self::default();
        let mut parser = lexopt::Parser::from_env();
        while let Some(argument) = parser.next()? {
            match argument {
                Short('h') => choice.help = true,
                Value(found) if value(&found) => {}
                Long(name) => {
                    let name = name.to_owned();
                    if !choice.take(&name, &mut parser)? && !option(&name, &mut parser)? {
                        return Err(Long(&name).unexpected());
                    }
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(choice)
    }

    fn take(&mut self, option: &str, parser: &mut lexopt::Parser) -> Result<bool, lexopt::Error> {
        match option {
            "help" => self.help = true,
            "list" => self.list = true,
            "adapter" => self.name = Some(parser.value()?.string()?),
            "backend" => {
                let name = parser.value()?.string()?;
                let Some((backend, _)) = BACKENDS.iter().find(|(_, known)| *known == name) else {
                    let message = format!("--backend: is {name:?}, needs to be vulkan, metal, dx12 or gl");
                    return Err(message.into());
                };
                self.backend = Some(*backend);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Shows the help or the list, if that is what is asked for, and says how the process ends then.
    pub fn answer(&self, help: &str) -> Option<ExitCode> {
        if self.help {
            print(&format!("{help}\n"));
            return Some(ExitCode::SUCCESS);
        }
        if !self.list {
            return None;
        }
        let adapters = self.matching();
        for adapter in &adapters {
            print(&format!("{}\n", describe(&adapter.get_info())));
        }
        if adapters.is_empty() {
            complain(&self.nothing());
            return Some(ExitCode::from(NOTHING_LISTED));
        }
        Some(ExitCode::SUCCESS)
    }

    /// The adapter to run on, which it names; where there is none, says so and how the process ends.
    pub fn adapter(&self) -> Result<wgpu::Adapter, ExitCode> {
        let Some(adapter) = self.matching().into_iter().next() else {
            return Err(unusable(&self.nothing()));
        };
        print(&format!("adapter: {}\n", describe(&adapter.get_info())));
        Ok(adapter)
    }

    /// The adapters that can compute and match, the best first.
    fn matching(&self) -> Vec<wgpu::Adapter> {
        let wanted = BACKENDS.iter().filter(|(backend, _)| self.backend.is_none_or(|b| b == *backend));
        let backends = wanted.fold(wgpu::Backends::empty(), |all, (backend, _)| all | (*backend).into());
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let mut adapters = pollster::block_on(instance.enumerate_adapters(backends));
        adapters.retain(|adapter| {
            let name = adapter.get_info().name.to_lowercase();
            let flags = adapter.get_downlevel_capabilities().flags;
            flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
                && self.name.as_ref().is_none_or(|part| name.contains(&part.to_lowercase()))
        });
        adapters.sort_by_key(|adapter| {
            let info = adapter.get_info();
            let kind = match info.device_type {
                wgpu::DeviceType::DiscreteGpu => 0,
                wgpu::DeviceType::IntegratedGpu => 1,
                wgpu::DeviceType::VirtualGpu => 2,
                wgpu::DeviceType::Other => 3,
                wgpu::DeviceType::Cpu => 4,
            };
            (kind, BACKENDS.iter().position(|(backend, _)| *backend == info.backend))
        });
        adapters
    }

    /// What was looked for, and what there is instead.
    fn nothing(&self) -> String {
        let backend = BACKENDS.iter().find(|(backend, _)| Some(*backend) == self.backend);
        let backend = backend.map_or(String::new(), |(_, name)| format!(" of backend {name}"));
        let name = self.name.as_ref().map_or(String::new(), |part| format!(" with {part:?} in its name"));
        let mut message = format!("no adapter{backend}{name} that can run compute shaders");
        let others = Self::default().matching();
        for (index, adapter) in others.iter().enumerate() {
            let lead = if index == 0 { "\nthere is " } else { "\n         " };
            message += &format!("{lead}{}", describe(&adapter.get_info()));
        }
        message
    }
}

/// Says what is wrong with the arguments, and how they should be.
pub fn misused(help: &str, error: &lexopt::Error) -> ExitCode {
    let usage = help.lines().next().unwrap_or_default();
    complain(&format!("{error}\n\nusage: {usage}\n       --help says more"));
    ExitCode::from(UNUSABLE)
}

/// Says why the example cannot go on.
pub fn unusable(reason: &dyn std::fmt::Display) -> ExitCode {
    complain(&reason.to_string());
    ExitCode::from(UNUSABLE)
}

fn describe(info: &wgpu::AdapterInfo) -> String {
    let backend = BACKENDS.iter().find(|(backend, _)| *backend == info.backend).map_or("other", |(_, n)| n);
    let kind = match info.device_type {
        wgpu::DeviceType::DiscreteGpu => "discrete GPU",
        wgpu::DeviceType::IntegratedGpu => "integrated GPU",
        wgpu::DeviceType::VirtualGpu => "virtual GPU",
        wgpu::DeviceType::Cpu => "software",
        wgpu::DeviceType::Other => "GPU of unknown kind",
    };
    let driver = [info.driver.as_str(), info.driver_info.as_str()].join(" ");
    let driver = if driver.trim().is_empty() { "unnamed" } else { driver.trim() };
    format!("{}, {backend}, {kind}, driver {driver}", info.name)
}

/// A reader that has gone away, as in `| head`, is no reason to panic.
fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
