// A square picture computed pixel by pixel: colours, noise and soft edges.

import { makeRng } from '../lib/rng.mjs';

/** Length of a vector; far quicker than Math.hypot, which guards against overflow. */
export const dist = (dx, dy) => Math.sqrt(dx * dx + dy * dy);

/** `#rrggbb` as three numbers from 0 to 1. */
export const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255);

export const clamp = (x, low = 0, high = 1) => (x < low ? low : x > high ? high : x);

/** 0 below `a`, 1 above `b`, smooth between. */
export function ramp(a, b, x) {
  const t = clamp((x - a) / (b - a));
  return t * t * (3 - 2 * t);
}

/** Blends `colour` over `out` (both rgb triples) by `amount`; `out` is changed. */
export function over(out, colour, amount) {
  if (amount <= 0) return;
  const a = amount > 1 ? 1 : amount;
  out[0] += (colour[0] - out[0]) * a;
  out[1] += (colour[1] - out[1]) * a;
  out[2] += (colour[2] - out[2]) * a;
}

/** Sets `out` to a colour of a gradient through `stops` (evenly spaced rgb triples) at `t` from 0 to 1. */
export function gradient(out, stops, t) {
  const at = clamp(t) * (stops.length - 1);
  const i = Math.min(stops.length - 2, Math.floor(at));
  const f = at - i;
  for (let k = 0; k < 3; k++) out[k] = stops[i][k] + (stops[i + 1][k] - stops[i][k]) * f;
}

/** A smooth random landscape: gives a function (x, y) to -1..1 whose hills are about 1 wide. */
export function makeNoise(rng) {
  const values = Float32Array.from({ length: 4096 }, () => rng.float() * 2 - 1);
  const at = (x, y) => values[((x * 73) ^ (y * 941)) & 4095];
  const plain = (x, y) => {
    const ix = Math.floor(x);
    const iy = Math.floor(y);
    const fx = x - ix;
    const fy = y - iy;
    const u = fx * fx * (3 - 2 * fx);
    const v = fy * fy * (3 - 2 * fy);
    const top = at(ix, iy) + (at(ix + 1, iy) - at(ix, iy)) * u;
    const low = at(ix, iy + 1) + (at(ix + 1, iy + 1) - at(ix, iy + 1)) * u;
    return top + (low - top) * v;
  };
  return (x, y) => plain(x, y) * 0.62 + plain(x * 2.1 + 17, y * 2.1 + 5) * 0.28 + plain(x * 4.3 + 3, y * 4.3 + 29) * 0.1;
}

/** A function of one coordinate from 0 to 1, computed once at 1,024 places and read off between them. */
export function curve(f) {
  const values = Float32Array.from({ length: 1025 }, (_, i) => f(i / 1024));
  return (x) => {
    const at = clamp(x) * 1023.99;
    const i = at | 0;
    return values[i] + (values[i + 1] - values[i]) * (at - i);
  };
}

const BANDS = 100;

/** Things with a `y`, found by row: gives a function from y to those at most `reach` away. */
export function byRow(things, reach) {
  const bands = Array.from({ length: BANDS }, (_, i) =>
    things.filter((thing) => thing.y > i / BANDS - reach && thing.y < (i + 1) / BANDS + reach));
  return (y) => bands[Math.min(BANDS - 1, (y * BANDS) | 0)];
}

/**
 * Draws `size` × `size` pixels as packed rgb bytes. `shader(x, y, out)` gets coordinates from 0 to 1 and fills `out`.
 * A little grain and a darker rim are laid over all.
 */
export function paint(size, seed, shader, { grain = 0.018, rim = 0.16 } = {}) {
  const rng = makeRng(`${seed}/grain`);
  const speckle = Float32Array.from({ length: 65536 }, () => (rng.float() + rng.float() - 1) * grain);
  const pixels = Buffer.alloc(size * size * 3);
  const out = [0, 0, 0];
  let at = 0;
  for (let py = 0; py < size; py++) {
    const y = (py + 0.5) / size;
    for (let px = 0; px < size; px++) {
      const x = (px + 0.5) / size;
      shader(x, y, out);
      const dark = 1 - rim * ((x - 0.5) ** 2 + (y - 0.5) ** 2) * 2;
      const dust = speckle[(px * 7919 + py * 104729) & 65535];
      for (let k = 0; k < 3; k++) pixels[at++] = clamp(out[k] * dark + dust) * 255;
    }
  }
  return pixels;
}
