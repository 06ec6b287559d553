//! Kernels compiled for a card beforehand: loaded at once, where the driver takes seconds to compile PTX.
//!
//! They come in a folder beside the worker, `{architecture}/{kernel}.cubin`, and count only with the bytes that the
//! committed table names: whatever else lies there is left alone, and the driver gets the PTX.

use std::path::{Path, PathBuf};

use crate::hash::{Hash, sha256};

/// The table as committed: what each kernel compiles to for each architecture. `cargo xtask cubins --write` writes it.
pub const TABLE: &str = include_str!("../../cubins.txt");
/// Names the folder of the compiled kernels.
pub const FOLDER_VARIABLE: &str = "ASSAY_CUBINS";

/// An architecture, such as `sm_86` or `sm_90a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arch {
    /// Compute capability, its first number.
    pub major: i32,
    /// The second.
    pub minor: i32,
    /// Only for cards of just this capability (`a`).
    pub exact: bool,
}

impl Arch {
    /// Reads `sm_90a`.
    pub fn parse(name: &str) -> Option<Self> {
        let number = name.strip_prefix("sm_")?;
        let digits = number.strip_suffix('a').unwrap_or(number);
        let (major, minor) = digits.split_at_checked(digits.len().checked_sub(1)?)?;
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let parsed = plain.then(|| Some((major.parse().ok()?, minor.parse().ok()?)))?;
        parsed.map(|(major, minor)| Self { major, minor, exact: number.ends_with('a') })
    }

    /// Whether a card of this capability runs what was compiled for it.
    fn runs_on(&self, (major, minor): (i32, i32)) -> bool {
        self.major == major && if self.exact { self.minor == minor } else { self.minor <= minor }
    }
}

impl core::fmt::Display for Arch {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "sm_{}{}{}", self.major, self.minor, if self.exact { "a" } else { "" })
    }
}

/// What a card of this compute capability is given of what there is: its own, else the nearest below it in its
/// generation. None where only the driver can compile for it.
pub fn choose(capability: (i32, i32), available: impl IntoIterator<Item = Arch>) -> Option<Arch> {
    available.into_iter().filter(|arch| arch.runs_on(capability)).max()
}

/// A compiled kernel of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cubin<'a> {
    /// Name of its source.
    pub name: &'a str,
    /// What it is for.
    pub arch: Arch,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256.
    pub sha256: Hash,
}

/// The compiled kernels that a table names; lines that it does not understand are about other things.
pub fn cubins(table: &str) -> impl Iterator<Item = Cubin<'_>> {
    table.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let mut next = || words.next();
        (next()? == "cubin").then_some(())?;
        let (name, arch, bytes, hash) = (next()?, Arch::parse(next()?)?, next()?.parse().ok()?, next()?);
        Some(Cubin { name, arch, bytes, sha256: from_hex(hash)? })
    })
}

