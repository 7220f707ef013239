//! Reductions and outputs where the values of a channel lie in runs: channels first.

use pulp::Arch;

use super::division::{Extent, MOST_CHANNELS, Tile, evenly, ranges};
use super::element::{BLOCK, Element, Layout, Workspace};
use super::moments::{Sums, is_far, moved};
use super::output::Output;
use super::parameters::Fields;
use super::runs::{AddGradients, AddMoments, InputGradient, Lanes, Normalize, Totals};

/// Runs that a lane adds up one after the other.
const DEEPEST: usize = 64;

/// Values that the first pivot is the mean of.
const SAMPLE: usize = 32;

/// Calls back for the blocks of a tile, whose sums f32 lanes may hold: where it starts in the tensor, how many rows it
/// has, and the length of its runs.
fn blocks(extent: Extent, tile: &Tile, mut block: impl FnMut(usize, usize, usize)) {
    let run = tile.inner.len();
    let deep = (BLOCK / run).clamp(1, DEEPEST);
    for rows in ranges(tile.rows.len(), deep) {
        for inner in evenly(run, BLOCK) {
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
    let (mut pivots, mut totals) = ([0.0; MOST_CHANNELS], [[0.0; 2]; MOST_CHANNELS]);
    let (lanes, pivots, totals) = (&mut lanes[..channels], &mut pivots[..channels], &mut totals[..channels]);
    let first = tile.rows.start * stride + tile.channels.start * extent.inner + tile.inner.start;
    let run = tile.inner.len();
    for (c, pivot) in pivots.iter_mut().enumerate() {
        let sample = &x[first + c * extent.inner..][..run.min(SAMPLE)];
        *pivot = sample.iter().map(|x| x.widen()).sum::<f32>() / sample.len() as f32;
    }
    blocks(extent, tile, |start, rows, run| {
        let (count, width) = ((rows * run) as f64, channels * run);
        for last in [false, true] {
            lanes.fill(Lanes::ZERO);
            for (start, rows) in conversions(start, stride, rows, width) {
                let layout = Layout { stride, count: rows, width };
                layout.prefetch_next(x, start);
                if layout.rows(x, start).all(|x| E::add_moments_runs(x, run, pivots, lanes)) {
                    continue;
                }
                let x = E::read(&x[start..], layout, &mut workspace.x);
                arch.dispatch(AddMoments { x, run, pivots, lanes });
            }
            arch.dispatch(Totals { lanes, totals });
            let mut again = false;
            for (pivot, totals) in pivots.iter_mut().zip(totals.iter()) {
                if !last && is_far(count, *totals) {
                    *pivot = moved(*pivot, count, totals[0]);
                    again = true;
                }
            }
            if !again {
                break;
            }
        }
        for ((sums, pivot), totals) in sums.iter_mut().zip(pivots.iter()).zip(totals.iter()) {
            sums.add(&Sums::about(*pivot, count, *totals));
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
    let mut totals = [[0.0; 2]; MOST_CHANNELS];
    let (lanes, totals) = (&mut lanes[..channels], &mut totals[..channels]);
    blocks(extent, tile, |start, rows, run| {
        let width = channels * run;
        lanes.fill(Lanes::ZERO);
        for (start, rows) in conversions(start, stride, rows, width) {
            let layout = Layout { stride, count: rows, width };
            layout.prefetch_next(x, start);
            layout.prefetch_next(dy, start);
            let mut tensors = layout.rows(x, start).zip(layout.rows(dy, start));
            if tensors.all(|tensors| E::add_gradients_runs(tensors, run, fields, lanes)) {
                continue;
            }
            let x = E::read(&x[start..], layout, &mut workspace.x);
            let dy = E::read(&dy[start..], layout, &mut workspace.dy);
            arch.dispatch(AddGradients { x, dy, run, fields, lanes });
        }
        arch.dispatch(Totals { lanes, totals });
        for (sums, totals) in sums.iter_mut().zip(totals.iter()) {
            *sums = [sums[0] + totals[0], sums[1] + totals[1]];
        }
    });
}

/// Calls back for the pieces of a stretch of an output that are computed at once: where it begins in the
/// stretch, its length, the length of its runs, and the channel it begins with.
fn pieces(
    (len, most): (usize, usize),
    run: usize,
    first: usize,
    mut piece: impl FnMut(usize, usize, usize, usize),
) {
    if run > most || len < run {
        for (plane, whole) in ranges(len, run).enumerate() {
            for range in evenly(whole.len(), most) {
                piece(whole.start + range.start, range.len(), range.len(), first + plane);
            }
        }
    } else {
        let step = most / run * run;
        for range in ranges(len, step) {
            piece(range.start, range.len(), run, first + range.start / run);
        }
    }
}

/// y of a stretch of x that is some runs, or part of one. The channel of its first run is `first`; after the last
/// one that the fields have, the first one follows.
pub(super) fn normalize<E: Element>(
    arch: Arch,
    x: &[E],
    output: &mut Output<'_, E>,
    (run, first): (usize, usize),
    fields: Fields<'_, 3>,
    workspace: &mut Workspace<E>,
) {
    let bounds = (output.len(), output.most());
    pieces(bounds, run.min(output.len()), first, |start, len, run, channel| {
        let (x, first) = (&x[start..][..len], channel % fields.channels());
        output.rows(start, Layout::line(len), |_, y, _| {
            if E::normalize_runs(x, &mut y[..len], (run, first), fields) {
                return;
            }
            pieces((len, E::MOST_READ), run, first, |start, len, run, channel| {
                let (line, first) = (Layout::line(len), channel % fields.channels());
                let x = E::read(&x[start..], line, &mut workspace.x);
                E::write(&mut y[start..], line, &mut workspace.output, |y| {
                    arch.dispatch(Normalize { x, y, run, first, fields });
                });
            });
        });
    });
}

/// dx of a stretch of x and dy; otherwise as [`normalize`].
pub(super) fn input_gradient<E: Element>(
    arch: Arch,
    (x, dy): (&[E], &[E]),
    output: &mut Output<'_, E>,
    (run, first): (usize, usize),
    fields: Fields<'_, 4>,
    workspace: &mut Workspace<E>,
) {
    let bounds = (output.len(), output.most());
    pieces(bounds, run.min(output.len()), first, |start, len, run, channel| {
        let (tensors, first) = ((&x[start..][..len], &dy[start..][..len]), channel % fields.channels());
        output.rows(start, Layout::line(len), |_, dx, _| {
            if E::gradient_runs(tensors, &mut dx[..len], (run, first), fields) {
                return;
            }
            pieces((len, E::MOST_READ), run, first, |start, len, run, channel| {
                let (line, first) = (Layout::line(len), channel % fields.channels());
                let x = E::read(&tensors.0[start..], line, &mut workspace.x);
                let dy = E::read(&tensors.1[start..], line, &mut workspace.dy);
                E::write(&mut dx[start..], line, &mut workspace.output, |dx| {
                    arch.dispatch(InputGradient { x, dy, dx, run, first, fields });
                });
            });
        });
    });
}
