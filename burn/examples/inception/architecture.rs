//! The paper's figure 5, as numbers, and its smaller relatives.

/// Channels of one inception module: of each branch, and before its 3x3 convolutions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Module {
    pub name: &'static str,
    /// 0: there is no such branch.
    pub one: usize,
    pub three_reduce: usize,
    pub three: usize,
    pub double_reduce: usize,
    pub double: usize,
    pub pool: Pool,
    /// 0: the pooled input passes through.
    pub projection: usize,
    pub stride: usize,
}

/// What the fourth branch does first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    Average,
    Max,
}

/// Everything that decides the shapes of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Architecture {
    /// Of the first convolution, of the 1x1 before the second, and of that.
    pub stem: [usize; 3],
    pub modules: Vec<Module>,
}

const STEM: [usize; 3] = [64, 64, 192];

/// A row of figure 5.
const fn row(name: &'static str, channels: [usize; 5], pool: Pool, projection: usize) -> Module {
    let [one, three_reduce, three, double_reduce, double] = channels;
    // The rows without a 1x1 branch are those that halve the extent.
    let stride = if one == 0 { 2 } else { 1 };
    Module { name, one, three_reduce, three, double_reduce, double, pool, projection, stride }
}

/// Figure 5 of the paper. By its branches 4c and 4d have 608 channels and 4e 1056; the column of output sizes that is
/// printed beside them says 576, 576 and 1024.
const MODULES: [Module; 10] = [
    row("3a", [64, 64, 64, 64, 96], Pool::Average, 32),
    row("3b", [64, 64, 96, 64, 96], Pool::Average, 64),
    row("3c", [0, 128, 160, 64, 96], Pool::Max, 0),
    row("4a", [224, 64, 96, 96, 128], Pool::Average, 128),
    row("4b", [192, 96, 128, 96, 128], Pool::Average, 128),
    row("4c", [160, 128, 160, 128, 160], Pool::Average, 128),
    row("4d", [96, 128, 192, 160, 192], Pool::Average, 128),
    row("4e", [0, 128, 192, 192, 256], Pool::Max, 0),
    row("5a", [352, 192, 320, 160, 224], Pool::Average, 128),
    row("5b", [352, 192, 320, 192, 224], Pool::Max, 128),
];

/// The order in which a network grows: first what halves the extent, then a module with average pooling and the one
/// with max pooling at stride 1, so that the smallest networks have every kind of branch; then breadth.
const GROWTH: [&str; 10] = ["3c", "4e", "5a", "5b", "4a", "3a", "4b", "3b", "4c", "4d"];

/// Fewest and most modules.
pub const DEPTHS: std::ops::RangeInclusive<usize> = 3..=MODULES.len();

impl Architecture {
    /// `width` times the paper's channels, `depth` of its ten modules.
    pub fn new(width: f64, depth: usize) -> Self {
        // Whole vectors of four, which convolutions and kernels are quickest with.
        let scaled = |channels: usize| match channels {
            0 => 0,
            _ => (((channels as f64 * width / 4.0).round() as usize) * 4).max(4),
        };
        let kept = GROWTH.get(..depth).unwrap_or(&GROWTH);
        let modules = MODULES.iter().filter(|module| kept.contains(&module.name)).map(|module| Module {
            one: scaled(module.one),
            three_reduce: scaled(module.three_reduce),
            three: scaled(module.three),
            double_reduce: scaled(module.double_reduce),
            double: scaled(module.double),
            projection: scaled(module.projection),
            ..*module
        });
        Self { stem: STEM.map(scaled), modules: modules.collect() }
    }
}

impl Module {
    /// Channels that leave it, for so many that enter.
    pub fn outputs(&self, inputs: usize) -> usize {
        let pooled = if self.projection == 0 { inputs } else { self.projection };
        self.one + self.three + self.double + pooled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_size_has_the_channels_of_figure_5() {
        let mut channels = STEM[2];
        let mut outputs = Vec::new();
        for module in Architecture::new(1.0, 10).modules {
            channels = module.outputs(channels);
            outputs.push((module.name, channels));
        }
        let expected = [256, 320, 576, 576, 576, 608, 608, 1056, 1024, 1024];
        assert_eq!(outputs.iter().map(|(_, channels)| *channels).collect::<Vec<_>>(), expected);
        assert_eq!((outputs[2].0, outputs[7].0), ("3c", "4e"));
    }

    #[test]
    fn the_smallest_has_both_kinds_of_pooling() {
        let modules = Architecture::new(0.125, *DEPTHS.start()).modules;
        for pool in [Pool::Average, Pool::Max] {
            assert!(modules.iter().any(|module| module.pool == pool), "{pool:?}");
        }
    }

    #[test]
    fn small_ones_keep_the_order_of_the_figure() {
        let names = |depth| -> Vec<&str> {
            Architecture::new(0.125, depth).modules.iter().map(|module| module.name).collect()
        };
        assert_eq!(names(3), ["3c", "4e", "5a"]);
        assert_eq!(names(5), ["3c", "4a", "4e", "5a", "5b"]);
        assert!(Architecture::new(0.01, 10).modules.iter().all(|module| module.three == 4));
    }
}
