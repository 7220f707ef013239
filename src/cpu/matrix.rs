//! Reductions and outputs where neighbouring values belong to different channels: channels last, and runs shorter than
//! a vector. A row of the tensor is a row of a matrix, and its columns belong to channels.

use pulp::Arch;

use super::columns::{AddGradients, AddMoments, InputGradient, Normalize};
use super::division::{Extent, MOST_COLUMNS, Tile, ranges};
use super::element::{BLOCK, Element, Layout, Workspace};
use super::moments::{Sums, better_pivot, first_pivot};
use super::parameters::{spread, spread_all};

/// Rows that one f32 sum goes over.
const DEEPEST: usize = 256;

/// Rows that the first pivot is the mean of.
const SAMPLE: usize = 8;

/// Rows of a matrix that lie `stride` values apart, each one or several rows of the tensor.
#[derive(Clone, Copy)]
struct Region {
    start: usize,
    stride: usize,
    rows: usize,
    width: usize,
}

/// The rows of a stretch of whole rows of the tensor: folded to whole vectors, and those left over.
fn regions(extent: Extent, rows: std::ops::Range<usize>, channels: std::ops::Range<usize>) -> [Region; 2] {
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
    /// Its rows in parts.
    fn parts(self, rows: usize) -> impl Iterator<Item = Self> {
        ranges(self.rows, rows).map(move |rows| Self {
            start: self.start + rows.start * self.stride,
            rows: rows.len(),
            ..self
        })
    }

    /// In parts that are converted at once.
    fn conversions(self) -> impl Iterator<Item = Self> {
        self.parts((BLOCK / self.width).max(1))
    }

    fn layout(self) -> Layout {
        Layout { stride: self.stride, count: self.rows, width: self.width }
    }
}

