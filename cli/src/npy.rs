//! Matrices as NumPy `.npy` files: int8 in, int32 out.

use crate::error::{CliError, Result};
use std::{fs, io::Write, path::Path};

/// Most bytes of an input file: what the largest job takes.
const MAX_BYTES: u64 = 4 << 30;

/// A matrix, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matrix<T> {
    /// Rows.
    pub rows: u32,
    /// Columns.
    pub columns: u32,
    /// Elements, row by row.
    pub data: Vec<T>,
}

impl<T: Copy> Matrix<T> {
    /// Element (i, j), if there is one.
    pub fn get(&self, row: u32, column: u32) -> Option<T> {
        if column >= self.columns {
            return None;
        }
        let at = u64::from(row).checked_mul(u64::from(self.columns))?.checked_add(u64::from(column))?;
        self.data.get(usize::try_from(at).ok()?).copied()
    }

    /// Columns as rows.
    pub fn transposed(&self) -> Self {
        let data = (0..self.columns).flat_map(|j| (0..self.rows).filter_map(move |i| self.get(i, j))).collect();
        Self { rows: self.columns, columns: self.rows, data }
    }

    /// `count` rows from row `first` on; none when they are not all there.
    pub fn some_rows(&self, first: u32, count: u32) -> Option<Self> {
        let width = usize::try_from(self.columns).ok()?;
        let start = usize::try_from(first).ok()?.checked_mul(width)?;
        let len = usize::try_from(count).ok()?.checked_mul(width)?;
        let data = self.data.get(start..start.checked_add(len)?)?.to_vec();
        Some(Self { rows: count, columns: self.columns, data })
    }
}

/// Reads an int8 matrix. C and Fortran order are both taken.
///
/// # Errors
/// A missing or unreadable file, another element type, other than two dimensions, or a file whose length is not what
/// its header says: exit code 3, each with its own code.
pub fn read_int8(path: &Path) -> Result<Matrix<i8>> {
    let shown = path.display();
    let size = fs::metadata(path).map_err(|e| missing(path, &e))?.len();
    if size > MAX_BYTES {
        return Err(CliError::file(
            "file-too-large",
            format!("{shown} has {size} bytes; a matrix file may have {MAX_BYTES} at most. Nothing was sent or paid."),
        ));
    }
    let bytes = fs::read(path).map_err(|e| missing(path, &e))?;
    let mut rest = bytes.as_slice();
    let header = npyz::NpyHeader::from_reader(&mut rest).map_err(|e| {
        CliError::file(
            "not-npy",
            format!("{shown} is not a NumPy .npy file: {e}. Nothing was sent or paid. Write it with numpy.save."),
        )
    })?;
    let dtype = header.dtype();
    let is_int8 =
        matches!(&dtype, npyz::DType::Plain(t) if t.type_char() == npyz::TypeChar::Int && t.size_field() == 1);
    if !is_int8 {
        let text = format!(
            "{shown} holds elements of type {}; this kernel takes int8 (\"|i1\"). Nothing was sent or paid. Convert it with array.astype(numpy.int8).",
            dtype.descr()
        );
        return Err(CliError::file("wrong-dtype", text));
    }
    let shape_error = || {
        let text = format!(
            "{shown} has shape {:?}; a matrix has two dimensions, each from 1 to {}. Nothing was sent or paid.",
            header.shape(),
            u32::MAX
        );
        CliError::file("wrong-shape", text)
    };
    let [rows, columns] = header.shape() else { return Err(shape_error()) };
    let (Ok(rows), Ok(columns)) = (u32::try_from(*rows), u32::try_from(*columns)) else { return Err(shape_error()) };
    if rows == 0 || columns == 0 {
        return Err(shape_error());
    }
    let expected = u64::from(rows).saturating_mul(u64::from(columns));
    if rest.len() as u64 != expected {
        let text = format!(
            "{shown} should hold {expected} elements and holds {}: it is damaged. Nothing was sent or paid.",
            rest.len()
        );
        return Err(CliError::file("file-damaged", text));
    }
    let data: Vec<i8> = rest.iter().map(|byte| byte.cast_signed()).collect();
    Ok(match header.order() {
        npyz::Order::C => Matrix { rows, columns, data },
        // Column by column is the transposed matrix row by row.
        npyz::Order::Fortran => Matrix { rows: columns, columns: rows, data }.transposed(),
    })
}

/// The error of a file that can't be read.
pub(crate) fn missing(path: &Path, error: &std::io::Error) -> CliError {
    let code = if error.kind() == std::io::ErrorKind::NotFound { "file-not-found" } else { "file-unreadable" };
    CliError::file(
        code,
        format!("{} can't be read: {error}. Nothing was sent or paid. Check the path.", path.display()),
    )
}

