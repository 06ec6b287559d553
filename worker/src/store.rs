//! Files of a worker: results by shard, inputs by root, and the lock that keeps a second worker out. A file is there
//! whole or not at all: written beside, flushed to disk, renamed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use solana_pubkey::Pubkey;

use crate::error::{Result, WorkerError};

/// The data folder; holds the lock for as long as it lives.
#[derive(Debug)]
pub struct Store {
    results: PathBuf,
    inputs: PathBuf,
    journal: PathBuf,
    /// Released by the system at the latest when the file is closed, also after a crash.
    lock: File,
}

impl Store {
    /// Opens the data folder (made where there is none) for this worker alone. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Locked`], [`WorkerError::Io`].
    pub fn open(folder: &Path) -> Result<Self> {
        let (results, inputs) = (folder.join("results"), folder.join("inputs"));
        for path in [&results, &inputs] {
            fs::create_dir_all(path).map_err(WorkerError::io(format!("making {}", path.display())))?;
        }
        let path = folder.join("worker.lock");
        let what = || format!("locking {}", path.display());
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(WorkerError::io(what()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(WorkerError::Locked { folder: folder.to_path_buf() }),
            Err(TryLockError::Error(source)) => return Err(WorkerError::io(what())(source)),
        }
        let store = Self { results, inputs, journal: folder.join("journal.sqlite"), lock };
        for folder in [&store.results, &store.inputs] {
            remove_partial(folder)?;
        }
        Ok(store)
    }

    /// Lets another worker have the folder, though something here may still read from it. Nothing may be written after
    /// this.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn release(&self) -> Result<()> {
        self.lock.unlock().map_err(WorkerError::io("unlocking the data folder"))
    }

    /// Path of the journal.
    pub fn journal(&self) -> &Path {
        &self.journal
    }

    /// Path of a shard's result. Made of the key alone, so no caller's text is ever part of a path.
    pub fn result_path(&self, shard: &Pubkey) -> PathBuf {
        self.results.join(format!("{shard}.bin"))
    }

    fn input_path(&self, root: &[u8; 32]) -> PathBuf {
        self.inputs.join(hex::encode(root))
    }

    /// Path of the salted leaf hashes of a shard's result, 32 bytes each.
    pub fn hashes_path(&self, shard: &Pubkey) -> PathBuf {
        self.results.join(format!("{shard}.hashes"))
    }

    /// Writes a shard's result and its salted leaf hashes durably. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`]; then no file, or an older one, is there.
    pub fn put_result(&self, shard: &Pubkey, bytes: &[u8], hashes: &[[u8; 32]]) -> Result<()> {
        put(&self.hashes_path(shard), hashes.as_flattened())?;
        put(&self.result_path(shard), bytes)
    }

    /// A shard's result, where there is one. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn result(&self, shard: &Pubkey) -> Result<Option<Vec<u8>>> {
        get(&self.result_path(shard))
    }

    /// Removes a shard's result. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn remove_result(&self, shard: &Pubkey) -> Result<()> {
        remove(&self.result_path(shard))?;
        remove(&self.hashes_path(shard))
    }

    /// Keeps an input; its bytes were checked against `root`. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn put_input(&self, root: &[u8; 32], bytes: &[u8]) -> Result<()> {
        put(&self.input_path(root), bytes)
    }

    /// An input that was kept; the caller checks it against its root again. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn input(&self, root: &[u8; 32]) -> Result<Option<Vec<u8>>> {
        get(&self.input_path(root))
    }

    /// Removes every input but those with these roots. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn keep_inputs(&self, roots: &[[u8; 32]]) -> Result<()> {
        let kept: Vec<_> = roots.iter().map(|root| self.input_path(root)).collect();
        let what = || format!("reading {}", self.inputs.display());
        for entry in fs::read_dir(&self.inputs).map_err(WorkerError::io(what()))? {
            let path = entry.map_err(WorkerError::io(what()))?.path();
            if !kept.contains(&path) {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("writing {}", path.display());
    let mut beside = path.as_os_str().to_owned();
    beside.push(".part");
    let beside = PathBuf::from(beside);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)?;
        // The rename itself must be on disk, too, before anything is said about the file.
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    };
    write().map_err(WorkerError::io(what()))
}

fn get(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(WorkerError::io(format!("reading {}", path.display()))(error)),
    }
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(WorkerError::io(format!("removing {}", path.display()))(error))
        }
        _ => Ok(()),
    }
}

/// What a crash left half written.
fn remove_partial(folder: &Path) -> Result<()> {
    let what = || format!("reading {}", folder.display());
    for entry in fs::read_dir(folder).map_err(WorkerError::io(what()))? {
        let path = entry.map_err(WorkerError::io(what()))?.path();
        if path.extension().is_some_and(|extension| extension == "part") {
            remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_per_folder_and_no_half_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(Store::open(folder.path()).unwrap_err().code(), "worker-locked");
        let shard = Pubkey::new_from_array([3; 32]);
        assert_eq!(store.result(&shard).unwrap(), None);
        store.put_result(&shard, b"one", &[[1; 32]]).unwrap();
        store.put_result(&shard, b"two", &[[2; 32]]).unwrap();
        let half = store.result_path(&shard).with_extension("bin.part");
        fs::write(&half, b"th").unwrap();
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        assert!(!half.exists());
        assert_eq!(store.result(&shard).unwrap().unwrap(), b"two");
        assert_eq!(fs::read(store.hashes_path(&shard)).unwrap(), [2; 32]);
        store.remove_result(&shard).unwrap();
        store.remove_result(&shard).unwrap();
        assert_eq!(store.result(&shard).unwrap(), None);
    }

    #[test]
    fn inputs_are_kept_by_root() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.put_input(&[1; 32], b"a").unwrap();
        store.put_input(&[2; 32], b"b").unwrap();
        store.keep_inputs(&[[2; 32]]).unwrap();
        assert_eq!((store.input(&[1; 32]).unwrap(), store.input(&[2; 32]).unwrap()), (None, Some(b"b".to_vec())));
    }
}
