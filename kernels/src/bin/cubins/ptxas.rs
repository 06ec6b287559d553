//! `ptxas`, NVIDIA's assembler: PTX to a cubin, and what it says about it. With a cache: the same input is not assembled
//! twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use assay_kernels::hash::sha256;

/// What an entry point needs of a card.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Registers of a thread.
    pub registers: u64,
    /// Bytes of shared memory of a block, without what a launch adds.
    pub shared: u64,
    /// Bytes of stack of a thread.
    pub stack: u64,
    /// Bytes that a thread writes to memory for want of registers.
    pub spill_stores: u64,
    /// Bytes that it reads back.
    pub spill_loads: u64,
}

/// A kernel for an architecture.
pub struct Made {
    /// Its entry points, by name.
    pub entries: Vec<Entry>,
    /// The cubin.
    pub cubin: Vec<u8>,
}

/// The assembler and the folder that remembers what it made.
pub struct Ptxas {
    program: PathBuf,
    version: String,
    cache: PathBuf,
}

impl Ptxas {
    /// The assembler at `program`.
    pub fn new(program: PathBuf, cache: PathBuf) -> Result<Self, String> {
        let output = Command::new(&program)
            .arg("--version")
            .output()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.lines().find(|line| line.starts_with("Cuda compilation tools")).unwrap_or_default();
        if !version.contains("release 12.9, V12.9.86") {
            return Err(format!("{} is not of CUDA 12.9.86 but: {}", program.display(), text.trim()));
        }
        fs::create_dir_all(&cache).map_err(|error| format!("{}: {error}", cache.display()))?;
        Ok(Self { version: version.to_owned(), program, cache })
    }

    /// What `make` gives, or gave for the same key before.
    pub fn remembered(
        &self,
        key: &[&str],
        extension: &str,
        make: impl FnOnce() -> Result<Vec<u8>, String>,
    ) -> Result<Vec<u8>, String> {
        let parts: Vec<[u8; 32]> =
            std::iter::once(extension).chain(key.iter().copied()).map(|part| sha256(&[part.as_bytes()])).collect();
        let parts: Vec<&[u8]> = parts.iter().map(|part| part.as_slice()).collect();
        let name: String = sha256(&parts).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.cache.join(name).with_extension(extension);
        if let Ok(bytes) = fs::read(&path) {
            return Ok(bytes);
        }
        let bytes = make()?;
        put(&path, &bytes)?;
        Ok(bytes)
    }

    /// Assembles PTX for `arch` (`sm_75`).
    pub fn assemble(&self, name: &str, ptx: &str, arch: &str) -> Result<Made, String> {
        // One file for both outputs: what ptxas said, its length before it, then the cubin.
        let both = self.remembered(&[&self.version, arch, ptx], "made", || {
            let folder = self.cache.join(format!("{name}-{arch}-{}", std::process::id()));
            fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let made = self.run(&folder, name, ptx, arch);
            fs::remove_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
            let (said, cubin) = made?;
            Ok([&(said.len() as u64).to_le_bytes(), said.as_bytes(), &cubin].concat())
        })?;
        let parts = || {
            let (len, rest) = both.split_first_chunk::<8>()?;
            rest.split_at_checked(usize::try_from(u64::from_le_bytes(*len)).ok()?)
        };
        let (said, cubin) = parts().ok_or("a file of the cache is cut off: remove the cache")?;
        let entries = entries(&String::from_utf8_lossy(said));
        if entries.is_empty() {
            return Err(format!("{name} for {arch}: ptxas named no entry point"));
        }
        Ok(Made { entries, cubin: cubin.to_vec() })
    }

    fn run(&self, folder: &Path, name: &str, ptx: &str, arch: &str) -> Result<(String, Vec<u8>), String> {
        let told = |error: std::io::Error| format!("{name} for {arch}: {error}");
        fs::write(folder.join("kernel.ptx"), ptx).map_err(told)?;
        let output = Command::new(&self.program)
            .args(["--verbose", "--warn-on-spills", "--gpu-name", arch, "--output-file", "kernel.cubin", "kernel.ptx"])
            .current_dir(folder)
            .stdin(Stdio::null())
            .output()
            .map_err(told)?;
        let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        if !output.status.success() {
            return Err(format!("{name} for {arch}: {said}"));
        }
        Ok((said, fs::read(folder.join("kernel.cubin")).map_err(told)?))
    }
}

/// Writes a file whole or not at all.
fn put(path: &Path, bytes: &[u8]) -> Result<(), String> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    fs::write(&part, bytes)
        .and_then(|()| fs::rename(&part, path))
        .map_err(|error| format!("{}: {error}", path.display()))
}

/// The number before `unit` in what ptxas says.
fn number_of(line: &str, unit: &str) -> Option<u64> {
    line.get(..line.find(unit)?)?.split(|c: char| !c.is_ascii_digit()).rfind(|word| !word.is_empty())?.parse().ok()
}

/// The entry points in what `ptxas --verbose` says, by name. Functions that are not inlined count with their callers.
fn entries(said: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for line in said.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let name = rest.split('\'').next().unwrap_or_default().to_owned();
            entries.push(Entry { name, ..Entry::default() });
        }
        let Some(entry) = entries.last_mut() else { continue };
        if line.contains("bytes stack frame") {
            entry.stack = entry.stack.saturating_add(number_of(line, " bytes stack frame").unwrap_or(0));
            entry.spill_stores = entry.spill_stores.saturating_add(number_of(line, " bytes spill stores").unwrap_or(0));
            entry.spill_loads = entry.spill_loads.saturating_add(number_of(line, " bytes spill loads").unwrap_or(0));
        }
        if line.contains(": Used ") {
            entry.registers = number_of(line, " registers").unwrap_or(0);
            entry.shared = number_of(line, " bytes smem").unwrap_or(0);
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ptxas_says_is_read() {
        let said = "ptxas info    : 0 bytes gmem, 256 bytes cmem[3]
ptxas info    : Compiling entry function 'second' for 'sm_75'
ptxas info    : Function properties for second
    48 bytes stack frame, 28 bytes spill stores, 36 bytes spill loads
ptxas info    : Used 70 registers, used 1 barriers, 12288 bytes smem, 676 bytes cmem[0], 8 bytes cmem[2]
ptxas info    : Compile time = 127.558 ms
ptxas info    : Compiling entry function 'first' for 'sm_75'
ptxas info    : Function properties for first
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 26 registers, used 0 barriers
";
        let first = Entry { name: "first".into(), registers: 26, ..Entry::default() };
        let second = Entry {
            name: "second".into(),
            registers: 70,
            shared: 12_288,
            stack: 48,
            spill_stores: 28,
            spill_loads: 36,
        };
        assert_eq!(entries(said), [first, second]);
        assert_eq!(entries("ptxas info    : 0 bytes gmem"), []);
    }

    #[test]
    fn the_same_is_made_once() {
        let folder = tempfile::tempdir().unwrap();
        let ptxas = Ptxas { program: "none".into(), version: "1".into(), cache: folder.path().to_owned() };
        let made = |key: &[&str], bytes: &[u8]| ptxas.remembered(key, "x", || Ok(bytes.to_vec())).unwrap();
        assert_eq!(made(&["a", "b"], b"one"), b"one");
        assert_eq!(made(&["a", "b"], b"two"), b"one");
        // Where one part ends and the next begins counts.
        assert_eq!(made(&["ab"], b"three"), b"three");
        assert!(ptxas.remembered(&["c"], "x", || Err("no".into())).is_err());
        assert_eq!(made(&["c"], b"four"), b"four");
    }
}
