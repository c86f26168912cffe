//! Large answers, sent piece by piece.

use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::web::pools::{Kind, Who};
use crate::web::state::ApiState;

const PIECE_BYTES: usize = 64 << 10;
/// Maximum number of pieces that wait for a slow reader.
const PIECES_MAX: usize = 2;

/// Streams the rest of a file. Each piece is read on a thread of the pool for `kind`, so a slow client holds no thread
/// between pieces.
pub fn of_file(site: Arc<ApiState>, kind: Kind, who: Who, file: File) -> ReceiverStream<io::Result<Vec<u8>>> {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    tokio::spawn(async move {
        let mut file = Some(file);
        while let Some(mut open) = file.take() {
            let read = move |_: &_| {
                let mut piece = Vec::new();
                let read = open.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece);
                Ok((read.map(|_| piece), open))
            };
            let read = tokio::select! {
                read = site.pools.run(kind, who.clone(), read) => read,
                () = sender.closed() => break,
            };
            let (piece, open) = match read {
                Ok(read) => read,
                Err(problem) => {
                    let _ = sender.send(Err(io::Error::other(problem.detail))).await;
                    break;
                }
            };
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
