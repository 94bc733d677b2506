// Places notes in time and space, adds echo and a room, and brings the whole to one loudness.

import { RATE } from './voices.mjs';

/** An empty stereo mix of `seconds`, with sends to an echo and a room, and a bus that steps back at each kick. */
export function makeMix(seconds) {
  const frames = Math.ceil(seconds * RATE);
  const bus = () => new Float32Array(frames);
  return { frames, seconds, left: bus(), right: bus(), duckLeft: bus(), duckRight: bus(), echo: bus(), room: bus(), kicks: [] };
}

/** Adds a mono buffer at `time` seconds. `pan` -1 to 1; `echo` and `room` are send levels; `duck` uses the stepping-back bus. */
export function place(mix, samples, time, { gain = 1, pan = 0, echo = 0, room = 0, duck = false } = {}) {
  const start = Math.round(time * RATE);
  if (start < 0 || start >= mix.frames) return;
  const end = Math.min(samples.length, mix.frames - start);
  const l = gain * Math.cos(((pan + 1) * Math.PI) / 4);
  const r = gain * Math.sin(((pan + 1) * Math.PI) / 4);
  const left = duck ? mix.duckLeft : mix.left;
  const right = duck ? mix.duckRight : mix.right;
  for (let i = 0; i < end; i++) {
    left[start + i] += samples[i] * l;
    right[start + i] += samples[i] * r;
  }
  if (echo) addTo(mix.echo, samples, start, end, echo * gain);
  if (room) addTo(mix.room, samples, start, end, room * gain);
}

function addTo(bus, samples, start, end, gain) {
  for (let i = 0; i < end; i++) bus[start + i] += samples[i] * gain;
}

/** Mixes the buses down to `{left, right}`: echo of `echoTime` seconds, a room of size 0 to 1. */
export function finish(mix, { echoTime = 0.375, feedback = 0.42, roomSize = 0.6, duckDepth = 0.55, fadeOut = 2.5 } = {}) {
  applyDuck(mix, duckDepth);
  addEcho(mix, echoTime, feedback);
  addRoom(mix, roomSize);
  fadeEnds(mix, fadeOut);
  level(mix);
  return { left: mix.left, right: mix.right };
}

function applyDuck(mix, depth) {
  const gain = new Float32Array(mix.frames).fill(1);
  const length = Math.round(0.22 * RATE);
  for (const time of mix.kicks) {
    const start = Math.round(time * RATE);
    for (let i = 0; i < length && start + i < mix.frames; i++) {
      gain[start + i] = Math.min(gain[start + i], 1 - depth * (1 - i / length) ** 1.5);
    }
  }
  // A short rise before each dip, so that the step is not heard as a click.
  let level = 1;
  for (let i = 0; i < mix.frames; i++) {
    level += 0.02 * (gain[i] - level);
    mix.left[i] += mix.duckLeft[i] * level;
    mix.right[i] += mix.duckRight[i] * level;
  }
}

// Echoes that cross from side to side and lose their treble.
function addEcho(mix, time, feedback) {
  const size = Math.max(1, Math.round(time * RATE));
  const a = new Float32Array(size);
  const b = new Float32Array(size);
  let at = 0;
  let dull = 0;
  for (let i = 0; i < mix.frames; i++) {
    const fromA = a[at];
    const fromB = b[at];
    dull += 0.35 * (fromB - dull);
    a[at] = mix.echo[i] + dull * feedback;
    b[at] = fromA * feedback * 1.2;
    mix.left[i] += fromA;
    mix.right[i] += fromB;
    mix.room[i] += 0.15 * (fromA + fromB);
    if (++at === size) at = 0;
  }
}

// Four combs and two all-passes a side (Schroeder), slightly longer on the right.
function addRoom(mix, size) {
  if (!size) return;
  const feed = 0.7 + 0.24 * size;
  for (const [out, stretch] of [[mix.left, 1], [mix.right, 1.021]]) {
    const wet = new Float32Array(mix.frames);
    for (const ms of [29.7, 37.1, 41.1, 43.7]) comb(mix.room, wet, Math.round((ms * stretch * RATE) / 1000), feed);
    for (const ms of [5, 1.7]) allPass(wet, Math.round((ms * stretch * RATE) / 1000));
    for (let i = 0; i < mix.frames; i++) out[i] += 0.22 * wet[i];
  }
}

function comb(input, wet, size, feed) {
  const line = new Float32Array(size);
  let at = 0;
  let dull = 0;
  for (let i = 0; i < input.length; i++) {
    const y = line[at];
    dull += 0.55 * (y - dull);
    line[at] = input[i] + dull * feed;
    wet[i] += y;
    if (++at === size) at = 0;
  }
}

function allPass(wet, size) {
  const line = new Float32Array(size);
  let at = 0;
  for (let i = 0; i < wet.length; i++) {
    const y = line[at];
    const x = wet[i] + 0.6 * y;
    line[at] = x;
    wet[i] = y - 0.6 * x;
    if (++at === size) at = 0;
  }
}

function fadeEnds(mix, seconds) {
  const fade = Math.round(seconds * RATE);
  for (let i = 0; i < fade && i < mix.frames; i++) {
    const gain = Math.sin(((i / fade) * Math.PI) / 2);
    mix.left[mix.frames - 1 - i] *= gain;
    mix.right[mix.frames - 1 - i] *= gain;
  }
  for (let i = 0; i < 300; i++) {
    mix.left[i] *= i / 300;
    mix.right[i] *= i / 300;
  }
}

// Removes rumble, brings the mean level to -17 dBFS or the highest peak to +2 dB, whichever is quieter, and rounds
// peaks off below -3 dBFS: lossy encoders overshoot.
function level(mix) {
  const pole = Math.exp((-2 * Math.PI * 24) / RATE);
  let power = 0;
  let peak = 0;
  for (const out of [mix.left, mix.right]) {
    let x1 = 0;
    let y1 = 0;
    for (let i = 0; i < out.length; i++) {
      const y = out[i] - x1 + pole * y1;
      x1 = out[i];
      y1 = y;
      out[i] = y;
      power += y * y;
      if (y > peak || -y > peak) peak = Math.abs(y);
    }
  }
  const rms = Math.sqrt(power / (2 * mix.frames)) || 1;
  const gain = Math.min(0.141 / rms, 1.25 / (peak || 1));
  for (const out of [mix.left, mix.right]) {
    for (let i = 0; i < out.length; i++) out[i] = soften(out[i] * gain);
  }
}

// Linear to 0.5, then bending towards 0.7.
function soften(x) {
  const size = Math.abs(x);
  if (size <= 0.5) return x;
  return Math.sign(x) * (0.5 + 0.2 * Math.tanh((size - 0.5) / 0.2));
}
