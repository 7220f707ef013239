//! The networks of the paper's section 4.2, and what it says of them.

/// A network and how fast it is taught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    Inception,
    BnBaseline,
    BnX5,
    BnX30,
    BnX5Sigmoid,
    InceptionSigmoid,
    /// Not in the paper's table: its text says that the rate of BN-x5 took the original's parameters to machine
    /// infinity.
    InceptionX5,
    /// Not in the paper: the original at the rate of BN-x30.
    InceptionX30,
}

/// A row of the paper's figure 3.
#[derive(Clone, Copy, Debug)]
pub struct Paper {
    /// To 72.2 %, in millions.
    pub steps: Option<f64>,
    /// In percent.
    pub best: Option<f64>,
    /// What its text says instead.
    pub remark: Option<&'static str>,
}

impl Variant {
    pub const ALL: [Self; 8] = [
        Self::Inception,
        Self::BnBaseline,
        Self::BnX5,
        Self::BnX30,
        Self::BnX5Sigmoid,
        Self::InceptionSigmoid,
        Self::InceptionX5,
        Self::InceptionX30,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Inception => "Inception",
            Self::BnBaseline => "BN-Baseline",
            Self::BnX5 => "BN-x5",
            Self::BnX30 => "BN-x30",
            Self::BnX5Sigmoid => "BN-x5-Sigmoid",
            Self::InceptionSigmoid => "Inception-Sigmoid",
            Self::InceptionX5 => "Inception-x5",
            Self::InceptionX30 => "Inception-x30",
        }
    }

    pub fn normalize(self) -> bool {
        matches!(self, Self::BnBaseline | Self::BnX5 | Self::BnX30 | Self::BnX5Sigmoid)
    }

    /// Whether section 4.2.1 of the paper, "Accelerating BN Networks", changes how it is taught. BN-Baseline differs from
    /// Inception by batch norm alone.
    pub fn accelerated(self) -> bool {
        matches!(self, Self::BnX5 | Self::BnX30 | Self::BnX5Sigmoid)
    }

    pub fn sigmoid(self) -> bool {
        matches!(self, Self::BnX5Sigmoid | Self::InceptionSigmoid)
    }

    /// The learning rate, in that of Inception.
    pub fn rate(self) -> f64 {
        match self {
            Self::Inception | Self::BnBaseline | Self::InceptionSigmoid => 1.0,
            Self::BnX5 | Self::BnX5Sigmoid | Self::InceptionX5 => 5.0,
            Self::BnX30 | Self::InceptionX30 => 30.0,
        }
    }

    pub fn paper(self) -> Paper {
        let row = |steps, best| Paper { steps, best, remark: None };
        let text = |remark| Paper { steps: None, best: None, remark: Some(remark) };
        match self {
            Self::Inception => row(Some(31.0), Some(72.2)),
            Self::BnBaseline => row(Some(13.3), Some(72.7)),
            Self::BnX5 => row(Some(2.1), Some(73.0)),
            Self::BnX30 => row(Some(2.7), Some(74.8)),
            Self::BnX5Sigmoid => row(None, Some(69.8)),
            Self::InceptionSigmoid => text("never learns"),
            Self::InceptionX5 => text("parameters reach machine infinity"),
            Self::InceptionX30 => row(None, None),
        }
    }

    pub fn colour(self) -> (u8, u8, u8) {
        match self {
            Self::Inception => (20, 20, 20),
            Self::BnBaseline => (214, 39, 40),
            Self::BnX5 => (31, 119, 180),
            Self::BnX30 => (44, 160, 44),
            Self::BnX5Sigmoid => (148, 103, 189),
            Self::InceptionSigmoid => (255, 127, 14),
            Self::InceptionX5 => (150, 150, 150),
            Self::InceptionX30 => (188, 143, 100),
        }
    }
}
