//! Reductions and outputs where the values of a channel lie in runs: channels first.

use pulp::Arch;

use super::division::{Extent, MOST_CHANNELS, Tile, ranges};
use super::element::{BLOCK, Element, Layout, Workspace};
use super::moments::{Sums, better_pivot, first_pivot};
use super::runs::{AddGradients, AddMoments, InputGradient, Lanes, Normalize};

/// Runs that a lane adds up one after the other.
const DEEPEST: usize = 64;

/// Values that the first pivot is the mean of.
const SAMPLE: usize = 256;

/// Calls back for the blocks of a tile, whose sums f32 lanes may hold: where it starts in the tensor, how many rows it
/// has, and the length of its runs.
fn blocks(extent: Extent, tile: &Tile, mut block: impl FnMut(usize, usize, usize)) {
    let run = tile.inner.len();
    let deep = (BLOCK / run).clamp(1, DEEPEST);
    let piece = run.div_ceil(run.div_ceil(BLOCK));
    for rows in ranges(tile.rows.len(), deep) {
        for inner in ranges(run, piece) {
            let row = tile.rows.start + rows.start;
            let start = row * extent.stride() + tile.channels.start * extent.inner + tile.inner.start;
            block(start + inner.start, rows.len(), inner.len());
        }
    }
}

/// Where the rows of a block that are converted at once begin, and how many they are.
fn conversions(
    start: usize,
    stride: usize,
    rows: usize,
    width: usize,
) -> impl Iterator<Item = (usize, usize)> {
    ranges(rows, (BLOCK / width).max(1)).map(move |rows| (start + rows.start * stride, rows.len()))
}

/// The sums over each channel of a tile.
pub(super) fn moments<E: Element>(
    arch: Arch,
    extent: Extent,
    x: &[E],
    tile: &Tile,
    sums: &mut [Sums],
    workspace: &mut Workspace<E>,
) {
    let (channels, stride) = (tile.channels.len(), extent.stride());
    let mut lanes = [Lanes::ZERO; MOST_CHANNELS];
    let mut pivots = [0.0; MOST_CHANNELS];
    let (lanes, pivots) = (&mut lanes[..channels], &mut pivots[..channels]);
    let first = tile.rows.start * stride + tile.channels.start * extent.inner + tile.inner.start;
    let run = tile.inner.len();
    for (c, pivot) in pivots.iter_mut().enumerate() {
        *pivot = first_pivot(x[first + c * extent.inner..][..run.min(SAMPLE)].iter().map(|x| x.widen()));
    }
    blocks(extent, tile, |start, rows, run| {
        let (count, width) = (rows * run, channels * run);
        for last in [false, true] {
            lanes.fill(Lanes::ZERO);
            for (start, rows) in conversions(start, stride, rows, width) {
                let x = E::read(&x[start..], Layout { stride, count: rows, width }, &mut workspace.x);
                arch.dispatch(AddMoments { x, run, pivots, lanes });
            }
            let mut moved = false;
            if !last {
                for (pivot, lanes) in pivots.iter_mut().zip(lanes.iter()) {
                    if let Some(better) = better_pivot(*pivot, count, lanes.totals()) {
                        *pivot = better;
                        moved = true;
                    }
                }
            }
            if !moved {
                break;
            }
        }
        for ((sums, pivot), lanes) in sums.iter_mut().zip(pivots.iter()).zip(lanes.iter()) {
            sums.add(&Sums::about(*pivot, count, lanes.totals()));
        }
    });
    for (c, sums) in sums.iter_mut().enumerate().filter(|(_, sums)| !sums.is_finite()) {
        let channel = first + c * extent.inner;
        let rows = (0..tile.rows.len()).map(|row| &x[channel + row * stride..][..run]);
        *sums = Sums::exact(rows.flatten().map(|x| x.widen()));
    }
}

/// The sums of dy and of `dy * (x - mean)` over each channel of a tile; `fields` are pivot and difference of all channels.
pub(super) fn gradients<E: Element>(
    arch: Arch,
    extent: Extent,
    (x, dy): (&[E], &[E]),
    fields: [&[f32]; 2],
    tile: &Tile,
    sums: &mut [[f64; 2]],
    workspace: &mut Workspace<E>,
) {
    let (channels, stride) = (tile.channels.len(), extent.stride());
    let fields = fields.map(|field| &field[tile.channels.clone()]);
    let mut lanes = [Lanes::ZERO; MOST_CHANNELS];
    let lanes = &mut lanes[..channels];
    blocks(extent, tile, |start, rows, run| {
        let width = channels * run;
        lanes.fill(Lanes::ZERO);
        for (start, rows) in conversions(start, stride, rows, width) {
            let x = E::read(&x[start..], Layout { stride, count: rows, width }, &mut workspace.x);
            let dy = E::read(&dy[start..], Layout { stride, count: rows, width }, &mut workspace.dy);
            arch.dispatch(AddGradients { x, dy, run, fields, lanes });
        }
        for (sums, lanes) in sums.iter_mut().zip(lanes.iter()) {
            let (dy, dy_centered) = lanes.totals();
            *sums = [sums[0] + dy, sums[1] + dy_centered];
        }
    });
}

/// Calls back for the pieces of a stretch of an output that are converted at once, last first: where it begins in the
/// stretch, its length, the length of its runs, and the channel it begins with.
fn pieces(len: usize, run: usize, first: usize, mut piece: impl FnMut(usize, usize, usize, usize)) {
    if run > BLOCK || len < run {
        for (plane, whole) in ranges(len, run).enumerate().rev() {
            for range in ranges(whole.len(), BLOCK).rev() {
                piece(whole.start + range.start, range.len(), range.len(), first + plane);
            }
        }
    } else {
        let step = BLOCK / run * run;
        for range in ranges(len, step).rev() {
            piece(range.start, range.len(), run, first + range.start / run);
        }
    }
}

/// y of a stretch of x that is some runs, or part of one. The channel of its first run is `first`; after the last
/// one that the fields have, the first one follows.
pub(super) fn normalize<E: Element>(
    arch: Arch,
    x: &[E],
    y: &mut [E],
    (run, first): (usize, usize),
    fields: [&[f32]; 5],
    workspace: &mut Workspace<E>,
) {
    pieces(y.len(), run, first, |start, len, run, channel| {
        let first = channel % fields[0].len();
        let x = E::read(&x[start..], Layout::line(len), &mut workspace.x);
        E::write(&mut y[start..], Layout::line(len), &mut workspace.output, |y| {
            arch.dispatch(Normalize { x, y, run, first, fields });
        });
    });
}

/// dx of a stretch of x and dy; otherwise as [`normalize`].
pub(super) fn input_gradient<E: Element>(
    arch: Arch,
    (x, dy): (&[E], &[E]),
    dx: &mut [E],
    (run, first): (usize, usize),
    fields: [&[f32]; 6],
    workspace: &mut Workspace<E>,
) {
    pieces(dx.len(), run, first, |start, len, run, channel| {
        let first = channel % fields[0].len();
        let x = E::read(&x[start..], Layout::line(len), &mut workspace.x);
        let dy = E::read(&dy[start..], Layout::line(len), &mut workspace.dy);
        E::write(&mut dx[start..], Layout::line(len), &mut workspace.output, |dx| {
            arch.dispatch(InputGradient { x, dy, dx, run, first, fields });
        });
    });
}
