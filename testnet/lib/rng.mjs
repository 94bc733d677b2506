// Random choices that come out the same for the same seed text.

/** A stream of choices named by `seed`; `fork` names an independent one, so adding a choice here moves nothing there. */
export function makeRng(seed) {
  let state = hash(seed);
  const float = () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const int = (low, high) => low + Math.floor(float() * (high - low + 1));
  const pick = (list) => list[int(0, list.length - 1)];
  const shuffle = (list) => {
    const out = [...list];
    for (let i = out.length - 1; i > 0; i--) {
      const j = int(0, i);
      [out[i], out[j]] = [out[j], out[i]];
    }
    return out;
  };
  return {
    float,
    int,
    pick,
    shuffle,
    between: (low, high) => low + float() * (high - low),
    chance: (p) => float() < p,
    sample: (list, count) => shuffle(list).slice(0, count),
    fork: (name) => makeRng(`${seed}/${name}`),
  };
}

// FNV-1a over the text, then one avalanche round.
function hash(text) {
  let h = 0x811c9dc5;
  for (const byte of Buffer.from(String(text))) h = Math.imul(h ^ byte, 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  return h ^ (h >>> 13);
}