/// Bytes that are the elements of an array in C order, little-endian, as an `.npy` file. `descr` is NumPy's name of the
/// element type ("|i1", "<i4").
///
/// # Errors
/// More dimensions than a header has room for.
pub fn encode(descr: &str, shape: &[u64], elements: &[u8]) -> Result<Vec<u8>> {
    // Version 1.0: magic, version, length of the header, the header padded so that the data begin at a multiple of 64.
    const PREFIX: usize = 10;
    let sides = shape.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    // A tuple of one has a comma behind it.
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({sides}{comma}), }}");
    while !header.len().saturating_add(PREFIX).saturating_add(1).is_multiple_of(64) {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(|_| CliError::internal("the .npy header is too long"))?;
    let mut bytes = Vec::with_capacity(elements.len().saturating_add(128));
    bytes.extend_from_slice(b"\x93NUMPY\x01\x00");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(elements);
    Ok(bytes)
}

/// Writes bytes that are the elements of a matrix as an `.npy` file; see [`encode`].
///
/// # Errors
/// A file that can't be written.
pub fn write(path: &Path, descr: &str, rows: u32, columns: u32, elements: &[u8]) -> Result<()> {
    write_file(path, &encode(descr, &[rows.into(), columns.into()], elements)?)
}

/// Writes a whole file: beside it first, then renamed, so that nobody sees half of it.
///
/// # Errors
/// A file that can't be written.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let write = || -> std::io::Result<()> {
        let mut file = fs::File::create(&part)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&part, path)
    };
    write().map_err(|e| CliError::io(&doing(), &e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.npy");
        let data: Vec<i8> = (-6..6).collect();
        let bytes: Vec<u8> = data.iter().map(|x| x.cast_unsigned()).collect();
        write(&path, "|i1", 3, 4, &bytes).unwrap();
        assert_eq!(fs::read(&path).unwrap().len() % 64, 12, "the data begin at a multiple of 64");
        assert_eq!(read_int8(&path).unwrap(), Matrix { rows: 3, columns: 4, data });
    }

    #[test]
    fn arrays_of_any_shape_are_numpys() {
        for shape in [&[][..], &[5], &[2, 3], &[4, 1, 2]] {
            let count = shape.iter().product::<u64>();
            let elements: Vec<u8> = (0..count as u16).flat_map(u16::to_le_bytes).collect();
            let bytes = encode("<u2", shape, &elements).unwrap();
            let array = npyz::NpyFile::new(bytes.as_slice()).unwrap();
            assert_eq!(array.shape(), shape);
            assert_eq!(array.into_vec::<u16>().unwrap(), (0..count as u16).collect::<Vec<_>>());
        }
    }

    #[test]
    fn fortran_order_is_turned() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f.npy");
        write(&path, "|i1", 2, 3, &[1, 4, 2, 5, 3, 6]).unwrap();
        let text = fs::read(&path).unwrap();
        // Same length, so the header stays padded.
        let turned = String::from_utf8_lossy(&text[10..]).replace("False, ", "True,  ");
        fs::write(&path, [&text[..10], turned.as_bytes()].concat()).unwrap();
        assert_eq!(read_int8(&path).unwrap(), Matrix { rows: 2, columns: 3, data: vec![1, 2, 3, 4, 5, 6] });
    }

    #[test]
    fn every_fault_has_its_code() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.npy");
        let code = |path: &Path| {
            let error = read_int8(path).unwrap_err();
            assert_eq!(error.exit as u8, 3);
            assert!(error.message.contains("Nothing was sent or paid"), "{error}");
            error.code
        };
        assert_eq!(code(&path), "file-not-found");
        fs::write(&path, b"not an array").unwrap();
        assert_eq!(code(&path), "not-npy");
        write(&path, "<f4", 1, 1, &[0; 4]).unwrap();
        assert_eq!(code(&path), "wrong-dtype");
        write(&path, "|u1", 1, 1, &[0]).unwrap();
        assert_eq!(code(&path), "wrong-dtype");
        write(&path, "|i1", 0, 1, &[]).unwrap();
        assert_eq!(code(&path), "wrong-shape");
        write(&path, "|i1", 2, 2, &[0; 3]).unwrap();
        assert_eq!(code(&path), "file-damaged");
        // A header that promises more than memory holds.
        write(&path, "|i1", u32::MAX, u32::MAX, &[0; 3]).unwrap();
        assert_eq!(code(&path), "file-damaged");
        let three = fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&three[10..]).replace("4294967295, 4294967295", "1, 1, 1               ");
        fs::write(&path, [&three[..10], text.as_bytes()].concat()).unwrap();
        assert_eq!(code(&path), "wrong-shape");
    }

    #[test]
    fn rows_and_transposition() {
        let m = Matrix { rows: 2, columns: 3, data: vec![1, 2, 3, 4, 5, 6] };
        assert_eq!(m.transposed().data, [1, 4, 2, 5, 3, 6]);
        assert_eq!(m.some_rows(1, 1).unwrap().data, [4, 5, 6]);
        assert!(m.some_rows(1, 2).is_none());
        assert_eq!(m.get(0, 3), None);
    }
}
