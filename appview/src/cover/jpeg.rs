//! What a JPEG makes its reader hold: told by its headers, before anything is decoded.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

/// Headers looked through: more than any picture has.
const SEGMENTS_MAX: usize = 1000;

/// The frame header: how the picture is made up.
struct Frame {
    is_progressive: bool,
    components: usize,
    coefficients: u64,
}

/// Bytes of the coefficients that are held until the last scan, two for each; none where the picture is read block by block,
/// or is no JPEG. A header that cannot be read is left to the decoder to refuse.
pub(super) fn held_bytes(file: &mut (impl BufRead + Seek)) -> io::Result<Option<u64>> {
    match scan(file) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        found => found,
    }
}

fn scan(file: &mut (impl BufRead + Seek)) -> io::Result<Option<u64>> {
    let mut frame = None;
    if read::<2>(file)? != [0xff, 0xd8] {
        return Ok(None);
    }
    for _ in 0..SEGMENTS_MAX {
        // Between segments there may be fill bytes, and, of careless writers, anything.
        let mut marker = 0xff;
        while marker == 0xff || marker == 0 {
            file.skip_until(0xff)?;
            marker = read::<1>(file)?[0];
            while marker == 0xff {
                marker = read::<1>(file)?[0];
            }
        }
        if matches!(marker, 0x01 | 0xd0..=0xd8) {
            continue;
        }
        let length = u16::from_be_bytes(read::<2>(file)?).saturating_sub(2);
        match marker {
            // SOFn; the three others between them are tables.
            0xc0..=0xcf if ![0xc4, 0xc8, 0xcc].contains(&marker) => {
                let mut header = vec![0; length.into()];
                file.read_exact(&mut header)?;
                frame = frame_of(marker, &header);
            }
            // SOS: of fewer components than there are, when each has scans of its own.
            0xda => {
                let in_scan = usize::from(read::<1>(file)?[0]);
                let held = frame.filter(|frame: &Frame| frame.is_progressive || in_scan < frame.components);
                return Ok(held.map(|frame| frame.coefficients.saturating_mul(2)));
            }
            0xd9 => return Ok(None),
            _ => drop(file.seek(SeekFrom::Current(length.into()))?),
        }
    }
    Ok(None)
}

/// ITU-T T.81, B.2.2.
fn frame_of(marker: u8, header: &[u8]) -> Option<Frame> {
    let side = |at: usize| Some(u64::from(u16::from_be_bytes([*header.get(at)?, *header.get(at + 1)?])));
    let (height, width) = (side(1)?, side(3)?);
    let components = usize::from(*header.get(5)?);
    let sampling = header.get(6..6 + 3 * components)?.chunks_exact(3);
    let factors: Vec<(u64, u64)> =
        sampling.map(|component| ((component[1] >> 4).into(), (component[1] & 15).into())).collect();
    let horizontal_max = factors.iter().map(|factor| factor.0).max()?.max(1);
    let vertical_max = factors.iter().map(|factor| factor.1).max()?.max(1);
    // Whole units: the largest blocks, 8 by 8 of the coarsest component.
    let units = width.div_ceil(8 * horizontal_max) * height.div_ceil(8 * vertical_max);
    let blocks: u64 = factors.iter().map(|(horizontal, vertical)| horizontal * vertical).sum();
    let is_progressive = matches!(marker, 0xc2 | 0xc6 | 0xca | 0xce);
    Some(Frame { is_progressive, components, coefficients: units * blocks * 64 })
}

fn read<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A JPEG's headers: a frame of this kind with these sampling factors, and a first scan of so many components.
    fn jpeg(frame: u8, sampling: &[u8], in_scan: u8) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe0, 0, 6, 0xff, 0xc2, 0, 0, 0xff, 0xff, frame];
        bytes.extend_from_slice(&[0, 8 + 3 * sampling.len() as u8, 8, 0x03, 0xe8, 0x07, 0xd0]);
        bytes.push(sampling.len() as u8);
        bytes.extend(sampling.iter().enumerate().flat_map(|(id, sampling)| [id as u8, *sampling, 0]));
        bytes.extend_from_slice(&[0xff, 0xda, 0, 12, in_scan]);
        bytes
    }

    fn held(bytes: Vec<u8>) -> Option<u64> {
        held_bytes(&mut Cursor::new(bytes)).expect("read")
    }

    #[test]
    fn coefficients_are_held_where_scans_build_on_each_other() {
        assert_eq!(held(jpeg(0xc0, &[0x11, 0x11, 0x11], 3)), None);
        assert_eq!(held(jpeg(0xc2, &[0x11, 0x11, 0x11], 3)), Some(2 * 3 * 2_000_000));
        // A scan each.
        assert_eq!(held(jpeg(0xc0, &[0x11, 0x11, 0x11], 1)), Some(2 * 3 * 2_000_000));
        // Half as much colour each way, in units of 16 by 16.
        assert_eq!(held(jpeg(0xc2, &[0x22, 0x11, 0x11], 3)), Some(2 * 6 * 64 * 125 * 63));
        assert_eq!(held(jpeg(0xc0, &[0x11], 1)), None);
        for bytes in [&b""[..], b"\xff", b"\xff\xd8", b"\xff\xd8\xff\xd9", b"\x89PNG\r\n\x1a\n\0\0"] {
            assert_eq!(held(bytes.to_vec()), None);
        }
        let whole = jpeg(0xc2, &[0x11, 0x11, 0x11], 3);
        assert_eq!(held(whole[..whole.len() - 4].to_vec()), None);
    }
}
