// Motifs that are patterns: rings, tiles, shards, contours, pixels, bars, weave.

import { dist, gradient, makeNoise, over, ramp } from './canvas.mjs';

const EDGE = 0.0025;

/** Rings around two centres that disturb each other. */
export function rings(rng, [dark, mid, light, accent]) {
  const a = { x: rng.between(0.25, 0.45), y: rng.between(0.3, 0.7) };
  const b = { x: rng.between(0.55, 0.8), y: rng.between(0.3, 0.7) };
  const tight = rng.between(45, 120);
  return (x, y, out) => {
    const da = dist(x - a.x, y - a.y);
    const db = dist(x - b.x, y - b.y);
    const wave = Math.sin(da * tight) + Math.sin(db * tight * 0.92);
    gradient(out, [dark, mid, accent], 0.5 + 0.25 * wave * Math.exp(-(da + db) * 0.9) + 0.25 * (1 - y) - 0.2);
    over(out, light, 0.9 * ramp(1.25, 1.7, wave) * Math.exp(-(da * db) * 3.5));
  };
}

/** Quarter circles turned at random, as on a tiled wall. */
export function tiles(rng, palette) {
  const count = rng.pick([3, 4, 5, 7]);
  const cells = Array.from({ length: count * count }, () => ({
    turn: rng.int(0, 3), back: rng.pick(palette), front: rng.pick(palette), kind: rng.pick(['quarter', 'quarter', 'half', 'dot', 'ring']),
  }));
  for (const cell of cells) while (cell.front === cell.back) cell.front = rng.pick(palette);
  const edge = EDGE * count;
  return (x, y, out) => {
    const cell = cells[Math.min(count - 1, Math.floor(y * count)) * count + Math.min(count - 1, Math.floor(x * count))];
    let u = (x * count) % 1;
    let v = (y * count) % 1;
    for (let i = 0; i < cell.turn; i++) [u, v] = [v, 1 - u];
    gradient(out, [cell.back, cell.back], 0);
    const centre = dist(u - 0.5, v - 0.5);
    const d = { quarter: dist(u, v) - 1, half: dist(u - 0.5, v) - 0.5, dot: centre - 0.3, ring: Math.abs(centre - 0.32) - 0.13 }[cell.kind];
    over(out, cell.front, ramp(edge, -edge, d));
  };
}

/** Broken glass: cells around scattered points, lit from one side. */
export function shards(rng, palette) {
  const [dark, mid, light, accent] = palette;
  const points = Array.from({ length: rng.pick([18, 32, 52]) }, () => ({
    x: rng.between(-0.05, 1.05), y: rng.between(-0.05, 1.05),
    colour: rng.pick([dark, dark, mid, mid, accent, light]), lift: rng.between(0, 0.3),
  }));
  const sx = rng.between(0.7, 1.4);
  return (x, y, out) => {
    let first = 9;
    let second = 9;
    let cell = points[0];
    for (const p of points) {
      const d = Math.abs(p.x - x) * sx + Math.abs(p.y - y) + 0.7 * dist(p.x - x, p.y - y);
      if (d < first) {
        second = first;
        first = d;
        cell = p;
      } else if (d < second) second = d;
    }
    gradient(out, [cell.colour, cell.colour], 0);
    over(out, light, cell.lift * (0.5 + (x - cell.x + (cell.y - y)) * 2));
    over(out, dark, 0.9 * ramp(0.012, 0.004, second - first));
  };
}

/** A map of a sea floor: lines of equal depth. */
export function contours(rng, [dark, mid, light, accent]) {
  const noise = makeNoise(rng);
  const scale = rng.between(1.2, 3.4);
  const marked = rng.int(5, 9);
  return (x, y, out) => {
    const depth = (noise(x * scale + 3, y * scale) + 1) * 9;
    const band = Math.floor(depth);
    gradient(out, [dark, mid, dark], band / 18);
    const line = Math.min(depth - band, 1 - (depth - band));
    over(out, band === marked ? accent : light, (band === marked ? 0.9 : 0.4) * ramp(0.09, 0.03, line));
    if (band === marked) over(out, accent, 0.35);
  };
}

