// From a picture's description to raw pixels: covers by motif, avatars as a face of the same family.

import { dist, gradient, makeNoise, over, paint, ramp, rgb } from './canvas.mjs';
import * as patterns from './patterns.mjs';
import * as scenes from './scenes.mjs';
import { makeRng } from '../lib/rng.mjs';

const MOTIFS = { ...patterns, ...scenes, orb };

/** Draws `{seed, motif, palette, size}`: `palette` is four `#rrggbb` (dark, middle, light, accent). Gives packed rgb bytes. */
export function drawPicture({ seed, motif, palette, size }) {
  const shader = MOTIFS[motif](makeRng(seed), palette.map(rgb));
  return paint(size, seed, shader);
}

/** An avatar of a person without a motif: soft spheres of colour. */
function orb(rng, [dark, mid, light, accent]) {
  const noise = makeNoise(rng);
  const turn = rng.float() * 6.28;
  const blobs = Array.from({ length: 4 }, (_, i) => ({
    x: 0.5 + 0.3 * Math.cos(turn + i * 1.9), y: 0.5 + 0.3 * Math.sin(turn + i * 1.9),
    r: rng.between(0.16, 0.34), colour: [light, accent, mid, accent][i],
  }));
  return (x, y, out) => {
    gradient(out, [mid, dark], y + 0.25 * noise(x * 2, y * 2));
    for (const b of blobs) {
      const d = dist(x - b.x, y - b.y) + 0.05 * noise(x * 3 + b.r * 50, y * 3);
      over(out, b.colour, 0.85 * ramp(b.r, b.r * 0.35, d));
    }
  };
}
