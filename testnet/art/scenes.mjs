// Motifs that show a place: horizon, ridges, neon sun, night sky, window, pavement, leaves.

import { byRow, clamp, curve, dist, gradient, makeNoise, over, ramp } from './canvas.mjs';

const EDGE = 0.0025;

/** A low sun over layers of hills, doubled in water now and then. */
export function horizon(rng, [dark, mid, light, accent]) {
  const noise = makeNoise(rng);
  const sun = { x: rng.between(0.25, 0.75), y: rng.between(0.2, 0.46), r: rng.between(0.06, 0.19) };
  const skyline = rng.between(0.42, 0.62);
  const steep = rng.between(0.08, 0.2);
  const layers = Array.from({ length: 5 }, (_, i) => {
    const shift = rng.int(0, 90);
    return curve((x) => skyline + i * (1 - skyline) * 0.21 + (steep - i * 0.008) * noise(x * (2.2 + i * 0.5) + shift, i * 7.3));
  });
  return (x, y, out) => {
    gradient(out, [mid, light, accent], y * 1.7);
    const d = dist(x - sun.x, y - sun.y);
    over(out, light, 0.5 * Math.exp(-d * 5));
    over(out, light, ramp(sun.r + EDGE, sun.r - EDGE, d));
    layers.forEach((layer, i) => {
      const top = layer(x);
      const depth = (i + 1) / layers.length;
      if (y <= top - EDGE) return;
      const edge = ramp(top - EDGE, top + EDGE, y);
      const colour = [0, 1, 2].map((k) => mid[k] + (dark[k] - mid[k]) * depth);
      over(out, colour, edge * (0.75 + 0.25 * depth));
      over(out, accent, edge * 0.25 * Math.exp(-(y - top) * 16) * (1 - depth));
    });
  };
}

/** Lines of hills behind each other, each hiding the ones behind. */
export function ridges(rng, [dark, mid, light, accent]) {
  const noise = makeNoise(rng);
  const peak = rng.between(0.28, 0.72);
  const narrow = rng.between(8, 44);
  const tops = Array.from({ length: 34 }, (_, i) => {
    const base = 0.25 + (i / 34) * 0.58;
    const height = (x) => (0.2 * Math.exp(-((x - peak) ** 2) * narrow) + 0.012) * Math.max(0, 0.35 + noise(x * 6.5, i * 0.55));
    return { base, at: curve((x) => base - height(x)) };
  });
  return (x, y, out) => {
    gradient(out, [dark, dark], 0);
    over(out, mid, 0.5 * Math.exp(-((x - peak) ** 2) * 5 - (y - 0.3) ** 2 * 6));
    if (x < 0.1 || x > 0.9) return;
    for (let i = tops.length - 1; i >= 0; i--) {
      const { base, at } = tops[i];
      const top = at(x);
      if (y < top - 0.003 || y > base + 0.01) continue;
      const glow = ramp(0.0035, 0.0012, Math.abs(y - top));
      if (glow > 0) {
        const fade = ramp(0.1, 0.16, x) * ramp(0.9, 0.84, x);
        over(out, i % 7 === 3 ? accent : light, glow * fade);
      } else if (y > top) {
        over(out, dark, 0.96 * ramp(0.1, 0.16, x) * ramp(0.9, 0.84, x));
      }
      return;
    }
  };
}

