// What every style composes on: time in bars and 16ths, the song's energy over its bars, and notes made only once.

import { makeRng } from '../lib/rng.mjs';
import { makeMix, place } from './mixer.mjs';

/**
 * A stage for a song `{seed, tempo, root, scale, progression, bars, swing, barSteps}`: `tempo` in beats a minute,
 * `root` a MIDI note, `progression` one scale degree a bar (repeated), `barSteps` 16ths in a bar, `swing` 0 to 0.33.
 */
export function makeStage(song) {
  const rng = makeRng(song.seed);
  const barSteps = song.barSteps ?? 16;
  const beat = 60 / song.tempo;
  const step = beat / 4;
  const barSeconds = step * barSteps;
  const tail = 2.5;
  const mix = makeMix(song.bars * barSeconds + tail);
  const made = new Map();

  const at = (bar, steps) => {
    const whole = Math.floor(steps);
    const late = whole % 2 === 1 ? (song.swing ?? 0) * step : 0;
    return bar * barSeconds + steps * step + late;
  };
  const once = (key, make) => {
    if (!made.has(key)) made.set(key, make());
    return made.get(key);
  };
  const hit = (samples, bar, steps, options = {}) => {
    // Hands are never quite on the grid, nor quite equal.
    const human = options.tight ? 0 : rng.between(-0.004, 0.004);
    const touch = options.tight ? 1 : rng.between(0.9, 1.05);
    place(mix, samples, Math.max(0, at(bar, steps) + human), { ...options, gain: (options.gain ?? 1) * touch });
  };
  const kick = (samples, bar, steps, options = {}) => {
    mix.kicks.push(at(bar, steps));
    hit(samples, bar, steps, { ...options, tight: true });
  };
  return {
    song, rng, mix, beat, step, barSteps, barSeconds, at, once, hit, kick,
    root: (bar) => song.progression[bar % song.progression.length],
    energy: (bar) => energy(bar / song.bars),
    last: (bar) => bar === song.bars - 1,
  };
}

// The arc of a short piece: an opening, a first statement, a breath, the full band, an ending.
function energy(part) {
  if (part < 0.125) return 0.3;
  if (part < 0.45) return 0.65;
  if (part < 0.56) return 0.45;
  if (part < 0.9) return 1;
  return 0.25;
}
