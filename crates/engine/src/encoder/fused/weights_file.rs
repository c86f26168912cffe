//! The weights file next to a graph, read in pieces.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use tract_onnx::tract_hir::internal::*;

use bridgeclip_package::is_plain;

/// An open weights file.
#[derive(Debug)]
pub struct WeightsFile {
    file: File,
    len: u64,
}

impl WeightsFile {
    /// Opens `name`, a plain file name, in the graph's folder `dir`.
    pub fn open(dir: &Path, name: &str) -> TractResult<Self> {
        ensure!(is_plain(name), "`{name}` is no plain file name");
        let path = dir.join(name);
        let file = File::open(&path).with_context(|| format!("{}: cannot open", path.display()))?;
        let len = file.metadata()?.len();
        Ok(WeightsFile { file, len })
    }

    /// Fails unless the file has `count` values of `bytes` bytes each from `place` on. To be called before memory is
    /// allocated for them.
    pub fn check(&self, place: u64, count: usize, bytes: usize) -> TractResult<()> {
        let end = count.checked_mul(bytes).and_then(|bytes| place.checked_add(bytes as u64));
        ensure!(
            end.is_some_and(|end| end <= self.len),
            "{count} values of {bytes} bytes at {place} lie beyond the end of the weights file ({} bytes)",
            self.len
        );
        Ok(())
    }

    /// Reads `count` f32 values. Fails if one is NaN or infinite.
    pub fn floats(&self, place: u64, count: usize) -> TractResult<Vec<f32>> {
        self.check(place, count, size_of::<f32>())?;
        let mut bytes = vec![0; count * size_of::<f32>()];
        self.file.read_exact_at(&mut bytes, place)?;
        let values: Vec<f32> = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            bail!("value {index} of {count} at {place} is {}, which no weight may be", values[index]);
        }
        Ok(values)
    }

    /// Reads `count` scales of int8 values. Fails if one is negative, NaN or infinite.
    pub fn scales(&self, place: u64, count: usize) -> TractResult<Vec<f32>> {
        let scales = self.floats(place, count)?;
        if let Some(index) = scales.iter().position(|scale| *scale < 0.0) {
            bail!("scale {index} of {count} at {place} is {}, below 0", scales[index]);
        }
        Ok(scales)
    }

    /// Fills `values` with bytes of the file from `place` on.
    pub fn read_int8(&self, place: u64, values: &mut [i8]) -> io::Result<()> {
        const PIECE: usize = 1 << 16;
        let mut buffer = [0; PIECE];
        for (index, values) in values.chunks_mut(PIECE).enumerate() {
            let bytes = &mut buffer[..values.len()];
            self.file.read_exact_at(bytes, place + (index * PIECE) as u64)?;
            values.iter_mut().zip(bytes).for_each(|(value, byte)| *value = byte.cast_signed());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(bytes: &[u8]) -> (tempfile::TempDir, WeightsFile) {
        let dir = tempfile::tempdir().expect("temporary folder");
        std::fs::write(dir.path().join("w"), bytes).expect("write");
        let file = WeightsFile::open(dir.path(), "w").expect("opens");
        (dir, file)
    }

    #[test]
    fn values_are_read_from_their_place() {
        let bytes: Vec<u8> = [1.5f32, -2.0, 3.25].iter().flat_map(|value| value.to_le_bytes()).collect();
        let (_dir, file) = file(&bytes);
        assert_eq!(file.floats(4, 2).expect("reads"), [-2.0, 3.25]);
        let mut int8 = [0; 3];
        file.read_int8(1, &mut int8).expect("reads");
        assert_eq!(int8.map(i8::cast_unsigned), bytes[1..4]);
    }

    #[test]
    fn what_lies_beyond_the_end_is_refused_before_anything_is_allocated() {
        let (_dir, file) = file(&[0; 12]);
        for (place, count) in [(0, 4), (9, 1), (13, 0), (0, usize::MAX / 2), (u64::MAX, 1), (0, usize::MAX)] {
            let message = file.floats(place, count).expect_err("refused").to_string();
            assert!(message.contains("beyond the end"), "{message}");
        }
    }

    #[test]
    fn values_that_no_weight_may_have_are_refused() {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let (_dir, file) = file(&[1f32.to_le_bytes(), bad.to_le_bytes()].concat());
            assert!(file.floats(0, 2).expect_err("refused").to_string().contains("value 1"));
        }
        let (_dir, file) = file(&(-1f32).to_le_bytes());
        assert!(file.scales(0, 1).is_err());
    }

    #[test]
    fn a_name_cannot_lead_out_of_the_folder() {
        let dir = tempfile::tempdir().expect("temporary folder");
        for name in ["../w", "/etc/passwd", ".w", ""] {
            assert!(WeightsFile::open(dir.path(), name).expect_err("refused").to_string().contains("plain file name"));
        }
    }
}