/** A striped sun over a grid that runs to the horizon. */
export function neon(rng, [dark, mid, light, accent]) {
  const horizonY = rng.between(0.56, 0.64);
  const sun = { x: rng.between(0.3, 0.7), y: horizonY - rng.between(0.06, 0.2), r: rng.between(0.15, 0.28) };
  const noise = makeNoise(rng);
  const hill = curve((x) => horizonY - 0.1 * Math.max(0, noise(x * 5, 2) + 0.15));
  const star = () => ({ x: rng.float(), y: rng.float() * horizonY, r: rng.between(0.0008, 0.0022) });
  const stars = byRow(Array.from({ length: 70 }, star), 0.003);
  return (x, y, out) => {
    if (y < horizonY) {
      gradient(out, [dark, mid, accent], (y / horizonY) ** 1.6);
      for (const s of stars(y)) if (dist(s.x - x, s.y - y) < s.r) over(out, light, 0.8);
      const d = dist(x - sun.x, y - sun.y);
      over(out, accent, 0.5 * Math.exp(-d * 6));
      const slit = Math.sin((y - sun.y) * 150) < 1.9 * (sun.y - y) * 4 + 0.55;
      if (slit || y < sun.y - 0.02) {
        const disc = [0, 1, 2].map((k) => light[k] + (accent[k] - light[k]) * clamp((y - sun.y + sun.r) / (2 * sun.r)));
        over(out, disc, ramp(sun.r + EDGE, sun.r - EDGE, d));
      }
      over(out, dark, ramp(hill(x) - EDGE, hill(x) + EDGE, y));
      return;
    }
    const depth = (y - horizonY) / (1 - horizonY);
    gradient(out, [mid, dark, dark], depth);
    const z = 1 / (depth + 0.04);
    const gx = Math.abs((((x - 0.5) * z * 2.2) % 1 + 1.5) % 1 - 0.5);
    const gz = Math.abs(((z * 2.4) % 1 + 1) % 1 - 0.5);
    const thin = 0.012 + 0.05 * (1 - depth) * 0.5;
    over(out, accent, Math.max(ramp(thin * z * 0.35, 0, gx), ramp(thin * z * 0.5, 0, gz) * 0.9) * ramp(0, 0.06, depth));
  };
}

/** A moon in some phase, stars, and rings marked like a clock. */
export function night(rng, [dark, mid, light, accent]) {
  const phase = rng.between(-0.7, 0.7);
  const moon = { x: rng.between(0.32, 0.68), y: rng.between(0.36, 0.62), r: rng.between(0.11, 0.2) };
  const star = () => ({ x: rng.float(), y: rng.float(), r: rng.between(0.001, 0.004), warm: rng.chance(0.2) });
  const stars = byRow(Array.from({ length: 130 }, star), 0.006);
  const rings = [0.27, 0.335, 0.42].map((r) => ({ r, marks: rng.pick([12, 24, 36, 60]), turn: rng.float() }));
  const noise = makeNoise(rng);
  return (x, y, out) => {
    gradient(out, [dark, dark, mid], y * 0.9 + 0.1 * noise(x * 2, y * 2));
    for (const s of stars(y)) {
      const d = dist(s.x - x, s.y - y);
      over(out, s.warm ? accent : light, ramp(s.r * 1.3, s.r * 0.5, d) * 0.85);
    }
    const d = dist(x - moon.x, y - moon.y);
    over(out, accent, 0.25 * Math.exp(-d * 5));
    const angle = Math.atan2(y - moon.y, x - moon.x) / (2 * Math.PI) + 0.5;
    for (const ring of rings) {
      over(out, light, 0.5 * ramp(0.0022, 0.0008, Math.abs(d - ring.r)));
      const tick = Math.abs(((angle + ring.turn) * ring.marks) % 1 - 0.5) / ring.marks;
      if (Math.abs(d - ring.r - 0.012) < 0.009) over(out, light, 0.55 * ramp(0.0012, 0.0004, tick * d * 2));
    }
    const disc = ramp(moon.r + EDGE, moon.r - EDGE, d);
    const shade = dist(x - moon.x - phase * moon.r * 1.2, y - moon.y);
    const lit = ramp(moon.r * 1.02 - 0.03, moon.r * 1.02 + 0.02, shade);
    over(out, mid, disc);
    over(out, light, disc * (0.12 + 0.88 * lit) * (0.9 + 0.1 * noise(x * 14, y * 14)));
  };
}

