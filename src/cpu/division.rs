//! How the work is shared out: by the shape alone, so that the number of threads changes no bit of a result.

use std::ops::Range;

use super::crew::{Way, for_each};
use super::element::BLOCK;
use crate::tensor::Shape;

/// Fewer values than this are not worth waking threads for.
const PARALLEL: usize = 1 << 15;

/// Runs shorter than a vector go column by column.
const SHORTEST_RUN: usize = 8;

/// Values of all the channels of a tile that should stay near from the reduction to the output: one MiB of f32. Smaller
/// tiles are nearer, but have shorter stretches of memory: of 1/8 to 4 MiB it was the fastest on average over the shapes of
/// ResNet-50 from 28x28 down, on 4 cores with 1 MiB of second-level cache each; 1/8 took up to 2.4 times as long.
const SLAB: usize = 1 << 18;

/// Most channels of a tile of planes.
pub(super) const MOST_CHANNELS: usize = 32;

/// Most columns of a tile of a matrix. Whole rows follow on each other in memory, and two sums and a pivot of so many
/// columns stay near.
pub(super) const MOST_COLUMNS: usize = 2048;

/// Rows of a matrix that one f32 sum goes over.
pub(super) const DEEPEST: usize = 256;

/// Values of a row that narrow rows are put together to.
const FOLDED: usize = 512;

/// Tiles that are enough for any number of threads.
const ENOUGH_TILES: usize = 16;

/// A tensor as `[outer, channels, inner]`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub outer: usize,
    pub channels: usize,
    pub inner: usize,
}

/// Part of a tensor: some channels of some rows, and where it is one channel, part of its run.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    pub rows: Range<usize>,
    pub channels: Range<usize>,
    pub inner: Range<usize>,
}

/// How a reduction and what follows it are shared out.
#[derive(Debug)]
pub(super) enum Division {
    /// A tile has all values of its channels: its output follows while they are still in the cache.
    Whole(Vec<Tile>),
    /// The values of a channel lie in several tiles, in order: the output waits for all of them.
    Split { tiles: Vec<Tile>, channels: usize },
}

impl Extent {
    pub(super) fn new(shape: &Shape) -> Self {
        let [outer, channels, inner] = [shape.outer(), shape.channels(), shape.inner()].map(|n| n as usize);
        Self { outer, channels, inner }
    }

    pub(super) fn len(&self) -> usize {
        self.outer * self.channels * self.inner
    }

    /// Values from one row to the next.
    pub(super) fn stride(&self) -> usize {
        self.channels * self.inner
    }

    /// Whether the values of a channel lie in runs that are worth a vector.
    pub(super) fn has_runs(&self) -> bool {
        self.inner >= SHORTEST_RUN
    }

    pub(super) fn is_parallel(&self) -> bool {
        self.len() >= PARALLEL
    }

    pub(super) fn division(&self) -> Division {
        if self.has_runs() { self.planes() } else { self.matrix() }
    }

    fn planes(&self) -> Division {
        let of_channel = self.outer * self.inner;
        let most = (BLOCK / self.inner).clamp(1, MOST_CHANNELS);
        let channels = (SLAB / of_channel).clamp(1, most).min(self.channels);
        if self.channels.div_ceil(channels) >= ENOUGH_TILES || !self.is_parallel() {
            let whole = Tile { rows: 0..self.outer, channels: 0..0, inner: 0..self.inner };
            let tiles = ranges(self.channels, channels);
            return Division::Whole(tiles.map(|channels| Tile { channels, ..whole.clone() }).collect());
        }
        let parts = (of_channel * channels).div_ceil(self.part());
        // Where there are fewer rows than parts, rows are divided too.
        let rows = self.outer.div_ceil(parts);
        let pieces = if channels == 1 { parts.div_ceil(self.outer) } else { 1 };
        let piece = self.inner.div_ceil(pieces).max(BLOCK.min(self.inner));
        let mut tiles = Vec::new();
        for group in ranges(self.channels, channels) {
            for rows in ranges(self.outer, rows) {
                for inner in ranges(self.inner, piece) {
                    tiles.push(Tile { rows: rows.clone(), channels: group.clone(), inner });
                }
            }
        }
        Division::Split { tiles, channels }
    }