/// Sums of the columns of each channel.
fn totals(columns: &[f32], inner: usize, totals: &mut [f64]) {
    totals.fill(0.0);
    for row in columns.chunks(totals.len() * inner) {
        for (total, columns) in totals.iter_mut().zip(row.chunks(inner)) {
            for &column in columns {
                *total += f64::from(column);
            }
        }
    }
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
    for region in regions(extent, tile.rows.clone(), tile.channels.clone()) {
        if region.rows > 0 {
            region_moments(arch, extent.inner, x, region, sums, workspace);
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
    region: Region,
    sums: &mut [Sums],
    workspace: &mut Workspace<E>,
) {
    let (channels, width) = (sums.len(), region.width);
    let mut columns = [[0.0; MOST_COLUMNS]; 4];
    let [of_column, column_sums, column_squares, pivots] = &mut columns;
    let of_column = &mut of_column[..width];
    let (column_sums, column_squares) = (&mut column_sums[..width], &mut column_squares[..width]);
    let pivots = &mut pivots[..channels];
    let mut of_channel = [[0.0; MOST_COLUMNS]; 2];
    let [of_sums, of_squares] = &mut of_channel;
    let (of_sums, of_squares) = (&mut of_sums[..channels], &mut of_squares[..channels]);

    for (c, pivot) in pivots.iter_mut().enumerate() {
        let rows =
            (0..region.rows.min(SAMPLE)).map(|row| &x[region.start + row * region.stride + c * inner..]);
        *pivot = first_pivot(rows.flat_map(|row| row[..inner].iter()).map(|x| x.widen()));
    }
    spread(pivots, inner, of_column);
    for block in region.parts(DEEPEST) {
        let count = block.rows * (width / channels);
        for last in [false, true] {
            column_sums.fill(0.0);
            column_squares.fill(0.0);
            for part in block.conversions() {
                let x = E::read(&x[part.start..], part.layout(), &mut workspace.x);
                arch.dispatch(AddMoments {
                    x,
                    pivots: of_column,
                    sums: column_sums,
                    squares: column_squares,
                });
            }
            totals(column_sums, inner, of_sums);
            totals(column_squares, inner, of_squares);
            let mut moved = false;
            if !last {
                for (c, pivot) in pivots.iter_mut().enumerate() {
                    if let Some(better) = better_pivot(*pivot, count, (of_sums[c], of_squares[c])) {
                        *pivot = better;
                        moved = true;
                    }
                }
            }
            if !moved {
                break;
            }
            spread(pivots, inner, of_column);
        }
        for (c, sums) in sums.iter_mut().enumerate() {
            sums.add(&Sums::about(pivots[c], count, (of_sums[c], of_squares[c])));
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
    let fields = spread_all(fields.map(|field| &field[tile.channels.clone()]), inner);
    let mut columns = [[0.0; MOST_COLUMNS]; 2];
    let mut of_channel = [0.0; MOST_COLUMNS];
    let of_channel = &mut of_channel[..channels];
    for region in regions(extent, tile.rows.clone(), tile.channels.clone()) {
        let width = region.width;
        for block in region.parts(DEEPEST) {
            let [column_sums, column_products] = &mut columns;
            let (column_sums, column_products) = (&mut column_sums[..width], &mut column_products[..width]);
            column_sums.fill(0.0);
            column_products.fill(0.0);
            for part in block.conversions() {
                let x = E::read(&x[part.start..], part.layout(), &mut workspace.x);
                let dy = E::read(&dy[part.start..], part.layout(), &mut workspace.dy);
                let fields = [&fields[0][..width], &fields[1][..width]];
                let products = &mut *column_products;
                arch.dispatch(AddGradients { x, dy, fields, sums: column_sums, products });
            }
            for (which, columns) in [column_sums, column_products].into_iter().enumerate() {
                totals(columns, inner, of_channel);
                for (sums, total) in sums.iter_mut().zip(of_channel.iter()) {
                    sums[which] += total;
                }
            }
        }
    }
}

/// Calls back for the regions of a stretch of whole rows of an output, with the numbers of their columns.
fn outputs<const N: usize>(
    extent: Extent,
    rows: usize,
    fields: [&[f32]; N],
    mut output: impl FnMut(Region, [&[f32]; N]),
) {
    let plain = extent.inner == 1 && extent.fold() == 1;
    for channels in ranges(extent.channels, extent.tile_channels()) {
        let fields = fields.map(|field| &field[channels.clone()]);
        let columns = if plain { [[0.0; MOST_COLUMNS]; N] } else { spread_all(fields, extent.inner) };
        for region in regions(extent, 0..rows, channels) {
            for part in region.conversions() {
                let of_columns =
                    std::array::from_fn(
                        |field| {
                            if plain { fields[field] } else { &columns[field][..part.width] }
                        },
                    );
                output(part, of_columns);
            }
        }
    }
}

/// y of whole rows of x; the fields are those of all channels.
pub(super) fn normalize<E: Element>(
    arch: Arch,
    extent: Extent,
    x: &[E],
    y: &mut [E],
    fields: [&[f32]; 5],
    workspace: &mut Workspace<E>,
) {
    outputs(extent, y.len() / extent.stride(), fields, |part, fields| {
        let x = E::read(&x[part.start..], part.layout(), &mut workspace.x);
        E::write(&mut y[part.start..], part.layout(), &mut workspace.output, |y| {
            arch.dispatch(Normalize { x, y, fields });
        });
    });
}

/// dx of whole rows of x and dy; otherwise as [`normalize`].
pub(super) fn input_gradient<E: Element>(
    arch: Arch,
    extent: Extent,
    (x, dy): (&[E], &[E]),
    dx: &mut [E],
    fields: [&[f32]; 6],
    workspace: &mut Workspace<E>,
) {
    outputs(extent, dx.len() / extent.stride(), fields, |part, fields| {
        let x = E::read(&x[part.start..], part.layout(), &mut workspace.x);
        let dy = E::read(&dy[part.start..], part.layout(), &mut workspace.dy);
        E::write(&mut dx[part.start..], part.layout(), &mut workspace.output, |dx| {
            arch.dispatch(InputGradient { x, dy, dx, fields });
        });
    });
}
