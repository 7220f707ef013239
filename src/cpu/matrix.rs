//! Reductions and outputs where neighbouring values belong to different channels: channels last, and runs shorter than
//! a vector. A row of the tensor is a row of a matrix, and its columns belong to channels.

use std::ops::Range;

use pulp::Arch;

use super::columns::{AddGradients, AddMoments, AnyFar, DEPTH, InputGradient, Normalize, Totals};
use super::division::{DEEPEST, Extent, MOST_COLUMNS, Tile, ranges};
use super::element::{Element, Layout, Workspace};
use super::moments::{Sums, is_far, moved};
use super::output::{Output, STAGED};
use super::parameters::{Fields, Room, room, spread};

/// Rows that the first pivots are the means of: of 32 values the mean lies within a standard deviation of that of all,
/// six of its own deviations, also where there are thousands of channels.
const SAMPLE: usize = 32;

/// Rows of a matrix that lie `stride` values apart, each one or several rows of the tensor.
#[derive(Clone, Copy)]
struct Region {
    start: usize,
    stride: usize,
    rows: usize,
    width: usize,
}

/// The rows of a stretch of whole rows of the tensor: folded to whole vectors, and those left over.
fn regions(extent: Extent, rows: Range<usize>, channels: Range<usize>) -> [Region; 2] {
    let (stride, inner) = (extent.stride(), extent.inner);
    let fold = if channels.len() == extent.channels { extent.fold() } else { 1 };
    let start = rows.start * stride + channels.start * inner;
    let folded = rows.len() / fold;
    let width = channels.len() * inner;
    let left = start + folded * fold * stride;
    [
        Region { start, stride: fold * stride, rows: folded, width: fold * width },
        Region { start: left, stride, rows: rows.len() - folded * fold, width },
    ]
}

impl Region {
    /// Some of its rows.
    fn some(self, rows: Range<usize>) -> Self {
        Self { start: self.start + rows.start * self.stride, rows: rows.len(), ..self }
    }

    /// Its rows in parts.
    fn parts(self, rows: usize) -> impl Iterator<Item = Self> {
        ranges(self.rows, rows).map(move |rows| self.some(rows))
    }

    /// In parts that are read at once, as they are or converted, and where they begin in it.
    fn reads<E: Element>(self) -> impl Iterator<Item = (Self, usize)> {
        // Those that are summed at once stay together, so that sums of f16 are those of f32.
        let rows = (E::MOST_READ / self.width / DEPTH).max(1).saturating_mul(DEPTH);
        ranges(self.rows, rows).map(move |rows| (self.some(rows.clone()), rows.start))
    }

    fn layout(self) -> Layout {
        Layout { stride: self.stride, count: self.rows, width: self.width }
    }
}

/// Values near those of each channel: means of some rows from all over the tensor.
pub(super) fn pivots<E: Element>(arch: Arch, extent: Extent, x: &[E]) -> Vec<f32> {
    let (inner, stride) = (extent.inner, extent.stride());
    let rows = extent.outer.min(SAMPLE);
    let mut pivots: Vec<f32> = x[..stride].iter().step_by(inner).map(|x| x.widen()).collect();
    let workspace = &mut Workspace::<E>::new();
    for channels in ranges(extent.channels, extent.tile_channels(MOST_COLUMNS)) {
        let width = channels.len() * inner;
        let [of_column, sums, squares] = workspace.columns.take(width);
        let [totals] = room(&mut workspace.channels, channels.len());
        let start = channels.start * inner;
        let pivots = &mut pivots[channels];
        spread(pivots, inner, of_column);
        sums.fill(0.0);
        let sample = Region { start, stride: extent.outer / rows * stride, rows, width };
        add_moments(arch, x, sample, of_column, [sums, squares], &mut workspace.x);
        arch.dispatch(Totals { columns: sums, inner, totals });
        for (pivot, sum) in pivots.iter_mut().zip(totals) {
            let mean = moved(*pivot, (rows * inner) as f64, *sum);
            *pivot = if mean.is_finite() { mean } else { 0.0 };
        }
    }
    pivots
}