fn from_hex(text: &str) -> Option<Hash> {
    let (pairs, []) = text.as_bytes().as_chunks::<2>() else { return None };
    let mut hash = Hash::default();
    (pairs.len() == hash.len()).then_some(())?;
    for (byte, pair) in hash.iter_mut().zip(pairs) {
        *byte = u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(hash)
}

/// Where compiled kernels may lie: the folder that [`FOLDER_VARIABLE`] names, else `cubins` beside this program.
pub fn folder() -> Option<PathBuf> {
    let named = std::env::var_os(FOLDER_VARIABLE).filter(|folder| !folder.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(std::env::current_exe().ok()?.parent()?.join("cubins")))
}

/// The compiled kernel `name` for a card of this capability out of `folder`, if it lies there as `table` names it.
pub fn find(table: &str, folder: &Path, name: &str, capability: (i32, i32)) -> Option<Vec<u8>> {
    let of_name = || cubins(table).filter(|cubin| cubin.name == name);
    let arch = choose(capability, of_name().map(|cubin| cubin.arch))?;
    let wanted = of_name().find(|cubin| cubin.arch == arch)?;
    let bytes = std::fs::read(folder.join(arch.to_string()).join(name).with_extension("cubin")).ok()?;
    (bytes.len() as u64 == wanted.bytes && sha256(&[&bytes]) == wanted.sha256).then_some(bytes)
}

/// [`find`] with the committed table, in the folder of this machine.
pub fn image(name: &str, capability: (i32, i32)) -> Option<Vec<u8>> {
    find(TABLE, &folder()?, name, capability)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arch(name: &str) -> Arch {
        Arch::parse(name).unwrap()
    }

    #[test]
    fn architectures_are_read_and_written() {
        for name in ["sm_75", "sm_80", "sm_90a", "sm_100", "sm_120a"] {
            assert_eq!(arch(name).to_string(), name);
        }
        assert_eq!(arch("sm_100"), Arch { major: 10, minor: 0, exact: false });
        for name in ["", "sm_", "sm_7", "sm_a", "75", "sm_75b", "sm_+5", "compute_75", "sm_-75"] {
            assert_eq!(Arch::parse(name), None, "{name}");
        }
    }

    #[test]
    fn a_card_gets_its_own_or_the_nearest_below() {
        let all = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100"].map(arch);
        let chosen = |major, minor| choose((major, minor), all).map(|arch| arch.to_string());
        let cases = [
            ((7, 5), Some("sm_75")),
            ((8, 0), Some("sm_80")),
            ((8, 6), Some("sm_86")),
            ((8, 7), Some("sm_86")),
            ((8, 9), Some("sm_89")),
            ((9, 0), Some("sm_90a")),
            // What is exact is for no other card, and another generation runs nothing of this one.
            ((9, 1), None),
            ((7, 0), None),
            ((10, 0), Some("sm_100")),
            ((10, 3), Some("sm_100")),
            ((12, 0), None),
        ];
        for ((major, minor), expected) in cases {
            assert_eq!(chosen(major, minor).as_deref(), expected, "{major}.{minor}");
        }
        // Of a plain one and an exact one of the same capability, the exact one.
        assert_eq!(choose((9, 0), ["sm_90", "sm_90a"].map(arch)), Some(arch("sm_90a")));
        assert_eq!(choose((9, 0), []), None);
    }

    #[test]
    fn only_the_bytes_of_the_table_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let put = |arch: &str, bytes: &[u8]| {
            std::fs::create_dir_all(folder.path().join(arch)).unwrap();
            std::fs::write(folder.path().join(arch).join("a.cubin"), bytes).unwrap();
        };
        put("sm_80", b"eighty");
        put("sm_86", b"other than expected");
        let line = |arch: &str, bytes: &[u8]| {
            let hex: String = sha256(&[bytes]).iter().map(|byte| format!("{byte:02x}")).collect();
            format!("cubin a {arch} {} {hex}\n", bytes.len())
        };
        let table = format!("# x\nentry a sm_80 f 1\n{}{}", line("sm_80", b"eighty"), line("sm_86", b"eighty-six"));
        let find = |name, capability| find(&table, folder.path(), name, capability);
        assert_eq!(find("a", (8, 0)), Some(b"eighty".to_vec()));
        // The file for this card is not the table's: the driver compiles, and nothing older is taken instead.
        assert_eq!(find("a", (8, 6)), None);
        assert_eq!(find("a", (7, 5)), None);
        assert_eq!(find("b", (8, 0)), None);
        assert_eq!(super::find("", folder.path(), "a", (8, 0)), None);
        assert_eq!(super::find(&table, &folder.path().join("none"), "a", (8, 0)), None);
    }

    #[test]
    fn the_committed_table_names_kernels_whole() {
        let lines = TABLE.lines().filter(|line| line.starts_with("cubin ")).count();
        assert!(lines > 0);
        assert_eq!(cubins(TABLE).count(), lines);
    }
}