    fn matrix(&self) -> Division {
        let channels = self.tile_channels(MOST_COLUMNS);
        // What is done once for each channel of a tile should be little beside its values.
        let deep = self.outer.div_ceil(ENOUGH_TILES).min(DEEPEST);
        let rows = self.part().div_ceil(channels * self.inner).max(deep).min(self.outer);
        let mut tiles = Vec::new();
        for group in ranges(self.channels, channels) {
            for rows in ranges(self.outer, rows) {
                tiles.push(Tile { rows, channels: group.clone(), inner: 0..self.inner });
            }
        }
        Division::Split { tiles, channels }
    }

    /// Channels of a tile of a matrix of at most so many columns: whole vectors of them where there are enough.
    pub(super) fn tile_channels(&self, most: usize) -> usize {
        if self.stride() <= most { self.channels } else { most / (16 * self.inner) * 16 }
    }

    /// Rows of a narrow matrix that are taken for one, so that a row is whole vectors.
    pub(super) fn fold(&self) -> usize {
        let width = self.stride();
        let fits = |fold: &usize| fold * width >= 64 && (fold * width).is_multiple_of(16);
        (1..=FOLDED / width.max(1)).find(fits).unwrap_or(1)
    }

    /// Values of a tile that is a part of its channels.
    fn part(&self) -> usize {
        (self.len() / 256).clamp(1 << 17, 1 << 21)
    }

    /// The length of the chunks of an output: whole rows of a matrix, whole runs, or parts of one run.
    pub(super) fn chunk(&self) -> usize {
        // Longer ones are gone through faster, shorter ones leave something to do for more threads.
        let chunk = (self.len() / 64).clamp(1 << 15, 1 << 17);
        let unit = if self.has_runs() { self.inner } else { self.stride() };
        if unit > chunk && self.has_runs() {
            return unit.div_ceil(unit.div_ceil(chunk)).next_multiple_of(16);
        }
        (chunk / unit).max(1) * unit
    }

    /// An output in chunks that lie in one run or are whole ones, with where they begin.
    pub(super) fn chunks<'a, E>(&self, values: &'a mut [E]) -> Vec<(usize, &'a mut [E])> {
        let chunk = self.chunk();
        let unit = if self.has_runs() && chunk < self.inner { self.inner } else { values.len().max(1) };
        let mut start = 0;
        let mut chunks = Vec::with_capacity(values.len() / chunk + values.len() / unit + 1);
        for chunk in values.chunks_mut(unit).flat_map(|unit| unit.chunks_mut(chunk)) {
            let len = chunk.len();
            chunks.push((start, chunk));
            start += len;
        }
        chunks
    }
}

/// `0..len` in parts of that length, the last one as long as is left.
pub(super) fn ranges(
    len: usize,
    part: usize,
) -> impl DoubleEndedIterator<Item = Range<usize>> + ExactSizeIterator + Clone {
    let part = part.max(1);
    (0..len.div_ceil(part)).map(move |i| i * part..len.min((i + 1) * part))
}

/// `0..len` in as few parts of at most that length as there can be, all of like lengths.
pub(super) fn evenly(len: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let parts = len.div_ceil(most);
    let (least, longer) = (len / parts.max(1), len % parts.max(1));
    let begin = move |part: usize| part * least + part.min(longer);
    (0..parts).map(move |part| begin(part)..begin(part + 1))
}

/// Channels whose statistics are worth a task.
pub(super) const SHARE: usize = 128;

/// The sums over all tiles of each channel, added up in their order. `partial` has a stretch of so many channels for
/// each tile.
pub(super) fn merged<T: Clone + Default + Send + Sync>(
    extent: Extent,
    tiles: &[Tile],
    partial: &[T],
    group: usize,
    add: impl Fn(&mut T, &T) + Send + Sync,
) -> Vec<T> {
    let mut sums = vec![T::default(); extent.channels];
    let shares: Vec<(usize, &mut [T])> = sums.chunks_mut(SHARE).enumerate().collect();
    for_each(
        extent.is_parallel(),
        Way::Forth,
        shares,
        || (),
        |(), (share, sums)| {
            let first = share * SHARE;
            for (tile, partial) in tiles.iter().zip(partial.chunks(group)) {
                let from = tile.channels.start.max(first);
                let to = tile.channels.end.min(first + sums.len());
                if from < to {
                    let partial = &partial[from - tile.channels.start..];
                    for (sums, partial) in sums[from - first..to - first].iter_mut().zip(partial) {
                        add(sums, partial);
                    }
                }
            }
        },
    );
    sums
}