fn add_moments<E: Element>(
    arch: Arch,
    x: &[E],
    region: Region,
    pivots: &[f32],
    [sums, squares]: [&mut [f32]; 2],
    scratch: &mut E::Scratch,
) {
    if E::add_moments_rows(&x[region.start..], region.layout(), pivots, sums, squares) {
        return;
    }
    for (part, _) in region.reads::<E>() {
        let x = E::read(&x[part.start..], part.layout(), scratch);
        arch.dispatch(AddMoments { x, pivots, sums, squares });
    }
}

/// The sums over each channel of a tile, by pivots of all channels.
pub(super) fn moments<E: Element>(
    arch: Arch,
    extent: Extent,
    x: &[E],
    pivots: &[f32],
    tile: &Tile,
    sums: &mut [Sums],
    workspace: &mut Workspace<E>,
) {
    let pivots = &pivots[tile.channels.clone()];
    for region in regions(extent, tile.rows.clone(), tile.channels.clone()) {
        if region.rows > 0 {
            region_moments(arch, extent.inner, x, pivots, region, sums, workspace);
        }
    }
    let stride = extent.stride();
    for (c, sums) in sums.iter_mut().enumerate().filter(|(_, sums)| !sums.is_finite()) {
        let first = (tile.channels.start + c) * extent.inner;
        let rows = tile.rows.clone().map(|row| &x[row * stride + first..][..extent.inner]);
        *sums = Sums::exact(rows.flatten().map(|x| x.widen()));
    }
}

