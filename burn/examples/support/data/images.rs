//! Images in memory, one byte a value, channels first.

/// Labelled images of one shape.
#[derive(Clone, Debug)]
pub struct Images {
    pub channels: usize,
    pub height: usize,
    pub width: usize,
    pub pixels: Vec<u8>,
    pub labels: Vec<u8>,
}

/// What a network learns from, and what it is measured on.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Where the images come from, for the head of a table.
    pub name: String,
    pub train: Images,
    pub test: Images,
}

/// All sets here have ten classes: digits, articles of clothing, or the objects of CIFAR-10.
pub const CLASSES: usize = 10;

impl Dataset {
    /// Which images, and how many.
    pub fn describe(&self) -> String {
        format!("{}, {} images to learn from, {} to test on", self.name, self.train.len(), self.test.len())
    }
}

impl Images {
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Values in one image.
    pub fn size(&self) -> usize {
        self.channels * self.height * self.width
    }

    pub fn image(&self, index: usize) -> &[u8] {
        &self.pixels[index * self.size()..][..self.size()]
    }

    /// The first `count`, or all.
    pub fn first(mut self, count: usize) -> Self {
        let count = count.min(self.len());
        self.pixels.truncate(count * self.size());
        self.labels.truncate(count);
        self
    }

    /// Mean and standard deviation over all values.
    pub fn moments(&self) -> (f32, f32) {
        let count = self.pixels.len() as f64;
        let (mut sum, mut squares) = (0_u64, 0_u64);
        for &value in &self.pixels {
            sum += u64::from(value);
            squares += u64::from(value) * u64::from(value);
        }
        let mean = sum as f64 / count;
        // Integers up to here: the difference loses nothing but for images of one colour, where it is 0.
        let variance = squares as f64 / count - mean * mean;
        (mean as f32, variance.max(1.0).sqrt() as f32)
    }
}
