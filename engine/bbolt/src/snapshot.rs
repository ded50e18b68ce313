//! The envelope of a snapshot: SHA-256 behind the image, in a file and in the blobs of the RPC.
//!
//! A snapshot file is a database image followed by the 32 bytes of its SHA-256. Nothing marks it but its length: images are
//! whole pages, so a length of 32 modulo 512 says that a hash is there. `Maintenance.Snapshot` sends the same bytes: the
//! image in blobs of 32 KiB, each with the number of image bytes still to come, then one blob with the hash.

use std::io::{self, Write};

use sha2::{Digest, Sha256};

use crate::read::{ReadError, Source};

/// Bytes of the hash behind the image.
pub const HASH_LEN: u64 = 32;
/// Image bytes in one message of the snapshot RPC.
pub const BLOB_LEN: usize = 32 * 1024;

/// What stands behind the image in a snapshot file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trailer {
    /// No hash: a database file copied from a data directory, or a snapshot from before etcd 3.3.
    Missing,
    /// The hash of the image.
    Valid,
    /// The hash of something else.
    Mismatch {
        /// What the file says.
        expected: [u8; 32],
        /// The hash of its image.
        found: [u8; 32],
    },
}

/// Whether a file of this length has a hash behind its image.
pub fn has_hash(file_len: u64) -> bool {
    file_len % 512 == HASH_LEN
}

/// Looks for the hash of a snapshot file and compares it with the image, reading the whole file once.
pub fn verify<S: Source>(source: &S) -> Result<Trailer, ReadError> {
    let failed = |offset, len| move |source| ReadError::Io { offset, len, source };
    let file_len = source.size().map_err(failed(0, 0))?;
    if !has_hash(file_len) {
        return Ok(Trailer::Missing);
    }
    let image_len = file_len - HASH_LEN;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut offset = 0;
    while offset < image_len {
        let len = (image_len - offset).min(buffer.len() as u64);
        let piece = &mut buffer[..len as usize];
        source.read_at(offset, piece).map_err(failed(offset, len))?;
        hasher.update(piece);
        offset += len;
    }
    let mut expected = [0; HASH_LEN as usize];
    source.read_at(image_len, &mut expected).map_err(failed(image_len, HASH_LEN))?;
    let found: [u8; 32] = hasher.finalize().into();
    Ok(if expected == found { Trailer::Valid } else { Trailer::Mismatch { expected, found } })
}

/// Writes a snapshot file: passes the image on to `out` and puts its hash behind it.
pub struct HashedWriter<W> {
    out: W,
    hasher: Sha256,
}

impl<W: Write> HashedWriter<W> {
    /// A writer in front of `out`.
    pub fn new(out: W) -> Self {
        Self { out, hasher: Sha256::new() }
    }

    /// Writes the hash of all that went through and gives the output back, flushed but not synced.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.write_all(&self.hasher.finalize())?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for HashedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = self.out.write(bytes)?;
        self.hasher.update(&bytes[..len]);
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// One message of `Maintenance.Snapshot`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// Image bytes that follow this blob. The hash does not count.
    pub remaining_bytes: u64,
    /// Image bytes, or in the last blob the hash.
    pub data: Vec<u8>,
}

/// Cuts an image of known length into the messages of `Maintenance.Snapshot` and hands each to `send`: the output for an
/// [`Emitter`](crate::Emitter) in a server.
pub struct BlobWriter<F> {
    send: F,
    /// Image bytes that are neither sent nor in `open`.
    expected: u64,
    open: Vec<u8>,
    hasher: Sha256,
}

impl<F: FnMut(Blob) -> io::Result<()>> BlobWriter<F> {
    /// A writer for an image of `image_len` bytes.
    pub fn new(image_len: u64, send: F) -> Self {
        Self { send, expected: image_len, open: Vec::new(), hasher: Sha256::new() }
    }

    /// Sends the hash. An image that is not complete is an error, and then the hash is not sent.
    pub fn finish(mut self) -> io::Result<()> {
        if self.expected > 0 {
            let missing = format!("the image ended {} bytes too early", self.expected);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, missing));
        }
        (self.send)(Blob { remaining_bytes: 0, data: self.hasher.finalize().to_vec() })
    }
}

impl<F: FnMut(Blob) -> io::Result<()>> Write for BlobWriter<F> {
    /// Takes as much as fits into the open blob, and sends it when it is full or the image complete.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = bytes.len().min(BLOB_LEN - self.open.len());
        if len as u64 > self.expected {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the image is longer than announced"));
        }
        if self.open.capacity() == 0 {
            self.open.reserve_exact(BLOB_LEN);
        }
        self.open.extend_from_slice(&bytes[..len]);
        self.expected -= len as u64;
        if len > 0 && (self.open.len() == BLOB_LEN || self.expected == 0) {
            self.hasher.update(&self.open);
            let data = std::mem::take(&mut self.open);
            (self.send)(Blob { remaining_bytes: self.expected, data })?;
        }
        Ok(len)
    }

    /// Does nothing: blobs are full but for the last.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn image(len: usize) -> Vec<u8> {
        (0..len).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn a_hashed_file_verifies_and_a_changed_one_does_not() {
        let mut writer = HashedWriter::new(Vec::new());
        writer.write_all(&image(8192)).unwrap();
        let mut file = writer.finish().unwrap();
        assert_eq!(file.len(), 8192 + 32);
        assert_eq!(verify(&file).unwrap(), Trailer::Valid);
        file[100] ^= 1;
        assert!(
            matches!(verify(&file).unwrap(), Trailer::Mismatch { expected, .. } if expected == file[8192..])
        );
        file.truncate(8192);
        assert_eq!(verify(&file).unwrap(), Trailer::Missing);
    }

    #[test]
    fn blobs_count_down_and_end_with_the_hash() {
        for len in [4096, BLOB_LEN, BLOB_LEN + 4096, 3 * BLOB_LEN] {
            let image = image(len);
            let mut blobs = Vec::new();
            let mut writer = BlobWriter::new(len as u64, |blob| {
                blobs.push(blob);
                Ok(())
            });
            for piece in image.chunks(5000) {
                writer.write_all(piece).unwrap();
            }
            writer.finish().unwrap();
            let hash = blobs.pop().unwrap();
            assert_eq!(hash, Blob { remaining_bytes: 0, data: Sha256::digest(&image).to_vec() });
            let mut sent = 0;
            for blob in &blobs {
                sent += blob.data.len();
                assert_eq!(blob.remaining_bytes, (len - sent) as u64);
            }
            assert_eq!(blobs.len(), len.div_ceil(BLOB_LEN));
            assert_eq!(blobs.into_iter().flat_map(|blob| blob.data).collect::<Vec<_>>(), image);
        }
    }

    #[test]
    fn an_image_of_another_length_is_refused() {
        let mut short = BlobWriter::new(100, |_| Ok(()));
        short.write_all(&[0; 99]).unwrap();
        assert!(short.finish().is_err());
        let mut long = BlobWriter::new(100, |_| Ok(()));
        assert!(long.write_all(&[0; 101]).is_err());
    }
}