fn region_moments<E: Element>(
    arch: Arch,
    inner: usize,
    x: &[E],
    first_pivots: &[f32],
    region: Region,
    sums: &mut [Sums],
    workspace: &mut Workspace<E>,
) {
    let (channels, width) = (sums.len(), region.width);
    let [of_column, column_sums, column_squares, pivots] = workspace.columns.take(width);
    let [block_sums, block_squares] = room(&mut workspace.channels, channels);
    let pivots = &mut pivots[..channels];
    pivots.copy_from_slice(first_pivots);
    spread(pivots, inner, of_column);

    for block in region.parts(DEEPEST) {
        let count = (block.rows * (width / channels)) as f64;
        for last in [false, true] {
            column_sums.fill(0.0);
            column_squares.fill(0.0);
            add_moments(arch, x, block, of_column, [column_sums, column_squares], &mut workspace.x);
            arch.dispatch(Totals { columns: column_sums, inner, totals: block_sums });
            arch.dispatch(Totals { columns: column_squares, inner, totals: block_squares });
            if last || !arch.dispatch(AnyFar { count, sums: block_sums, squares: block_squares }) {
                break;
            }
            for c in (0..channels).filter(|&c| is_far(count, [block_sums[c], block_squares[c]])) {
                pivots[c] = moved(pivots[c], count, block_sums[c]);
            }
            spread(pivots, inner, of_column);
        }
        let blocks = block_sums.iter().zip(block_squares.iter());
        for ((sums, pivot), (sum, squares)) in sums.iter_mut().zip(pivots.iter()).zip(blocks) {
            sums.add(&Sums::about(*pivot, count, [*sum, *squares]));
        }
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
    let (inner, channels) = (extent.inner, tile.channels.len());
    let regions = regions(extent, tile.rows.clone(), tile.channels.clone());
    let [pivots, differences, column_sums, column_products] =
        workspace.columns.take(regions[0].width.max(regions[1].width));
    let [totals] = room(&mut workspace.channels, channels);
    for (columns, field) in [&mut *pivots, differences].into_iter().zip(fields) {
        spread(&field[tile.channels.clone()], inner, columns);
    }
    for region in regions {
        let width = region.width;
        let fields = [&pivots[..width], &differences[..width]];
        let (column_sums, column_products) = (&mut column_sums[..width], &mut column_products[..width]);
        for block in region.parts(DEEPEST) {
            column_sums.fill(0.0);
            column_products.fill(0.0);
            let tensors = (&x[block.start..], &dy[block.start..]);
            if !E::add_gradients_rows(tensors, block.layout(), fields, column_sums, column_products) {
                for (part, _) in block.reads::<E>() {
                    let x = E::read(&x[part.start..], part.layout(), &mut workspace.x);
                    let dy = E::read(&dy[part.start..], part.layout(), &mut workspace.dy);
                    let (sums, products) = (&mut *column_sums, &mut *column_products);
                    arch.dispatch(AddGradients { x, dy, fields, sums, products });
                }
            }
            for (which, columns) in [&*column_sums, &*column_products].into_iter().enumerate() {
                arch.dispatch(Totals { columns, inner, totals });
                for (sums, total) in sums.iter_mut().zip(totals.iter()) {
                    sums[which] += total;
                }
            }
        }
    }
}

/// Calls back for the regions of a stretch of whole rows of an output, `most` values of each row at once, with the
/// numbers of their columns.
fn outputs<const N: usize>(
    extent: Extent,
    (rows, most): (usize, usize),
    fields: Fields<'_, N>,
    mut output: impl FnMut(Region, Fields<'_, N>),
) {
    if extent.inner == 1 && extent.fold() == 1 {
        // The numbers are there as they are needed, so that memory can be gone through from its beginning to its end.
        let together = if extent.channels > most { 1 } else { rows };
        for rows in ranges(rows, together) {
            for channels in ranges(extent.channels, most) {
                let fields = fields.some(channels.clone());
                let [region, _] = regions(extent, rows.clone(), channels);
                output(region, fields);
            }
        }
        return;
    }
    let mut room = Room::default();
    for channels in ranges(extent.channels, extent.tile_channels(STAGED)) {
        let regions = regions(extent, 0..rows, channels.clone());
        let columns = fields.some(channels).spread(extent.inner, regions[0].width, &mut room);
        for region in regions.into_iter().filter(|region| region.rows > 0) {
            output(region, columns.some(0..region.width));
        }
    }
}

/// y of whole rows of x; the fields are those of all channels.
pub(super) fn normalize<E: Element>(
    arch: Arch,
    extent: Extent,
    x: &[E],
    y: &mut Output<'_, E>,
    fields: Fields<'_, 3>,
    workspace: &mut Workspace<E>,
) {
    let bounds = (y.len() / extent.stride(), y.most().min(E::MOST_READ));
    outputs(extent, bounds, fields, |part, fields| {
        y.rows(part.start, part.layout(), |rows, y, stride| {
            let part = part.some(rows);
            if E::normalize_rows(&x[part.start..], y, part.layout(), stride, fields) {
                return;
            }
            for (part, row) in part.reads::<E>() {
                let layout = part.layout();
                let x = E::read(&x[part.start..], layout, &mut workspace.x);
                let y = &mut y[row * stride..];
                E::write(y, Layout { stride, ..layout }, &mut workspace.output, |y| {
                    arch.dispatch(Normalize { x, y, fields });
                });
            }
        });
    });
}

/// dx of whole rows of x and dy; otherwise as [`normalize`].
pub(super) fn input_gradient<E: Element>(
    arch: Arch,
    extent: Extent,
    (x, dy): (&[E], &[E]),
    dx: &mut Output<'_, E>,
    fields: Fields<'_, 4>,
    workspace: &mut Workspace<E>,
) {
    let bounds = (dx.len() / extent.stride(), dx.most().min(E::MOST_READ));
    outputs(extent, bounds, fields, |part, fields| {
        dx.rows(part.start, part.layout(), |rows, dx, stride| {
            let part = part.some(rows);
            let tensors = (&x[part.start..], &dy[part.start..]);
            if E::gradient_rows(tensors, dx, part.layout(), stride, fields) {
                return;
            }
            for (part, row) in part.reads::<E>() {
                let layout = part.layout();
                let x = E::read(&x[part.start..], layout, &mut workspace.x);
                let dy = E::read(&dy[part.start..], layout, &mut workspace.dy);
                let dx = &mut dx[row * stride..];
                E::write(dx, Layout { stride, ..layout }, &mut workspace.output, |dx| {
                    arch.dispatch(InputGradient { x, dy, dx, fields });
                });
            }
        });
    });
}
