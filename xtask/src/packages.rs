//! Mesa's software drivers, by the names and commands of the system's package manager.

use crate::command::find;

/// A package manager that this program can speak to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Manager {
    /// Debian, Ubuntu and their kin.
    Apt,
    /// Fedora, RHEL and their kin.
    Dnf,
    /// Arch and its kin.
    Pacman,
}

impl Manager {
    const ALL: [Self; 3] = [Self::Apt, Self::Dnf, Self::Pacman];

    /// The one on the PATH.
    pub fn of_this_system() -> Option<Self> {
        Self::ALL.into_iter().find(|manager| find(manager.program()).is_some())
    }

    fn program(self) -> &'static str {
        match self {
            Self::Apt => "apt-get",
            Self::Dnf => "dnf",
            Self::Pacman => "pacman",
        }
    }

    /// What brings a software adapter of the backend: the loader, and Mesa's driver.
    pub fn packages(self, backend: &str) -> &'static [&'static str] {
        match (self, backend) {
            (Self::Apt, "gl") => &["libegl1", "libgl1-mesa-dri"],
            (Self::Apt, _) => &["libvulkan1", "mesa-vulkan-drivers"],
            (Self::Dnf, "gl") => &["mesa-libEGL", "mesa-dri-drivers"],
            (Self::Dnf, _) => &["vulkan-loader", "mesa-vulkan-drivers"],
            (Self::Pacman, "gl") => &["mesa", "libglvnd"],
            (Self::Pacman, _) => &["vulkan-icd-loader", "vulkan-swrast"],
        }
    }

    /// The commands that install the packages, as root, without a question.
    pub fn commands(self, packages: &[&str]) -> Vec<Vec<String>> {
        let install: &[&str] = match self {
            Self::Apt => &[
                "env",
                "DEBIAN_FRONTEND=noninteractive",
                "apt-get",
                "install",
                "-y",
                "--no-install-recommends",
            ],
            Self::Dnf => &["dnf", "install", "-y", "--setopt=install_weak_deps=False"],
            // Not -Sy: a partial upgrade breaks an Arch system, and a full one is its owner's to begin.
            Self::Pacman => &["pacman", "-S", "--needed", "--noconfirm"],
        };
        let install = install.iter().chain(packages).map(|&word| word.to_owned()).collect();
        match self {
            Self::Apt => vec![vec!["apt-get".to_owned(), "update".to_owned()], install],
            Self::Dnf | Self::Pacman => vec![install],
        }
    }

    /// What to try where the commands fail.
    pub fn advice(self) -> &'static str {
        match self {
            Self::Apt | Self::Dnf => "",
            Self::Pacman => "; if its package lists are old or missing, `pacman -Syu` brings them up to date",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Manager;

    #[test]
    fn commands_ask_nothing() {
        for (manager, consent) in
            [(Manager::Apt, "-y"), (Manager::Dnf, "-y"), (Manager::Pacman, "--noconfirm")]
        {
            let packages: Vec<_> =
                ["vulkan", "gl"].iter().flat_map(|gpu| manager.packages(gpu)).copied().collect();
            let commands = manager.commands(&packages);
            let install = commands.last().expect("a command");
            assert!(install.iter().any(|word| word == consent), "{install:?}");
            assert!(install.ends_with(&packages.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()));
        }
    }

    #[test]
    fn apt_refreshes_its_lists_first() {
        let commands = Manager::Apt.commands(Manager::Apt.packages("gl"));
        let lines: Vec<_> = commands.iter().map(|words| words.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "apt-get update",
                "env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends libegl1 libgl1-mesa-dri"
            ]
        );
    }
}
