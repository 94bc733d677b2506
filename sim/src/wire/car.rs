//! CAR files, version 1.

use super::Cid;
use super::value::{Value, head};

/// A CAR file of blocks in the order given.
pub fn car<B: AsRef<[u8]>>(root: &Cid, blocks: &[(Cid, B)]) -> Vec<u8> {
    let header = Value::map([("version", Value::Int(1)), ("roots", Value::List(vec![Value::Link(*root)]))]);
    let mut out =
        Vec::with_capacity(64 + blocks.iter().map(|(_, block)| block.as_ref().len() + 40).sum::<usize>());
    let header = header.encode();
    length(&mut out, header.len());
    out.extend(header);
    for (cid, block) in blocks {
        length(&mut out, 36 + block.as_ref().len());
        out.extend_from_slice(&cid.to_bytes());
        out.extend_from_slice(block.as_ref());
    }
    out
}

/// An unsigned LEB128.
fn length(out: &mut Vec<u8>, mut len: usize) {
    while len > 0x7f {
        out.push(len as u8 | 0x80);
        len >>= 7;
    }
    out.push(len as u8);
}

/// A CAR file as a byte string of CBOR, without its last bytes.
pub(super) fn car_bytes<B: AsRef<[u8]>>(out: &mut Vec<u8>, root: &Cid, blocks: &[(Cid, B)], cut: usize) {
    let mut car = car(root, blocks);
    car.truncate(car.len().saturating_sub(cut));
    head(out, 2, car.len() as u64);
    out.extend(car);
}
