//! What a whole result becomes as a file: the kernel says what is in it, here it is written.

use crate::{
    error::{CliError, Exit, Result},
    npy, picture,
};
use assay_kernels::{
    abi::VerifierError,
    handling::{Format, Part},
    registry::AnyKernel,
};
use std::path::Path;

/// Name of the part that is all bytes as they were committed, whatever the kernel.
const RAW: &str = "raw";

/// A job's kernel and params.
#[derive(Clone, Copy, Debug)]
pub struct Made<'a> {
    /// Kernel.
    pub kernel: AnyKernel,
    /// Params.
    pub params: &'a [u8],
}

impl<'a> Made<'a> {
    /// Of a job with this kernel and these params.
    ///
    /// # Errors
    /// A kernel that this version does not know.
    pub fn new(kernel: u16, params: &'a [u8]) -> Result<Self> {
        let kernel = AnyKernel::from_id(kernel).map_err(|_| {
            CliError::new(
                Exit::Other,
                "unknown-kernel",
                "this version does not know the job's kernel. Nothing was written. Use a newer version",
            )
        })?;
        Ok(Self { kernel, params })
    }

    /// The part of this name, or what most want.
    ///
    /// # Errors
    /// A part that results of this kernel don't have.
    pub fn part(&self, name: Option<&str>) -> Result<Part> {
        if name == Some(RAW) {
            return Ok(Part::new(RAW, Format::Raw));
        }
        let broken = |error| CliError::internal(format!("the job's parameters: {}", VerifierError::from(error).text()));
        let mut parts = self.kernel.handling().parts(self.params).map_err(broken)?;
        let at = match name {
            None => 0,
            Some(name) => parts.iter().position(|part| part.name == name).ok_or_else(|| {
                let names: Vec<&str> = parts.iter().map(|part| part.name.as_ref()).chain([RAW]).collect();
                let known = names.join(", ");
                CliError::usage(format!("the result of this job has no part {name}, but {known}. Nothing was written"))
            })?,
        };
        if at < parts.len() {
            return Ok(parts.swap_remove(at));
        }
        Err(CliError::internal("a kernel whose results have no parts"))
    }

    /// A part of a whole result as the content of a file.
    ///
    /// # Errors
    /// Bytes that are not a whole result of these params.
    pub fn encode(&self, part: &Part, result: &[u8]) -> Result<Vec<u8>> {
        if part.name == RAW {
            return Ok(result.to_vec());
        }
        let content = self.kernel.handling().content(self.params, &part.name, result);
        let content = content.ok_or_else(|| CliError::internal("these bytes are not a whole result of the job"))?;
        match &part.format {
            Format::Picture { width, height, palette } => picture::png(*width, *height, palette, &content),
            Format::Array { dtype, shape } => npy::encode(dtype, shape, &content),
            Format::Raw => Ok(content.into_owned()),
        }
    }
}

/// The file's ending says what the caller expects; a surprise should come before the download.
///
/// # Errors
/// Another ending than that of the part's format.
pub fn check_name(part: &Part, path: &Path) -> Result<()> {
    let wanted = match part.format {
        Format::Picture { .. } => "png",
        Format::Array { .. } => "npy",
        Format::Raw => "bin",
    };
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    if ending.as_deref() == Some(wanted) {
        return Ok(());
    }
    Err(CliError::usage(format!("{} is written as .{wanted}: name the file so. Nothing was written", part.name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use assay_kernels::executor::{Backend, Cpu};

    #[test]
    fn the_name_says_what_is_inside() {
        let named = |format| Part::new("it", format);
        let picture = named(Format::Picture { width: 1, height: 1, palette: Vec::new() });
        let array = named(Format::Array { dtype: "<i4", shape: vec![1] });
        assert!(check_name(&picture, Path::new("a.PNG")).is_ok());
        assert!(check_name(&array, Path::new("a.npy")).is_ok());
        assert!(check_name(&named(Format::Raw), Path::new("a.bin")).is_ok());
        assert_eq!(check_name(&array, Path::new("a.png")).unwrap_err().exit as u8, 2);
        assert_eq!(check_name(&picture, Path::new("a")).unwrap_err().exit as u8, 2);
        assert_eq!(Made::new(99, &[]).unwrap_err().code, "unknown-kernel");
    }

    #[test]
    fn every_part_of_every_kernel_becomes_a_file() {
        for kernel in AnyKernel::ALL {
            let job = kernel.handling().checks().remove(0);
            let leaves = kernel.geometry(&job.params).unwrap().leaves().unwrap();
            let result = Cpu.run(kernel.id(), &job.params, &job.inputs(), 0..leaves).unwrap();
            let made = Made::new(kernel.id(), &job.params).unwrap();
            let parts = kernel.handling().parts(&job.params).unwrap();
            assert_eq!(made.part(None).unwrap(), parts[0]);
            for part in &parts {
                let part = made.part(Some(&part.name)).unwrap();
                let file = made.encode(&part, &result).unwrap();
                match &part.format {
                    Format::Picture { .. } => assert!(file.starts_with(b"\x89PNG")),
                    Format::Array { shape, .. } => {
                        assert_eq!(npyz::NpyFile::new(file.as_slice()).unwrap().shape(), shape);
                    }
                    Format::Raw => assert_eq!(file, result),
                }
                assert_eq!(made.encode(&part, &result[1..]).unwrap_err().code, "internal");
            }
            assert_eq!(made.encode(&made.part(Some(RAW)).unwrap(), &result).unwrap(), result);
            let error = made.part(Some("nothing")).unwrap_err();
            assert!(error.exit as u8 == 2 && error.message.contains(parts[0].name.as_ref()), "{error}");
        }
    }
}
