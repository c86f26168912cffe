//! NumPy files: matrices of embeddings, exchanged with other tools.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use npyz::{NpyFile, Order, TypeChar, WriterBuilder};

use crate::domain::Embedding;
use crate::plain_file;

/// A matrix of finite values.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Values row by row, `[rows][columns]`.
    pub values: Vec<f32>,
    /// Number of values of a row, at least 1.
    pub columns: usize,
}

impl Matrix {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.values.len() / self.columns
    }
}

/// Reads a matrix of f32 or f64. Fails if a value is not finite.
pub fn read(path: &Path) -> Result<Matrix> {
    let name = path.display();
    let file = plain_file::open(path).with_context(|| format!("{name}: cannot open"))?;
    let bytes = file.metadata()?.len();
    let npy = NpyFile::new(BufReader::new(file)).with_context(|| format!("{name}: not a NumPy file"))?;
    let [rows, columns] = *npy.shape() else { bail!("{name}: its shape is {:?}, expected [rows, dim]", npy.shape()) };
    ensure!(
        columns > 0 && npy.order() == Order::C,
        "{name}: rows must have values and lie one after the other (C order)"
    );
    // The file must be as large as its header says; otherwise reading it would allocate too much memory.
    ensure!(rows.checked_mul(columns).is_some_and(|count| count <= bytes), "{name}: is cut off");
    let float = |size: u64| matches!(&npy.dtype(), npyz::DType::Plain(t) if t.type_char() == TypeChar::Float && t.size_field() == size);
    let failed = |error: std::io::Error| anyhow!("{name}: {error}");
    let values: Vec<f32> = match (float(4), float(8)) {
        (true, _) => npy.into_vec().map_err(failed)?,
        (_, true) => npy.into_vec::<f64>().map_err(failed)?.into_iter().map(|value| value as f32).collect(),
        _ => bail!("{name}: its values are {}, expected f32 or f64", npy.dtype().descr()),
    };
    let columns = columns as usize;
    if let Some(index) = values.iter().position(|value| !value.is_finite()) {
        bail!("{name}: row {}, column {} is {}", index / columns, index % columns, values[index]);
    }
    Ok(Matrix { values, columns })
}

/// Reads embeddings of `dim` values, at least one. Normalises them.
pub fn read_embeddings(path: &Path, dim: usize) -> Result<Vec<Embedding>> {
    let name = path.display();
    let matrix = read(path)?;
    ensure!(matrix.columns == dim, "{name}: {} values in a row, the package has {dim}", matrix.columns);
    ensure!(matrix.rows() > 0, "{name}: no rows");
    let row = |(row, values): (usize, &[f32])| {
        Embedding::normalise(values.to_vec()).with_context(|| format!("{name}: row {row}"))
    };
    matrix.values.chunks_exact(dim).enumerate().map(row).collect()
}

/// Reads a matrix with a row of `columns` values for each of the `rows` rows of a CSV.
pub fn read_for(path: &Path, csv: &Path, rows: usize, columns: usize) -> Result<Matrix> {
    let matrix = read(path)?;
    ensure!(
        matrix.columns == columns,
        "{}: {} values per row, the package has {columns}; embed with this package",
        path.display(),
        matrix.columns
    );
    ensure!(
        matrix.rows() == rows,
        "{}: {} rows, {} has {rows}; the embeddings must have a row for each, in the same order",
        path.display(),
        matrix.rows(),
        csv.display()
    );
    Ok(matrix)
}

/// Writes embeddings as f32, `[rows][dim]`.
pub fn write(path: &Path, rows: &[Embedding]) -> Result<()> {
    let write = || -> std::io::Result<()> {
        let dim = rows.first().map_or(0, |row| row.values().len());
        let mut file = BufWriter::new(File::create(path)?);
        let mut writer = npyz::WriteOptions::new()
            .default_dtype()
            .shape(&[rows.len() as u64, dim as u64])
            .writer(&mut file)
            .begin_nd()?;
        writer.extend(rows.iter().flat_map(|row| row.values().iter().copied()))?;
        writer.finish()?;
        file.flush()
    };
    write().with_context(|| format!("{}: cannot write", path.display()))
}
