//! Digits drawn on the spot: the data set that needs no download.

mod glyph;
mod raster;
mod scene;
mod style;

use crate::data::images::{CLASSES, Images};
use crate::random::Random;

pub use style::Style;

/// `count` images of a set, the same ones whatever the number of threads. `part` tells sets of one seed apart.
pub fn render(style: &Style, seed: u64, part: u64, count: usize) -> Images {
    let size = style.channels * style.extent * style.extent;
    let mut pixels = vec![0; count * size];
    let labels: Vec<u8> = (0..count).map(|index| (index % CLASSES) as u8).collect();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = count.div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        for (thread, images) in pixels.chunks_mut(share * size).enumerate() {
            let labels = &labels;
            scope.spawn(move || {
                for (offset, image) in images.chunks_exact_mut(size).enumerate() {
                    let index = thread * share + offset;
                    let mut random = Random::new(&[seed, part, index as u64]);
                    scene::draw(style, usize::from(labels[index]), &mut random, image);
                }
            });
        }
    });
    Images { channels: style.channels, height: style.extent, width: style.extent, pixels, labels }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style = Style {
        name: "test",
        channels: 3,
        extent: 32,
        rotation: 0.5,
        shear: 0.3,
        scale: (0.5, 0.8),
        shift: 0.3,
        warp: 0.1,
        pen: (0.06, 0.14),
        clutter: (3, 1),
        contrast: 0.3,
        noise: 0.06,
    };

    #[test]
    fn an_image_depends_on_its_number_alone() {
        let few = render(&STYLE, 5, 0, 7);
        let more = render(&STYLE, 5, 0, 40);
        assert_eq!(few.pixels, more.clone().first(7).pixels);
        assert_ne!(few.pixels, render(&STYLE, 5, 1, 7).pixels);
        assert_ne!(few.pixels, render(&STYLE, 6, 0, 7).pixels);
        assert_ne!(more.image(0), more.image(10));
    }
}