/** A creature of a few pixels, the same on both sides, over a block of flats. */
export function pixels(rng, [dark, mid, light, accent]) {
  const count = 20;
  const filled = (row, col) => rng.chance(0.62 - 0.07 * Math.abs(row - 3.5) + 0.06 * col);
  const body = Array.from({ length: 8 }, (_, row) => Array.from({ length: 4 }, (_, col) => filled(row, col)));
  const eye = rng.int(2, 3);
  const flats = Array.from({ length: count }, () => rng.int(14, 17));
  const lamps = Array.from({ length: count * count }, () => rng.chance(0.4));
  const stars = Array.from({ length: count * count }, () => rng.chance(0.03));
  return (x, y, out) => {
    const col = Math.floor(x * count);
    const row = Math.floor(y * count);
    gradient(out, [dark, mid], Math.floor(y * 10) / 10);
    if (stars[row * count + col] && row < 12) over(out, light, 0.5);
    const bx = col - 6 < 4 ? col - 6 : 7 - (col - 6);
    const by = row - 4;
    if (bx >= 0 && by >= 0 && by < 8 && col >= 6 && col < 14 && body[by][bx]) {
      over(out, by === eye && bx === 2 ? dark : by > 5 ? accent : light, 1);
      over(out, accent, 0.25 * (by / 8));
    }
    if (row >= flats[col >> 1]) {
      over(out, dark, 1);
      if (row > flats[col >> 1] && row % 2 && lamps[row * count + col]) over(out, accent, 0.75);
    }
    const gap = Math.max(Math.abs((x * count) % 1 - 0.5), Math.abs((y * count) % 1 - 0.5));
    over(out, dark, 0.35 * ramp(0.455, 0.475, gap));
  };
}

/** A picture whose lines have slipped. */
export function bars(rng, [dark, mid, light, accent]) {
  const rows = Array.from({ length: 64 }, () => (rng.chance(0.35) ? rng.between(-0.24, 0.24) : rng.between(-0.012, 0.012)));
  const noise = makeNoise(rng);
  const disc = { x: rng.between(0.4, 0.6), y: rng.between(0.4, 0.6), r: rng.between(0.22, 0.32) };
  const stripes = rng.int(5, 11);
  return (x, y, out) => {
    const slip = rows[Math.floor(y * 64)];
    const shade = (shift) => {
      const u = x + slip * shift;
      const d = dist(u - disc.x, y - disc.y);
      return ramp(disc.r + EDGE, disc.r - EDGE, d) * (0.65 + 0.35 * Math.sign(Math.sin(u * stripes * 6.28)));
    };
    gradient(out, [dark, dark, mid], x * 0.5 + 0.5 * y + 0.2 * noise(x * 2, y * 3));
    over(out, accent, shade(1));
    over(out, mid, 0.6 * shade(0.55));
    over(out, light, 0.85 * shade(0.8) * shade(1.15));
    if (Math.abs(slip) > 0.14) over(out, light, 0.25 * ramp(0.2, 0.7, noise(x * 40, Math.floor(y * 64))));
  };
}

/** Strips of cloth, woven with steps and diamonds. */
export function weave(rng, palette) {
  const columns = rng.pick([3, 4, 5, 6]);
  const blocks = Array.from({ length: columns * 8 }, () => {
    const [back, front] = rng.sample(palette, 2);
    return { back, front, kind: rng.int(0, 3), count: rng.pick([3, 4, 6]) };
  });
  return (x, y, out) => {
    const column = Math.min(columns - 1, Math.floor(x * columns));
    const rows = 6;
    const yy = y * rows + (column % 2) * 0.5;
    const block = blocks[column * 8 + Math.floor(yy)];
    const u = (x * columns) % 1;
    const v = yy % 1;
    gradient(out, [block.back, block.back], 0);
    const q = 12;
    const su = Math.floor(u * q) / q - 0.46;
    const sv = Math.floor(v * q) / q - 0.46;
    const on = [
      Math.abs(su) + Math.abs(sv) < 0.36 && Math.abs(su) + Math.abs(sv) > 0.15,
      Math.floor(v * block.count * 2) % 2 === 0,
      (Math.floor(u * 6) + Math.floor(v * 6)) % 2 === 0,
      Math.abs(sv) < 0.42 - Math.abs(su),
    ][block.kind];
    if (on) over(out, block.front, 1);
    const thread = 0.5 + 0.5 * Math.sin((u * 60 + Math.floor(v * 90) * 3.14) * 1.6);
    over(out, palette[0], 0.13 * thread + 0.5 * ramp(0.485, 0.5, Math.abs(u - 0.5)));
  };
}
