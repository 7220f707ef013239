//! Runs an operation on given values and hands its results back as f64. What is to be written holds NaN before.

use wgpu_batchnorm::cpu::{self, BackwardSlices, Element, InferenceSlices, TrainingSlices};
use wgpu_batchnorm::reference::Statistics;
use wgpu_batchnorm::{
    BackwardOptions, Dtype, Error, InferenceOptions, SavedStatistics, Shape, TrainingOptions,
};

use super::case::Case;
use super::check::{self, Data};

/// Results of a training forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    pub y: Vec<f64>,
    pub saved: Vec<SavedStatistics>,
    pub running: Statistics,
}

/// Results of a backward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Differentiated {
    pub dx: Vec<f64>,
    pub dgamma: Vec<f64>,
    pub dbeta: Vec<f64>,
}

/// A storage type, from and to f64.
trait Value: Element {
    fn of(value: f64) -> Self;
    fn wide(self) -> f64;
}

impl Value for f32 {
    fn of(value: f64) -> Self {
        value as Self
    }

    fn wide(self) -> f64 {
        self.into()
    }
}

impl Value for half::f16 {
    fn of(value: f64) -> Self {
        Self::from_f64(value)
    }

    fn wide(self) -> f64 {
        self.into()
    }
}

fn stored<E: Value>(values: &[f64]) -> Vec<E> {
    values.iter().map(|&value| E::of(value)).collect()
}

fn wide<E: Value>(values: &[E]) -> Vec<f64> {
    values.iter().map(|&value| value.wide()).collect()
}

/// Memory that nobody has written to.
fn blank<E: Value>(len: u64) -> Vec<E> {
    vec![E::of(f64::NAN); len as usize]
}

const UNWRITTEN: SavedStatistics =
    SavedStatistics { pivot: f32::NAN, difference: f32::NAN, variance: f32::NAN, invstd: f32::NAN };

pub fn training(case: &Case, options: &TrainingOptions) -> Result<Trained, Error> {
    match case.shape.dtype() {
        Dtype::F32 => training_in::<f32>(case, options),
        Dtype::F16 => training_in::<half::f16>(case, options),
    }
}

fn training_in<E: Value>(case: &Case, options: &TrainingOptions) -> Result<Trained, Error> {
    let shape = &case.shape;
    let (mut y, mut saved) = (blank::<E>(shape.len()), vec![UNWRITTEN; shape.channels() as usize]);
    let (gamma, beta): (Vec<f32>, Vec<f32>) = (stored(&case.gamma), stored(&case.beta));
    let (mut mean, mut variance): (Vec<f32>, Vec<f32>) =
        (stored(&case.running.mean), stored(&case.running.variance));
    let slices = TrainingSlices {
        x: &stored::<E>(&case.x),
        y: &mut y,
        gamma: options.affine.has_gamma().then_some(&gamma),
        beta: options.affine.has_beta().then_some(&beta),
        running_mean: options.running.is_some().then_some(&mut mean),
        running_var: options.running.is_some().then_some(&mut variance),
        saved: &mut saved,
    };
    cpu::training(shape, options, slices)?;
    let running = Statistics { mean: wide(&mean), variance: wide(&variance) };
    Ok(Trained { y: wide(&y), saved, running })
}

pub fn inference(case: &Case, options: &InferenceOptions) -> Result<Vec<f64>, Error> {
    match case.shape.dtype() {
        Dtype::F32 => inference_in::<f32>(case, options),
        Dtype::F16 => inference_in::<half::f16>(case, options),
    }
}

fn inference_in<E: Value>(case: &Case, options: &InferenceOptions) -> Result<Vec<f64>, Error> {
    let mut y = blank::<E>(case.shape.len());
    let (gamma, beta): (Vec<f32>, Vec<f32>) = (stored(&case.gamma), stored(&case.beta));
    let slices = InferenceSlices {
        x: &stored::<E>(&case.x),
        y: &mut y,
        gamma: options.affine.has_gamma().then_some(&gamma),
        beta: options.affine.has_beta().then_some(&beta),
        running_mean: &stored::<f32>(&case.running.mean),
        running_var: &stored::<f32>(&case.running.variance),
    };
    cpu::inference(&case.shape, options, slices)?;
    Ok(wide(&y))
}

pub fn backward(
    case: &Case,
    saved: &[SavedStatistics],
    options: &BackwardOptions,
) -> Result<Differentiated, Error> {
    match case.shape.dtype() {
        Dtype::F32 => backward_in::<f32>(case, saved, options),
        Dtype::F16 => backward_in::<half::f16>(case, saved, options),
    }
}

fn backward_in<E: Value>(
    case: &Case,
    saved: &[SavedStatistics],
    options: &BackwardOptions,
) -> Result<Differentiated, Error> {
    let (shape, wanted) = (&case.shape, options.gradients);
    let mut dx = blank::<E>(shape.len());
    let (mut dgamma, mut dbeta) =
        (blank::<f32>(shape.channels().into()), blank::<f32>(shape.channels().into()));
    let gamma: Vec<f32> = stored(&case.gamma);
    let slices = BackwardSlices {
        x: &stored::<E>(&case.x),
        dy: &stored::<E>(&case.dy),
        saved,
        gamma: (wanted.dx && options.affine.has_gamma()).then_some(&gamma),
        dx: wanted.dx.then_some(&mut dx),
        dgamma: wanted.dgamma.then_some(&mut dgamma),
        dbeta: wanted.dbeta.then_some(&mut dbeta),
    };
    cpu::backward(shape, options, slices)?;
    Ok(Differentiated { dx: wide(&dx), dgamma: wide(&dgamma), dbeta: wide(&dbeta) })
}

/// A forward and a backward pass, both held to their bounds.
pub fn step(case: &Case, options: &TrainingOptions, data: Data) -> Result<(Trained, Differentiated), String> {
    let trained = training(case, options).map_err(|error| error.to_string())?;
    check::training(case, options, &trained)?;
    let of_backward = BackwardOptions { affine: options.affine, ..Default::default() };
    let gradients = backward(case, &trained.saved, &of_backward).map_err(|error| error.to_string())?;
    check::backward(case, &of_backward, options.eps, data, &gradients)?;
    Ok((trained, gradients))
}

/// The shape `[outer, channels, inner]`.
pub fn shape(outer: usize, channels: usize, inner: usize, dtype: Dtype) -> Shape {
    Shape::new(&[outer, channels, inner], 1, dtype).expect("a shape")
}
