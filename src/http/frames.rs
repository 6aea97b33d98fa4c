//! Where HTTP/2 frames begin and end in the bytes of a connection (RFC 9113 section 4.1): nothing of them is read but their length,
//! and whether a header block goes on in the next one.
//!
//! Needed for one timer alone: a client that begins a frame, or a header block, and does not end it.

const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// What is unfinished after the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Nothing,
    /// A frame or a header block.
    Head,
    /// A frame of a body.
    Body,
}

/// Follows the frames of one direction of a connection, from behind its preface.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    in_header_block: bool,
}

impl Frames {
    /// Takes the next bytes. Whether a frame, or a header block of several, has ended among them; and what is unfinished now.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> (bool, Unfinished) {
        let mut ended = false;
        while !bytes.is_empty() {
            if self.header_bytes < HEADER_BYTES {
                let taken = bytes.len().min(HEADER_BYTES - self.header_bytes);
                self.header[self.header_bytes..self.header_bytes + taken].copy_from_slice(&bytes[..taken]);
                self.header_bytes += taken;
                bytes = &bytes[taken..];
                if self.header_bytes == HEADER_BYTES {
                    self.begin_payload();
                }
            } else {
                let taken = bytes.len().min(self.payload_left);
                self.payload_left -= taken;
                bytes = &bytes[taken..];
            }
            if self.header_bytes == HEADER_BYTES && self.payload_left == 0 {
                self.header_bytes = 0;
                ended |= !self.in_header_block;
            }
        }
        (ended, self.unfinished())
    }

    fn begin_payload(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_header_block = flags & END_HEADERS == 0;
        }
    }

    fn unfinished(&self) -> Unfinished {
        match self.header_bytes {
            0 if !self.in_header_block => Unfinished::Nothing,
            HEADER_BYTES if self.header[3] == DATA => Unfinished::Body,
            _ => Unfinished::Head,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(HEADER_BYTES + payload, 0xAA);
        frame
    }

    #[test]
    fn a_header_block_ends_with_its_last_frame() {
        let mut frames = Frames::default();
        assert_eq!(frames.take(&frame(HEADERS, 0, 70_000)), (false, Unfinished::Head));
        assert_eq!(frames.take(&frame(CONTINUATION, 0, 0)), (false, Unfinished::Head));
        assert_eq!(frames.take(&frame(CONTINUATION, END_HEADERS, 3)), (true, Unfinished::Nothing));
        assert_eq!(frames.take(&frame(DATA, 0, 5)[..12]), (false, Unfinished::Body));
    }

    proptest! {
        #[test]
        fn cuts_mean_nothing(kinds in proptest::collection::vec((0u8..10, 0usize..300), 1..20), cut in 1usize..50) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|&(kind, payload)| frame(kind, END_HEADERS, payload)).collect();
            let mut frames = Frames::default();
            let mut last = (false, Unfinished::Nothing);
            for piece in bytes.chunks(cut) {
                last = frames.take(piece);
            }
            prop_assert_eq!(last, (true, Unfinished::Nothing));
            prop_assert_eq!(Frames::default().take(&bytes[..bytes.len() - 1]).1 == Unfinished::Nothing, false);
        }
    }
}
