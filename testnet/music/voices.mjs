// Pitched instruments: each gives one note as a mono buffer of samples around full scale.

export const RATE = 44100;

const TABLE = 2048;
const tables = new Map();

// One cycle of a wave with only as many harmonics as fit below hearing at this pitch: no aliasing.
function table(wave, freq) {
  const harmonics = Math.max(1, Math.min(64, Math.floor(15000 / freq)));
  const count = wave === 'sine' ? 1 : 2 ** Math.floor(Math.log2(harmonics));
  const key = `${wave}${count}`;
  const known = tables.get(key);
  if (known) return known;
  const out = new Float32Array(TABLE + 1);
  for (let h = 1; h <= count; h++) {
    const level = LEVELS[wave](h);
    if (level) for (let i = 0; i <= TABLE; i++) out[i] += level * Math.sin((2 * Math.PI * h * i) / TABLE);
  }
  const peak = out.reduce((max, v) => Math.max(max, Math.abs(v)), 0);
  for (let i = 0; i <= TABLE; i++) out[i] /= peak;
  tables.set(key, out);
  return out;
}

// Level of each harmonic.
const LEVELS = {
  sine: () => 1,
  saw: (h) => 1 / h,
  square: (h) => (h % 2 ? 1 / h : 0),
  triangle: (h) => (h % 2 ? ((h % 4 === 1 ? 1 : -1) * 1) / (h * h) : 0),
  pulse: (h) => Math.sin(Math.PI * h * 0.22) / h,
  organ: (h) => ({ 1: 1, 2: 0.6, 3: 0.35, 4: 0.25, 6: 0.12, 8: 0.08 })[h] ?? 0,
  choir: (h) => Math.exp(-h / 5) * (1 + 1.6 * Math.exp(-((h - 4) ** 2) / 3)),
};

/** Attack, decay, sustain, release as gain over time; `held` is when the key goes up. All in seconds. */
function envelope(t, held, { attack, decay, sustain, release }) {
  if (t < 0) return 0;
  const down = (x) => (x < attack ? x / attack : sustain + (1 - sustain) * Math.exp(-(x - attack) / decay));
  if (t <= held) return down(t);
  return down(held) * Math.exp((-4 * (t - held)) / release);
}

const SYNTH = {
  wave: 'saw', spread: 0, layers: 1, attack: 0.005, decay: 0.2, sustain: 0.7, release: 0.15,
  cutoff: 12000, sweep: 0, sweepTime: 0.2, q: 0.8, vibrato: 0, gain: 1,
};

/** A subtractive synthesizer: detuned layers (`spread` in cents) through a resonant low-pass that sweeps down from `sweep`. */
export function synth(freq, held, options = {}) {
  const o = { ...SYNTH, ...options };
  const frames = Math.ceil((held + o.release) * RATE);
  const out = new Float32Array(frames);
  const wave = table(o.wave, freq);
  for (let layer = 0; layer < o.layers; layer++) {
    const cents = o.layers > 1 ? o.spread * ((2 * layer) / (o.layers - 1) - 1) : 0;
    const step = (freq * 2 ** (cents / 1200) * TABLE) / RATE;
    let phase = ((layer * 0.37 + freq * 0.013) % 1) * TABLE;
    for (let i = 0; i < frames; i++) {
      const at = phase | 0;
      out[i] += wave[at] + (wave[at + 1] - wave[at]) * (phase - at);
      phase += o.vibrato ? step * (1 + o.vibrato * Math.sin(i * 0.00074)) : step;
      if (phase >= TABLE) phase -= TABLE;
    }
  }
  return shape(out, held, o, o.gain / Math.sqrt(o.layers));
}

// Applies the filter and the envelope, both followed in blocks of 32 samples.
function shape(out, held, o, gain) {
  let low = 0;
  let band = 0;
  let level = 0;
  for (let i = 0; i < out.length; i += 32) {
    const t = i / RATE;
    const cutoff = Math.min(o.cutoff + o.sweep * Math.exp(-t / o.sweepTime), 16000);
    const g = Math.tan((Math.PI * cutoff) / RATE);
    const k = 1 / o.q;
    const a1 = 1 / (1 + g * (g + k));
    const next = envelope(t + 32 / RATE, held, o) * gain;
    const slope = (next - level) / 32;
    const end = Math.min(i + 32, out.length);
    for (let j = i; j < end; j++) {
      const v3 = out[j] - low;
      const v1 = a1 * band + g * a1 * v3;
      const v2 = low + g * v1;
      band = 2 * v1 - band;
      low = 2 * v2 - low;
      level += slope;
      out[j] = v2 * level;
    }
  }
  return fadeTail(out);
}

