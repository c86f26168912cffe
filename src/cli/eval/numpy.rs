//! Embeddings from a NumPy file.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use npyz::NpyFile;

use crate::domain::Embedding;
use crate::reference::Row;

/// Reads one embedding for each row of the CSV: float32 [rows, `dim`]; any width if `dim` is `None`. Values that are
/// not finite and rows of zeros are refused. Rows are brought to unit length.
pub fn read(path: &Path, rows: &[Row], dim: Option<usize>) -> Result<Vec<Embedding>> {
    read_named(path, rows, dim).with_context(|| path.display().to_string())
}

fn read_named(path: &Path, rows: &[Row], dim: Option<usize>) -> Result<Vec<Embedding>> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    let array = NpyFile::new(BufReader::new(file)).context("not a NumPy file (.npy)")?;
    let width = check_layout(&array, rows.len(), dim)?;
    // Before memory is asked for.
    let needed = rows.len() as u64 * width as u64 * size_of::<f32>() as u64;
    ensure!(bytes >= needed, "the file is cut off: {bytes} bytes, its values alone need {needed}; copy it again");
    let values = array.into_vec::<f32>()?;
    let embedding = |(index, (row, values)): (usize, (&Row, &[f32]))| {
        Embedding::normalise(values.to_vec())
            .with_context(|| format!("row {index}, counted from 0 (line {} of the CSV)", row.line))
    };
    rows.iter().zip(values.chunks(width)).enumerate().map(embedding).collect()
}

/// The width of the rows.
fn check_layout(array: &NpyFile<impl std::io::Read>, rows: usize, dim: Option<usize>) -> Result<usize> {
    let dtype = array.dtype().descr();
    ensure!(dtype == "'<f4'", "the values are of type {dtype}, expected '<f4'; save them with .astype(\"float32\")");
    let &[found_rows, width] = array.shape() else {
        bail!("shape {:?}, expected two axes: [rows, values]", array.shape());
    };
    ensure!(
        found_rows == rows as u64,
        "{found_rows} rows of embeddings, {rows} rows in the CSV; both must come from the same list of photos"
    );
    let expected = dim.map_or(width, |dim| dim as u64);
    ensure!(width == expected, "{width} values in a row, the package has {expected}; embed with this package");
    ensure!(width > 0, "the rows are empty");
    let columns_first = array.order() == npyz::Order::Fortran;
    ensure!(!columns_first, "values are stored column by column; save numpy.ascontiguousarray of them");
    Ok(usize::try_from(width)?)
}
