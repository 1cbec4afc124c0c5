//! Where WebSocket frames begin and end (RFC 6455, section 5.2), without looking at what they say.

/// Follows the frames of one direction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frames {
    place: Place,
}

#[derive(Debug, Clone, Copy)]
enum Place {
    /// Inside a head, of which these bytes are there.
    Head { bytes: [u8; 10], have: u8 },
    /// This much of masking key and payload is still to come.
    Payload { left: u64 },
}

const BETWEEN: Place = Place::Head { bytes: [0; 10], have: 0 };

impl Frames {
    /// At the beginning, which is between frames.
    pub(super) const fn new() -> Self {
        Self { place: BETWEEN }
    }

    /// Whether the last byte seen was the end of a frame.
    pub(super) const fn is_between(&self) -> bool {
        matches!(self.place, Place::Head { have: 0, .. })
    }

    /// Goes on over these bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            match &mut self.place {
                Place::Payload { left } => {
                    let available = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                    let step = available.min(*left);
                    *left -= step;
                    if *left == 0 {
                        self.place = BETWEEN;
                    }
                    bytes = usize::try_from(step).ok().and_then(|step| bytes.get(step..)).unwrap_or_default();
                }
                Place::Head { bytes: head, have } => {
                    if let Some(slot) = head.get_mut(usize::from(*have)) {
                        *slot = *first;
                    }
                    *have += 1;
                    bytes = rest;
                    if let Some(left) = payload_after(head, *have) {
                        self.place = if left == 0 { BETWEEN } else { Place::Payload { left } };
                    }
                }
            }
        }
    }
}

/// Masking key and payload that follow a head, once the head is whole.
fn payload_after(head: &[u8; 10], have: u8) -> Option<u64> {
    let [_, second, a, b, c, d, e, f, g, h] = *head;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let payload = match (second & 0x7f, have) {
        (126, 4..) => u64::from(u16::from_be_bytes([a, b])),
        (127, 10..) => u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        (length @ 0..=125, 2..) => u64::from(length),
        _ => return None,
    };
    Some(payload.saturating_add(mask))
}

/// A close frame from server to client.
pub(super) fn close(code: u16, reason: &str) -> Vec<u8> {
    let reason = reason.as_bytes().get(..reason.len().min(100)).unwrap_or_default();
    let mut frame = vec![0x88, u8::try_from(reason.len() + 2).unwrap_or(2)];
    frame.extend_from_slice(&code.to_be_bytes());
    frame.extend_from_slice(reason);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..=125 => frame.push(mask_bit | length as u8),
            126..=65535 => {
                frame.push(mask_bit | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask_bit | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if masked {
            frame.extend([1, 2, 3, 4]);
        }
        frame.extend(std::iter::repeat_n(0x81, length));
        frame
    }

    #[test]
    fn only_the_end_of_a_frame_is_between_frames() {
        for length in [0, 1, 125, 126, 127, 65535, 65536] {
            for masked in [false, true] {
                let frame = frame(length, masked);
                let mut frames = Frames::new();
                for (at, byte) in frame.iter().enumerate() {
                    frames.pass(&[*byte]);
                    assert_eq!(frames.is_between(), at + 1 == frame.len(), "byte {at} of a frame of {length}");
                }
            }
        }
    }

    #[test]
    fn pieces_of_any_size_give_the_same_answer() {
        let mut stream = Vec::new();
        let mut ends = Vec::new();
        for length in [0, 5, 200, 70_000, 125, 126, 0] {
            stream.extend(frame(length, false));
            ends.push(stream.len());
        }
        for size in [1, 2, 3, 7, 64, 1000, 65_536, stream.len()] {
            let (mut frames, mut at) = (Frames::new(), 0);
            for piece in stream.chunks(size) {
                frames.pass(piece);
                at += piece.len();
                assert_eq!(frames.is_between(), ends.contains(&at), "at {at} in pieces of {size}");
            }
        }
    }

    #[test]
    fn a_close_frame_is_one_whole_frame() {
        let close = close(1008, "access ended");
        let mut frames = Frames::new();
        frames.pass(&close);
        assert!(frames.is_between());
        assert_eq!(&close[..4], [0x88, 14, 0x03, 0xf0]);
    }
}
