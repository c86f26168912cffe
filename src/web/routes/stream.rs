//! Large answers, piece by piece.

use std::fs::File;
use std::io::{self, Read};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

const PIECE_BYTES: usize = 64 << 10;
/// Pieces that wait for a slow reader.
const PIECES_MAX: usize = 2;

/// The rest of a file. No thread waits for the reader: one is taken for each piece.
pub fn of_file(file: File) -> ReceiverStream<io::Result<Vec<u8>>> {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        let mut file = Some(file);
        while let Some(mut open) = file.take() {
            let read = tokio::task::spawn_blocking(move || {
                let mut piece = Vec::new();
                let read = open.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
                (read.map(|_| piece), open)
            });
            let Ok((piece, open)) = read.await else { break };
            let is_end = piece.as_ref().map_or(true, Vec::is_empty);
            if (!is_end || piece.is_err()) && sender.send(piece).await.is_err() {
                break;
            }
            if !is_end {
                file = Some(open);
            }
        }
    });
    ReceiverStream::new(pieces)
}
