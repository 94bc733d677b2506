// Record keys that sort by time: 53 bits of microseconds and 10 bits of clock id in 13 characters.

const ALPHABET = '234567abcdefghijklmnopqrstuvwxyz';

/** The TID of a moment in milliseconds since 1970; `clock` (0 to 1023) tells apart records of the same moment. */
export function tid(timeMs, clock = 0) {
  let bits = (BigInt(Math.round(timeMs * 1000)) << 10n) | BigInt(clock & 1023);
  let out = '';
  for (let i = 0; i < 13; i++) {
    out = ALPHABET[Number(bits & 31n)] + out;
    bits >>= 5n;
  }
  return out;
}
