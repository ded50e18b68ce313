//! Counting gRPC messages in a stream of bytes.
//!
//! Each message has five bytes before it: a flag, and its length (gRPC over HTTP/2, "Length-Prefixed-Message"). The counter
//! follows these through chunks cut anywhere, so that metrics need neither a decoder nor a copy.

/// Follows one direction of one call.
#[derive(Debug, Default)]
pub(super) struct MessageCounter {
    prefix: [u8; 5],
    have: usize,
    left: u64,
}

/// What a chunk completed and carried.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    /// Messages that ended in the chunk.
    pub(super) messages: u64,
    /// Bytes of messages in the chunk, prefixes not counted.
    pub(super) bytes: u64,
}

impl MessageCounter {
    /// Takes the next chunk.
    pub(super) fn take(&mut self, mut chunk: &[u8]) -> Counted {
        let mut counted = Counted::default();
        while !chunk.is_empty() {
            if self.left > 0 {
                let taken = usize::try_from(self.left).unwrap_or(usize::MAX).min(chunk.len());
                self.left -= taken as u64;
                counted.bytes += taken as u64;
                counted.messages += u64::from(self.left == 0);
                chunk = &chunk[taken..];
                continue;
            }
            self.prefix[self.have] = chunk[0];
            self.have += 1;
            chunk = &chunk[1..];
            if self.have == self.prefix.len() {
                let [_, a, b, c, d] = self.prefix;
                self.left = u64::from(u32::from_be_bytes([a, b, c, d]));
                self.have = 0;
                counted.messages += u64::from(self.left == 0);
            }
        }
        counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_however_the_chunks_are_cut() {
        let mut stream = Vec::new();
        for length in [0u32, 1, 300, 0, 70_000] {
            stream.push(0);
            stream.extend_from_slice(&length.to_be_bytes());
            stream.resize(stream.len() + length as usize, 7);
        }
        for cut in [1, 2, 3, 5, 6, 11, 1000, stream.len()] {
            let mut counter = MessageCounter::default();
            let mut total = Counted::default();
            for chunk in stream.chunks(cut) {
                let counted = counter.take(chunk);
                total.messages += counted.messages;
                total.bytes += counted.bytes;
            }
            assert_eq!(total, Counted { messages: 5, bytes: 70_301 }, "cut at {cut}");
        }
    }
}
