//! A run on disk: what it was asked to do, how far it is, and all that the rest of it depends on.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::store::{ModuleRecord, RecordError};
use burn::tensor::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A checkpoint that cannot be written, read, or continued from.
#[derive(Debug, Error)]
pub enum CheckpointError {
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error("{}: is no checkpoint of this program ({why}); --fresh begins anew", path.display())]
    Broken { path: PathBuf, why: String },
    #[error(
        "{}: was made with other settings: {found:?} there, {needed:?} now; it goes on with the same options, program and \
         device; another --out or --fresh begins anew",
        path.display()
    )]
    Settings { path: PathBuf, found: String, needed: String },
    #[error("{}: weights or optimizer cannot be written: {error}", path.display())]
    Record { path: PathBuf, error: RecordError },
}

/// The first line of a file says what it is; the second is this; then come model and optimizer.
#[derive(Serialize, Deserialize)]
struct Head<P> {
    settings: Vec<String>,
    progress: P,
    model: usize,
    optimizer: usize,
}

const MAGIC: &[u8] = b"wgpu-batchnorm training run, version 1\n";

/// Where one run is kept, and what has to be the same for it to go on.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub path: PathBuf,
    /// One setting each, as `name value`.
    pub settings: Vec<String>,
}

/// A run as it was left.
#[derive(Debug)]
pub struct Saved<P> {
    pub progress: P,
    path: PathBuf,
    model: Vec<u8>,
    optimizer: Vec<u8>,
}

impl Checkpoint {
    /// `progress` is all that is neither weight nor state of the optimizer: the curve so far, and with it the step,
    /// from which the order of data and every random number follow.
    pub fn save<P: Serialize>(
        &self,
        progress: P,
        model: impl Module,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), CheckpointError> {
        let record = |error| CheckpointError::Record { path: self.path.clone(), error };
        let model = model.into_record().into_bytes().map_err(record)?;
        let optimizer = optimizer.to_record().into_bytes().map_err(record)?;
        let head = Head {
            settings: self.settings.clone(),
            progress,
            model: model.len(),
            optimizer: optimizer.len(),
        };
        let head = serde_json::to_vec(&head).map_err(|error| self.broken(&error.to_string()))?;
        write_whole(&self.path, &[MAGIC, &head, b"\n", &model, &optimizer])
            .map_err(|error| CheckpointError::Io { path: self.path.clone(), error })
    }

    /// What is there, if anything is.
    pub fn load<P: DeserializeOwned>(&self) -> Result<Option<Saved<P>>, CheckpointError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CheckpointError::Io { path: self.path.clone(), error }),
        };
        let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| self.broken("another first line"))?;
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or_else(|| self.broken("cut off"))?;
        let head: Head<P> =
            serde_json::from_slice(&rest[..end]).map_err(|error| self.broken(&error.to_string()))?;
        self.check(&head.settings)?;
        let body = &rest[end + 1..];
        if head.model.checked_add(head.optimizer) != Some(body.len()) {
            return Err(self.broken("cut off"));
        }
        let (model, optimizer) = body.split_at(head.model);
        let (model, optimizer) = (model.to_vec(), optimizer.to_vec());
        Ok(Some(Saved { progress: head.progress, path: self.path.clone(), model, optimizer }))
    }

    fn check(&self, found: &[String]) -> Result<(), CheckpointError> {
        let longer = found.len().max(self.settings.len());
        let setting = |settings: &[String], index| settings.get(index).cloned().unwrap_or_default();
        match (0..longer).find(|&index| found.get(index) != self.settings.get(index)) {
            None => Ok(()),
            Some(index) => Err(CheckpointError::Settings {
                path: self.path.clone(),
                found: setting(found, index),
                needed: setting(&self.settings, index),
            }),
        }
    }

    fn broken(&self, why: &str) -> CheckpointError {
        broken(&self.path, why)
    }
}

fn broken(path: &Path, why: &str) -> CheckpointError {
    CheckpointError::Broken { path: path.to_owned(), why: why.to_owned() }
}

/// Where a run of that name is kept.
pub fn path(directory: &Path, run: &str) -> PathBuf {
    directory.join(format!("{}.run", run.replace(' ', "-")))
}

/// What `--fresh` asks for: no such run was ever there.
pub fn forget(directory: &Path, runs: impl IntoIterator<Item = String>) -> Result<(), CheckpointError> {
    for run in runs {
        let path = path(directory, &run);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(CheckpointError::Io { path, error });
            }
            _ => {}
        }
    }
    Ok(())
}

impl<P> Saved<P> {
    /// Model and optimizer as they were. Parameters keep their ids, by which the optimizer knows its state.
    pub fn restore<M: Module>(
        self,
        model: M,
        optimizer: ModuleOptimizer,
    ) -> Result<(M, ModuleOptimizer), CheckpointError> {
        let Self { path, model: weights, optimizer: moments, .. } = self;
        let unreadable = |error: RecordError| broken(&path, &error.to_string());
        let record = ModuleRecord::from_bytes(Bytes::from_bytes_vec(weights)).map_err(unreadable)?;
        let model = model.try_load_record(record).map_err(unreadable)?;
        let optimizer = optimizer.from_bytes(Bytes::from_bytes_vec(moments)).map_err(unreadable)?;
        Ok((model, optimizer))
    }
}

/// The parts, one after the other: all of them, or the file as it was. A kill may come between any two instructions.
pub fn write_whole(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    std::fs::rename(beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::scratch::Scratch;

    #[test]
    fn a_file_that_is_no_checkpoint_is_named() {
        let scratch = Scratch::new("checkpoint");
        let checkpoint = Checkpoint { path: path(scratch.path(), "a run"), settings: vec!["seed 2".into()] };
        assert!(checkpoint.load::<u32>().unwrap().is_none());
        let head = r#"{"settings":["seed 1"],"progress":7,"model":2,"optimizer":1}"#;
        for (bytes, expected) in [
            (b"other".to_vec(), "another first line"),
            (MAGIC.to_vec(), "cut off"),
            ([MAGIC, b"{\n"].concat(), "EOF"),
            ([MAGIC, head.as_bytes(), b"\nabc"].concat(), "\"seed 1\" there, \"seed 2\" now"),
            ([MAGIC, head.replace('1', "2").as_bytes(), b"\nabc"].concat(), "cut off"),
        ] {
            scratch.file("a-run.run", &bytes);
            let error = checkpoint.load::<u32>().unwrap_err().to_string();
            assert!(error.contains(expected), "{error} does not say {expected}");
            assert!(error.contains("a-run.run") && error.contains("--fresh"), "{error}");
        }
    }

    #[test]
    fn only_runs_of_these_names_are_forgotten() {
        let scratch = Scratch::new("forget");
        let (kept, gone) = (scratch.file("kept.run", &[]), scratch.file("a-run.run", &[]));
        forget(scratch.path(), ["a run".to_owned(), "never made".to_owned()]).unwrap();
        assert!(kept.exists() && !gone.exists());
    }
}
