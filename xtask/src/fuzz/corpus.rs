//! The committed corpus: all inputs in one file, each with its length in front (u16, little-endian).

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};

use crate::sbf::files;

/// Writes each input to a file of its own; returns how many there are.
pub fn unpack(corpus: &Path, folder: &Path) -> Result<usize> {
    files::remove(folder)?;
    files::create(folder)?;
    let bytes = if corpus.is_file() { files::read(corpus)? } else { Vec::new() };
    let inputs = split(&bytes).with_context(|| format!("{} is broken", corpus.display()))?;
    for (number, input) in inputs.iter().enumerate() {
        fs::write(folder.join(format!("{number:05}")), input)?;
    }
    Ok(inputs.len())
}

/// All files of a folder in one, in order of their bytes, and how many there are.
pub fn pack(folder: &Path) -> Result<(Vec<u8>, usize)> {
    let mut inputs = Vec::new();
    for file in files::entries(folder)? {
        inputs.push(files::read(&file)?);
    }
    inputs.sort_unstable();
    Ok((join(&inputs)?, inputs.len()))
}

/// The inputs that these bytes hold.
fn split(mut bytes: &[u8]) -> Result<Vec<&[u8]>> {
    let mut inputs = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>().context("half a length at the end")?;
        let len = usize::from(u16::from_le_bytes(*len));
        if rest.len() < len {
            bail!("an input of {len} bytes is cut off");
        }
        let (input, rest) = rest.split_at(len);
        inputs.push(input);
        bytes = rest;
    }
    Ok(inputs)
}

/// The bytes that hold these inputs.
fn join(inputs: &[Vec<u8>]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for input in inputs {
        bytes.extend_from_slice(&u16::try_from(input.len()).context("an input is too long")?.to_le_bytes());
        bytes.extend_from_slice(input);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corpus_comes_back_as_it_went_in() {
        let inputs = [vec![], vec![1; 512], vec![7]];
        let bytes = join(&inputs).expect("short inputs");
        assert_eq!(split(&bytes).expect("whole"), inputs.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(split(&bytes[..bytes.len() - 1]).is_err());
        assert!(split(&bytes[..3]).is_err());
    }
}
