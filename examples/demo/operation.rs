//! The operations of the table.

/// What is run on each layer.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Training,
    Inference,
    Backward,
}

impl Operation {
    pub const ALL: [Self; 3] = [Self::Training, Self::Inference, Self::Backward];

    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Inference => "inference",
            Self::Backward => "backward",
        }
    }
}
