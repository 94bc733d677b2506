//! Base32 and base58, as multibase and DIDs use them.

/// RFC 4648 base32, lower case, without padding.
pub fn base32(bytes: &[u8]) -> String {
    let (mut out, mut held, mut bits) = (String::with_capacity(bytes.len() * 8 / 5 + 1), 0u32, 0);
    for byte in bytes {
        held = held << 8 | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            out.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(held >> bits & 31) as usize]));
        }
    }
    if bits > 0 {
        out.push(char::from(b"abcdefghijklmnopqrstuvwxyz234567"[(held << (5 - bits) & 31) as usize]));
    }
    out
}

/// Base58 in Bitcoin's alphabet.
pub fn base58(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    // Digits of the number, the least first.
    let mut digits: Vec<u8> = Vec::new();
    for byte in bytes {
        let mut carry = u32::from(*byte);
        for digit in &mut digits {
            carry += u32::from(*digit) << 8;
            *digit = (carry % 58) as u8;
            carry /= 58;
        }
        while carry > 0 {
            digits.push((carry % 58) as u8);
            carry /= 58;
        }
    }
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let zeros = std::iter::repeat_n('1', zeros);
    zeros.chain(digits.iter().rev().map(|digit| char::from(ALPHABET[usize::from(*digit)]))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Vectors of RFC 4648 and of the base58 draft.
    #[test]
    fn the_vectors_hold() {
        assert_eq!(base32(b"foobar"), "mzxw6ytboi");
        assert_eq!(base32(b"fo"), "mzxq");
        assert_eq!(base58(b"Hello World!"), "2NEpo7TZRRrLZSi2U");
        assert_eq!(base58(&[0, 0, 0x28, 0x7f, 0xb4, 0xcd]), "11233QC4");
    }
}