function fadeTail(out) {
  const fade = Math.min(400, out.length);
  for (let i = 0; i < fade; i++) out[out.length - 1 - i] *= i / fade;
  return out;
}

/** Two-operator FM: `ratio` and `depth` give electric pianos, bells and glassy basses. */
export function fm(freq, held, { ratio = 1, depth = 1.2, attack = 0.003, decay = 0.9, release = 0.3, bright = 0.3 } = {}) {
  const frames = Math.ceil((held + release) * RATE);
  const out = new Float32Array(frames);
  const w = (2 * Math.PI * freq) / RATE;
  const cut = held * RATE;
  const rise = attack * RATE;
  let amp = 1;
  let mod = depth;
  const ampFall = Math.exp(-1 / (decay * RATE));
  const modFall = Math.exp(-1 / (bright * RATE));
  const releaseFall = Math.exp(-4 / (release * RATE));
  for (let i = 0; i < frames; i++) {
    const on = i < rise ? i / rise : 1;
    out[i] = on * amp * Math.sin(w * i + mod * Math.sin(w * ratio * i));
    amp *= i < cut ? ampFall : releaseFall;
    mod *= modFall;
  }
  return fadeTail(out);
}

/** A plucked string (Karplus-Strong): `tone` 0 dull to 1 bright, `ring` seconds until it has faded. */
export function pluck(rng, freq, ring = 2, { tone = 0.5, body = 0.3 } = {}) {
  const frames = Math.ceil(ring * RATE);
  const out = new Float32Array(frames);
  const period = RATE / freq - 0.5;
  const size = Math.floor(period);
  const part = period - size;
  const line = new Float32Array(size + 1);
  let smooth = 0;
  for (let i = 0; i <= size; i++) {
    smooth += (0.15 + 0.85 * tone) * (rng.float() * 2 - 1 - smooth);
    line[i] = smooth;
  }
  steady(line);
  const loss = 0.001 ** (1 / (freq * ring));
  let at = 0;
  let last = 0;
  let warm = 0;
  for (let i = 0; i < frames; i++) {
    const a = line[at];
    const b = line[at === size ? 0 : at + 1];
    const sample = a + (b - a) * (1 - part);
    line[at] = loss * (sample * 0.5 + last * 0.5);
    last = sample;
    if (++at > size) at = 0;
    warm += 0.08 * (sample - warm);
    out[i] = (sample + warm * body * 4) * (i < 130 ? i / 130 : 1);
  }
  return fadeTail(out);
}

// A string's first push: no offset, and always as strong.
function steady(line) {
  const mean = line.reduce((sum, v) => sum + v, 0) / line.length;
  const power = line.reduce((sum, v) => sum + (v - mean) ** 2, 0) / line.length;
  for (let i = 0; i < line.length; i++) line[i] = ((line[i] - mean) * 0.4) / Math.sqrt(power || 1);
}

/** A struck bar or tine: partials `[ratio, level, seconds]` that die at their own pace. */
export function struck(freq, partials, gain = 1) {
  const longest = Math.max(...partials.map(([, , seconds]) => seconds));
  const out = new Float32Array(Math.ceil(longest * 1.6 * RATE));
  for (const [ratio, level, seconds] of partials) {
    if (freq * ratio > 16000) continue;
    const w = (2 * Math.PI * freq * ratio) / RATE;
    const fall = Math.exp(-4 / (seconds * RATE));
    const cos = 2 * Math.cos(w);
    let y1 = Math.sin(-w);
    let y2 = Math.sin(-2 * w);
    let amp = level * gain;
    const end = Math.min(out.length, Math.ceil(seconds * 1.6 * RATE));
    for (let i = 0; i < end; i++) {
      const y = cos * y1 - y2;
      y2 = y1;
      y1 = y;
      out[i] += y * amp * (i < 60 ? i / 60 : 1);
      amp *= fall;
    }
  }
  return fadeTail(out);
}

/** Partials of a few struck instruments, for `struck`. */
export const BARS = {
  marimba: [[1, 1, 0.7], [3.93, 0.28, 0.18], [9.2, 0.08, 0.06]],
  vibes: [[1, 1, 2.2], [4, 0.22, 0.7], [10, 0.05, 0.15]],
  celesta: [[1, 0.9, 1.1], [2, 0.25, 0.6], [4.1, 0.18, 0.3], [6.3, 0.06, 0.1]],
  musicbox: [[1, 0.9, 1.3], [2.01, 0.2, 0.8], [5.4, 0.16, 0.25], [8.9, 0.07, 0.1]],
  bowl: [[1, 1, 4], [2.71, 0.5, 2.6], [5.2, 0.25, 1.4], [8.3, 0.1, 0.7]],
  kalimba: [[1, 1, 0.9], [2, 0.12, 0.3], [5.8, 0.16, 0.08]],
};
