//! TIDs: revs and record keys that sort by time.

/// The TID of a moment in microseconds since 1970, and of the clock that tells it.
pub fn tid(timestamp_us: i64, clock: u16) -> String {
    let number = (timestamp_us as u64) << 10 | u64::from(clock & 0x3ff);
    let digit = |at: u32| char::from(b"234567abcdefghijklmnopqrstuvwxyz"[(number >> (5 * at) & 31) as usize]);
    // 13 digits of five bits; the first has four, since the topmost bit is zero.
    (0..13).rev().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_sort_by_time() {
        assert_eq!(tid(0, 0), "2222222222222");
        assert_eq!(tid(1, 1), "2222222222323");
        let mut sorted: Vec<String> = [3, 1, 1_767_225_600_000_000, 2].map(|at| tid(at, 9)).into();
        sorted.sort();
        assert_eq!(sorted, [1, 2, 3, 1_767_225_600_000_000].map(|at| tid(at, 9)));
    }
}
