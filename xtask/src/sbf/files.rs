//! Files: hashes, trees that are copied or hard-linked, marks of finished work.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// SHA-256 in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 of a file in lower-case hexadecimal.
pub fn sha256_file(path: &Path) -> Result<String> {
    Ok(sha256_hex(&read(path)?))
}

/// [`fs::read`] with the path in the error.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// [`fs::write`] with the path in the error; makes the folder.
pub fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        create(folder)?;
    }
    fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
}

/// [`fs::create_dir_all`] with the path in the error.
pub fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))
}

/// Removes a file or a whole folder; that there is none is fine.
pub fn remove(path: &Path) -> Result<()> {
    let result = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    result.with_context(|| format!("cannot remove {}", path.display()))
}

/// Makes `link` point to `to`, whatever was there.
pub fn link(to: &Path, link: &Path) -> Result<()> {
    remove(link)?;
    if let Some(folder) = link.parent() {
        create(folder)?;
    }
    symlink(to, link).with_context(|| format!("cannot link {}", link.display()))
}

/// The entries of a folder, in the order of their names.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let list = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut paths =
        list.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>().context("cannot list")?;
    paths.sort();
    Ok(paths)
}

/// How [`tree`] makes a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Make {
    /// A second name of the same file; a copy where the two are on different file systems.
    HardLink,
    /// A file of its own.
    Copy,
}

/// Copies the folder `from` to `to`, leaving out what `skip` says; symbolic links stay what they are.
pub fn tree(from: &Path, to: &Path, make: Make, skip: &dyn Fn(&Path) -> bool) -> Result<()> {
    create(to)?;
    for path in entries(from)? {
        if skip(&path) {
            continue;
        }
        let Some(name) = path.file_name() else { bail!("{} has no name", path.display()) };
        let target = to.join(name);
        let kind = fs::symlink_metadata(&path).with_context(|| format!("cannot read {}", path.display()))?.file_type();
        if kind.is_symlink() {
            let aim = fs::read_link(&path).with_context(|| format!("cannot read {}", path.display()))?;
            link(&aim, &target)?;
        } else if kind.is_dir() {
            tree(&path, &target, make, skip)?;
        } else if kind.is_file() {
            if make == Make::HardLink && fs::hard_link(&path, &target).is_ok() {
                continue;
            }
            fs::copy(&path, &target)
                .with_context(|| format!("cannot copy {} to {}", path.display(), target.display()))?;
        }
    }
    Ok(())
}

/// Locks `file`, waiting for whoever holds it; as long as the returned handle lives.
pub fn lock(file: &Path) -> Result<fs::File> {
    if let Some(folder) = file.parent() {
        create(folder)?;
    }
    let handle = fs::File::create(file).with_context(|| format!("cannot create {}", file.display()))?;
    handle.lock().with_context(|| format!("cannot lock {}", file.display()))?;
    Ok(handle)
}

/// Remembers in a file which inputs a finished piece of work had.
pub struct Mark {
    file: PathBuf,
    key: String,
}

impl Mark {
    /// `key` names all inputs of the work.
    pub fn new(home: &Path, name: &str, key: &str) -> Self {
        Self { file: home.join("done").join(name), key: sha256_hex(key.as_bytes()) }
    }
    /// The work was finished with these inputs.
    pub fn is_set(&self) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|found| found == self.key)
    }
    /// The work begins: until [`Mark::set`] it does not count as finished.
    pub fn clear(&self) -> Result<()> {
        remove(&self.file)
    }
    /// The work is finished.
    pub fn set(&self) -> Result<()> {
        write(&self.file, self.key.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_keeps_links_and_leaves_out_what_it_should() {
        let root = std::env::temp_dir().join(format!("assay-files-{}", std::process::id()));
        let (from, copy, linked) = (root.join("from"), root.join("copy"), root.join("linked"));
        write(&from.join("kept/file"), b"bytes").expect("written");
        write(&from.join("skipped/file"), b"bytes").expect("written");
        link(Path::new("kept/file"), &from.join("link")).expect("linked");
        let skip = |path: &Path| path.ends_with("skipped");
        tree(&from, &copy, Make::Copy, &skip).expect("copied");
        tree(&from, &linked, Make::HardLink, &skip).expect("linked");
        for to in [&copy, &linked] {
            assert_eq!(fs::read_link(to.join("link")).expect("a link"), Path::new("kept/file"));
            assert_eq!(read(&to.join("link")).expect("readable"), b"bytes");
            assert!(!to.join("skipped").exists());
        }
        // Only the copy is a file of its own.
        fs::write(from.join("kept/file"), b"other").expect("written");
        assert_eq!(read(&copy.join("kept/file")).expect("readable"), b"bytes");
        assert_eq!(read(&linked.join("kept/file")).expect("readable"), b"other");
        remove(&root).expect("removed");
    }

    #[test]
    fn a_mark_holds_for_its_inputs_only() {
        let home = std::env::temp_dir().join(format!("assay-mark-{}", std::process::id()));
        let mark = Mark::new(&home, "work", "version 1");
        assert!(!mark.is_set());
        mark.set().expect("set");
        assert!(mark.is_set());
        assert!(!Mark::new(&home, "work", "version 2").is_set());
        mark.clear().expect("cleared");
        assert!(!mark.is_set());
        remove(&home).expect("removed");
    }
}
