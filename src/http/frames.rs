//! Where HTTP/2 frames begin and end in the bytes of a connection (RFC 9113 section 4.1): nothing of them is read but their head.
//!
//! Needed for what h2 does not do: a timer for a client that begins a frame, or a header block, and does not end it; and a count of
//! frames that are no request.

const HEADER_BYTES: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// A frame of a body that carries less and is not the last costs more than it brings.
const CRUMB_BYTES: usize = 64;

/// What is unfinished after the bytes so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unfinished {
    Nothing,
    /// A frame or a header block.
    Head,
    /// A frame of a body.
    Body,
}

/// What stood in the bytes that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Taken {
    /// A frame, or a header block of several, has ended among them.
    pub(crate) ended: bool,
    pub(crate) unfinished: Unfinished,
    /// How many of the bytes stand before the end of the last frame that ended; `None` where none did.
    pub(crate) whole: Option<usize>,
    /// Header blocks that began.
    pub(crate) requests: u32,
    /// Other frames that began, but those that carry a body.
    pub(crate) control: u32,
}

/// Follows the frames of one direction of a connection, from behind its preface.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    header: [u8; HEADER_BYTES],
    header_bytes: usize,
    payload_left: usize,
    in_header_block: bool,
    last_stream: u32,
}

impl Frames {
    /// Takes the next bytes.
    pub(crate) fn take(&mut self, all: &[u8]) -> Taken {
        let mut bytes = all;
        let mut taken = Taken { ended: false, unfinished: Unfinished::Nothing, whole: None, requests: 0, control: 0 };
        while !bytes.is_empty() {
            if self.header_bytes < HEADER_BYTES {
                let part = bytes.len().min(HEADER_BYTES - self.header_bytes);
                self.header[self.header_bytes..self.header_bytes + part].copy_from_slice(&bytes[..part]);
                self.header_bytes += part;
                bytes = &bytes[part..];
                if self.header_bytes == HEADER_BYTES {
                    self.begin_payload(&mut taken);
                }
            } else {
                let part = bytes.len().min(self.payload_left);
                self.payload_left -= part;
                bytes = &bytes[part..];
            }
            if self.header_bytes == HEADER_BYTES && self.payload_left == 0 {
                self.header_bytes = 0;
                taken.ended |= !self.in_header_block;
                taken.whole = Some(all.len() - bytes.len());
            }
        }
        taken.unfinished = self.unfinished();
        taken
    }

    /// The last stream that a request came on.
    pub(crate) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    fn begin_payload(&mut self, taken: &mut Taken) {
        let [a, b, c, kind, flags, stream @ ..] = self.header;
        self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        if matches!(kind, HEADERS | CONTINUATION) {
            self.in_header_block = flags & END_HEADERS == 0;
        }
        match kind {
            HEADERS => {
                taken.requests += 1;
                self.last_stream = self.last_stream.max(u32::from_be_bytes(stream) & (u32::MAX >> 1));
            }
            DATA if self.payload_left >= CRUMB_BYTES || flags & END_STREAM != 0 => {}
            _ => taken.control += 1,
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

    fn take(frames: &mut Frames, bytes: &[u8]) -> (bool, Unfinished) {
        let taken = frames.take(bytes);
        (taken.ended, taken.unfinished)
    }

    #[test]
    fn frames_that_are_no_request_are_counted() {
        const PING: u8 = 6;
        let mut frames = Frames::default();
        let bytes = [
            frame(PING, 0, 8),
            frame(HEADERS, END_HEADERS, 20),
            frame(DATA, 0, 63),
            frame(DATA, 0, 64),
            frame(DATA, END_STREAM, 0),
            frame(0xEE, 0, 0),
        ]
        .concat();
        let taken = frames.take(&bytes);
        assert_eq!((taken.control, taken.requests, taken.whole), (3, 1, Some(bytes.len())));
        assert_eq!(frames.last_stream(), 1);

        let two = [frame(PING, 0, 8), frame(PING, 0, 8)].concat();
        assert_eq!(frames.take(&two[..20]).whole, Some(17));
        assert_eq!(frames.take(&two[20..25]).whole, None);
        assert_eq!(frames.take(&two[25..]).whole, Some(9));
    }

    #[test]
    fn a_header_block_ends_with_its_last_frame() {
        let mut frames = Frames::default();
        assert_eq!(take(&mut frames, &frame(HEADERS, 0, 70_000)), (false, Unfinished::Head));
        assert_eq!(take(&mut frames, &frame(CONTINUATION, 0, 0)), (false, Unfinished::Head));
        assert_eq!(take(&mut frames, &frame(CONTINUATION, END_HEADERS, 3)), (true, Unfinished::Nothing));
        assert_eq!(take(&mut frames, &frame(DATA, 0, 5)[..12]), (false, Unfinished::Body));
    }

    proptest! {
        #[test]
        fn cuts_mean_nothing(kinds in proptest::collection::vec((0u8..10, 0usize..300), 1..20), cut in 1usize..50) {
            let bytes: Vec<u8> = kinds.iter().flat_map(|&(kind, payload)| frame(kind, END_HEADERS, payload)).collect();
            let mut frames = Frames::default();
            let mut last = (false, Unfinished::Nothing);
            for piece in bytes.chunks(cut) {
                last = take(&mut frames, piece);
            }
            prop_assert_eq!(last, (true, Unfinished::Nothing));
            prop_assert_eq!(Frames::default().take(&bytes[..bytes.len() - 1]).unfinished == Unfinished::Nothing, false);
        }
    }
}
