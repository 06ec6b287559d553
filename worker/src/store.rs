//! Files of a worker: results by shard, inputs by root, and the lock that keeps a second worker out. A file is there
//! whole or not at all: written beside, flushed to disk, renamed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use assay_client::result::Layout;
use solana_pubkey::Pubkey;

use crate::error::{Result, WorkerError};

/// Inputs that came less than this ago stay.
const YOUNG: Duration = Duration::from_secs(86_400);

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

    fn layout_path(&self, shard: &Pubkey) -> PathBuf {
        self.results.join(format!("{shard}.layout"))
    }

    /// Begins a shard's result, which is written beside until it is whole. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn new_result(&self, shard: &Pubkey) -> Result<NewResult> {
        let path = self.result_path(shard);
        let beside = beside(&path);
        let file = File::options().read(true).write(true).create_new(true).open(&beside);
        let file = file.map_err(WorkerError::io(format!("writing {}", path.display())))?;
        Ok(NewResult { file, beside, path, layout: self.layout_path(shard), is_kept: false })
    }

    /// A shard's result, where there is one. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn result(&self, shard: &Pubkey) -> Result<Option<File>> {
        let path = self.result_path(shard);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(WorkerError::io(format!("reading {}", path.display()))(error)),
        }
    }

    /// What the leaves of a shard's result are, where there is one. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn layout(&self, shard: &Pubkey) -> Result<Option<Layout>> {
        Ok(get(&self.layout_path(shard))?.and_then(|bytes| Layout::from_bytes(&bytes)))
    }

    /// Removes a shard's result. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn remove_result(&self, shard: &Pubkey) -> Result<()> {
        remove(&self.result_path(shard))?;
        remove(&self.layout_path(shard))
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

    /// Removes every input but those with these roots, and those that came less than a day ago: somebody may be about to
    /// use them. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn keep_inputs(&self, roots: &[[u8; 32]]) -> Result<()> {
        self.keep_inputs_since(roots, SystemTime::now().checked_sub(YOUNG).unwrap_or(SystemTime::UNIX_EPOCH))
    }

    /// Removes inputs that were written before `since`, but not those with these roots. What is half written is
    /// another's work: only a start removes it.
    fn keep_inputs_since(&self, roots: &[[u8; 32]], since: SystemTime) -> Result<()> {
        let kept: Vec<_> = roots.iter().map(|root| self.input_path(root)).collect();
        let what = || format!("reading {}", self.inputs.display());
        for entry in fs::read_dir(&self.inputs).map_err(WorkerError::io(what()))? {
            let entry = entry.map_err(WorkerError::io(what()))?;
            let path = entry.path();
            if kept.contains(&path) || is_partial(&path) {
                continue;
            }
            let written = match entry.metadata().and_then(|metadata| metadata.modified()) {
                Ok(written) => written,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(WorkerError::io(what())(error)),
            };
            if written < since {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

fn is_partial(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "part")
}

/// A result that is being written. It is gone when it is dropped before it was [kept](Self::keep).
#[derive(Debug)]
pub struct NewResult {
    file: File,
    beside: PathBuf,
    path: PathBuf,
    layout: PathBuf,
    is_kept: bool,
}

impl NewResult {
    /// The file, to read what was written: here and after it is kept.
    ///
    /// # Errors
    /// [`WorkerError::Io`].
    pub fn file(&self) -> Result<File> {
        self.file.try_clone().map_err(WorkerError::io(format!("reading {}", self.path.display())))
    }

    /// It is whole: it takes the place of an older one, durably. Blocking.
    ///
    /// # Errors
    /// [`WorkerError::Io`]; then no file, or an older one, is there.
    pub fn keep(mut self, layout: &Layout) -> Result<()> {
        let what = || format!("writing {}", self.path.display());
        put(&self.layout, &layout.to_bytes())?;
        settle(&self.file, &self.beside, &self.path).map_err(WorkerError::io(what()))?;
        self.is_kept = true;
        Ok(())
    }
}

impl Write for NewResult {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for NewResult {
    fn drop(&mut self) {
        if !self.is_kept {
            // What stays all the same the next start removes.
            drop(fs::remove_file(&self.beside));
        }
    }
}

/// A name of its own: two that write the same file at once don't write into each other's.
fn beside(path: &Path) -> PathBuf {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{:016x}.part", rand::random::<u64>()));
    beside.into()
}

/// Puts what was written beside to its place, durably.
fn settle(file: &File, beside: &Path, path: &Path) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(beside, path)?;
    // The rename itself must be on disk, too, before anything is said about the file.
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8]) -> Result<()> {
    let what = || format!("writing {}", path.display());
    let beside = beside(path);
    let write = || -> io::Result<()> {
        let mut file = File::create(&beside)?;
        file.write_all(bytes)?;
        settle(&file, &beside, path)
    };
    write().inspect_err(|_| drop(fs::remove_file(&beside))).map_err(WorkerError::io(what()))
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
        if is_partial(&path) {
            remove(&path)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "test code")]
mod tests {
    use super::*;
    use assay_settlement::{CostClass, JobTerms};
    use bytemuck::Zeroable;

    #[test]
    fn one_worker_per_folder_and_no_half_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(Store::open(folder.path()).unwrap_err().code(), "worker-locked");
        let shard = Pubkey::new_from_array([3; 32]);
        let layout = Layout::new(&terms(), 0, &shard, &shard).unwrap();
        let read = |store: &Store| store.result(&shard).unwrap().map(|file| io::read_to_string(file).unwrap());
        assert_eq!(read(&store), None);
        for bytes in ["one", "two"] {
            let mut new = store.new_result(&shard).unwrap();
            new.write_all(bytes.as_bytes()).unwrap();
            new.keep(&layout).unwrap();
            assert_eq!(read(&store).as_deref(), Some(bytes));
        }
        // One that is given up leaves the older one, and nothing of itself.
        let mut new = store.new_result(&shard).unwrap();
        new.write_all(b"th").unwrap();
        assert_eq!(fs::read_dir(folder.path().join("results")).unwrap().count(), 3);
        drop(new);
        assert_eq!(fs::read_dir(folder.path().join("results")).unwrap().count(), 2);
        let half = store.result_path(&shard).with_extension("bin.part");
        fs::write(&half, b"th").unwrap();
        drop(store);

        let store = Store::open(folder.path()).unwrap();
        assert!(!half.exists());
        assert_eq!(read(&store).as_deref(), Some("two"));
        assert_eq!(store.layout(&shard).unwrap(), Some(layout));
        store.remove_result(&shard).unwrap();
        store.remove_result(&shard).unwrap();
        assert_eq!((read(&store), store.layout(&shard).unwrap()), (None, None));
    }

    fn terms() -> JobTerms {
        let mut terms = JobTerms::zeroed();
        (terms.classes, terms.leaves, terms.shard_leaves, terms.shards) = (1, 1, 1, 1);
        terms.class[0] = CostClass { cells: 3, cost: 1, cells_per_leaf: 3, cell_bytes: 1, ..CostClass::zeroed() };
        terms
    }

    #[test]
    fn inputs_are_kept_by_root() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.put_input(&[1; 32], b"a").unwrap();
        store.put_input(&[2; 32], b"b").unwrap();
        store.keep_inputs(&[]).unwrap();
        assert!(store.input(&[1; 32]).unwrap().is_some(), "just written");
        let half = folder.path().join("inputs").join("x.0123.part");
        fs::write(&half, b"h").unwrap();
        store.keep_inputs_since(&[[2; 32]], SystemTime::now() + YOUNG).unwrap();
        assert!(half.exists(), "another's work");
        assert_eq!((store.input(&[1; 32]).unwrap(), store.input(&[2; 32]).unwrap()), (None, Some(b"b".to_vec())));
    }
}
