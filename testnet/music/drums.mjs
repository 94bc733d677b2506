// Drums and noises: each gives one hit as a mono buffer.

import { RATE } from './voices.mjs';

function buffer(seconds, sample) {
  const out = new Float32Array(Math.ceil(seconds * RATE));
  for (let i = 0; i < out.length; i++) out[i] = sample(i / RATE, i);
  const fade = Math.min(200, out.length);
  for (let i = 0; i < fade; i++) out[out.length - 1 - i] *= i / fade;
  return out;
}

// Noise through a one-pole high-pass and low-pass, both given in Hz.
function noise(rng, low, high) {
  const a = 1 - Math.exp((-2 * Math.PI * high) / RATE);
  const b = 1 - Math.exp((-2 * Math.PI * low) / RATE);
  let x = 0;
  let y = 0;
  return () => {
    x += a * (rng.float() * 2 - 1 - x);
    y += b * (x - y);
    return x - y;
  };
}

/** A bass drum: a sine that falls from `top` Hz to `base` Hz. */
export function kick({ base = 48, top = 170, length = 0.4, click = 0.3 } = {}) {
  let phase = 0;
  return buffer(length, (t) => {
    phase += (2 * Math.PI * (base + (top - base) * Math.exp(-t * 32))) / RATE;
    const thump = Math.sin(phase) * Math.exp((-t * 4.2) / length);
    return thump + click * Math.exp(-t * 400) * Math.sin(t * 9000);
  });
}

/** A snare: a short tone under band-passed noise. */
export function snare(rng, { tone = 190, length = 0.22, snap = 0.8 } = {}) {
  const hiss = noise(rng, 900, 9000);
  return buffer(length, (t) => {
    const body = Math.sin(2 * Math.PI * tone * t * (1 + 0.4 * Math.exp(-t * 60))) * Math.exp(-t * 26);
    return 0.7 * body + snap * hiss() * Math.exp((-t * 4) / length);
  });
}

/** Hands: a few bursts of noise close together. */
export function clap(rng) {
  const hiss = noise(rng, 800, 5200);
  return buffer(0.26, (t) => {
    const bursts = t < 0.03 ? Math.exp(-(t % 0.01) * 260) : Math.exp(-(t - 0.03) * 22);
    return 1.3 * hiss() * bursts;
  });
}

/** A cymbal: `length` 0.05 is a closed hat, 0.3 an open one, 1.5 a crash. */
export function hat(rng, length = 0.06) {
  const hiss = noise(rng, 6500, 15000);
  return buffer(length * 1.2, (t) => 1.1 * hiss() * Math.exp((-4.5 * t) / length));
}

/** Seeds in a shell: noise that swells and falls. */
export function shaker(rng, length = 0.09) {
  const hiss = noise(rng, 4200, 10000);
  return buffer(length, (t) => hiss() * Math.sin((Math.PI * t) / length) ** 2);
}

/** Wood on wood; also a rim click. */
export function rim(freq = 1650) {
  return buffer(0.07, (t) => Math.sin(2 * Math.PI * freq * t) * Math.exp(-t * 90) * 0.9);
}

/** A tuned skin: tom, conga, tabla by pitch. */
export function tom(freq = 110, length = 0.3) {
  let phase = 0;
  return buffer(length, (t) => {
    phase += (2 * Math.PI * freq * (1 + 0.5 * Math.exp(-t * 40))) / RATE;
    return Math.sin(phase) * Math.exp((-4.5 * t) / length);
  });
}

/** Dust of an old record: sparse clicks over a whisper of hiss. */
export function crackle(rng, seconds) {
  const hiss = noise(rng, 1500, 7000);
  let click = 0;
  return buffer(seconds, () => {
    if (rng.chance(7 / RATE)) click = rng.between(-1, 1);
    click *= 0.86;
    return 0.05 * hiss() + click;
  });
}

/** Wind or sea: filtered noise whose loudness rolls. */
export function surf(rng, seconds, period = 9) {
  const hiss = noise(rng, 120, 1400);
  return buffer(seconds, (t) => hiss() * (0.55 - 0.45 * Math.cos((2 * Math.PI * t) / period)));
}

/** The noise channel of an old game console: held random values. */
export function chipNoise(rng, length = 0.1, hold = 4) {
  let value = 0;
  return buffer(length, (t, i) => {
    if (i % hold === 0) value = rng.chance(0.5) ? 0.7 : -0.7;
    return value * Math.exp((-4 * t) / length);
  });
}