/** Lights of a street seen through a wet window. */
export function rain(rng, [dark, mid, light, accent]) {
  const noise = makeNoise(rng);
  const lamps = Array.from({ length: 26 }, () => ({
    x: rng.float(), y: rng.between(0.3, 0.95), r: rng.between(0.025, 0.085),
    colour: rng.pick([light, accent, accent, mid]), a: rng.between(0.25, 0.7),
  }));
  const drops = byRow(Array.from({ length: 150 }, () => ({ x: rng.float(), y: rng.float(), r: rng.between(0.003, 0.011) })), 0.014);
  const panes = rng.pick([2, 3]);
  return (x, y, out) => {
    const wet = 0.02 * noise(x * 9, y * 3);
    gradient(out, [mid, dark, mid], y + 0.2 * noise(x * 1.5, y * 1.5));
    for (const lamp of lamps) {
      const d = dist(x + wet - lamp.x, y - lamp.y);
      if (d > lamp.r) continue;
      over(out, lamp.colour, lamp.a * (0.65 + 0.35 * (d / lamp.r)) * ramp(lamp.r, lamp.r - 0.008, d));
    }
    for (const drop of drops(y)) {
      const dy = y - drop.y;
      const d = dist(x - drop.x, dy * 0.8);
      if (d < drop.r) over(out, dy < 0 ? dark : light, 0.4 * ramp(drop.r, drop.r * 0.5, d));
    }
    const frame = Math.min(Math.abs((x * panes) % 1 - 0) / panes, Math.abs(1 - ((x * panes) % 1)) / panes);
    over(out, dark, 0.85 * ramp(0.012, 0.009, frame));
    over(out, dark, 0.85 * ramp(0.01, 0.007, Math.abs(y - 0.5)));
  };
}

/** The wavy stones of a promenade. */
export function pavement(rng, [dark, mid, light, accent]) {
  const turn = rng.between(-1.2, 1.2);
  const count = rng.between(3.5, 8);
  const bend = rng.between(0.055, 0.09);
  const sun = { x: rng.between(0.2, 0.8), y: rng.between(0.15, 0.3), r: rng.between(0.1, 0.15) };
  const noise = makeNoise(rng);
  return (x, y, out) => {
    const u = (x - 0.5) * Math.cos(turn) - (y - 0.5) * Math.sin(turn);
    const v = (x - 0.5) * Math.sin(turn) + (y - 0.5) * Math.cos(turn);
    const wave = v + bend * Math.sin(u * 11) + 0.012 * noise(x * 4, y * 4);
    const band = Math.abs(((wave * count) % 1 + 1) % 1 - 0.5);
    gradient(out, [accent, light], y);
    over(out, dark, ramp(0.245, 0.255, band));
    const stone = noise(x * 60, y * 60);
    over(out, mid, 0.14 * ramp(0.1, 0.5, stone));
    const d = dist(x - sun.x, y - sun.y);
    over(out, accent, ramp(sun.r + EDGE, sun.r - EDGE, d));
  };
}

/** A few stems with leaves, pressed on paper. */
export function leaves(rng, [dark, mid, light, accent]) {
  const noise = makeNoise(rng);
  const blades = [];
  const stems = [];
  const count = rng.int(1, 4);
  for (let stem = 0; stem < count; stem++) {
    const x0 = (stem + 1) / (count + 1) + rng.between(-0.05, 0.05);
    const lean = rng.between(-0.16, 0.16);
    stems.push({ x: x0, lean });
    for (let i = 0; i < 9; i++) {
      const t = i / 9;
      const side = i % 2 ? 1 : -1;
      blades.push({
        x: x0 + lean * t * t, y: 0.88 - t * 0.72, angle: side * (0.9 - 0.35 * t) - lean,
        length: 0.17 * (1 - 0.5 * t), colour: rng.pick([dark, mid, mid, accent]),
      });
    }
  }
  return (x, y, out) => {
    gradient(out, [light, light, light], 0);
    over(out, accent, 0.1 + 0.09 * noise(x * 3, y * 3));
    const t = (0.92 - y) / 0.76;
    if (t > 0 && t < 1) for (const s of stems) over(out, mid, 0.8 * ramp(0.004, 0.0015, Math.abs(x - s.x - s.lean * t * t)));
    for (const b of blades) {
      const dx = x - b.x;
      const dy = y - b.y;
      if (dx * dx + dy * dy > b.length * b.length) continue;
      const along = dx * Math.sin(b.angle) - dy * Math.cos(b.angle);
      const across = dx * Math.cos(b.angle) + dy * Math.sin(b.angle);
      const part = along / b.length;
      if (part <= 0 || part >= 1) continue;
      const width = 0.24 * b.length * Math.sin(Math.PI * part ** 0.8);
      over(out, b.colour, 0.92 * ramp(width + EDGE, width - EDGE, Math.abs(across)));
      const vein = Math.min(Math.abs(across), Math.abs(((along * 60 + Math.abs(across) * 40) % 1) - 0.5) * 0.02);
      if (Math.abs(across) < width) over(out, light, 0.35 * ramp(0.0022, 0.0008, vein));
    }
  };
}
