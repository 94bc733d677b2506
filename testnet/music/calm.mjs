// Quiet styles: ambient, choir, lo-fi, swell.

import * as drums from './drums.mjs';
import { chord, degree, hz, melody, notesOf, voicing } from './theory.mjs';
import { BARS, fm, pluck, struck, synth } from './voices.mjs';

const PAD = { wave: 'saw', layers: 3, spread: 9, attack: 1.4, decay: 2, sustain: 0.8, release: 2.2, cutoff: 1100, q: 0.6 };

function pads(s, options, { gain, size = 4, centre = 60, from = 0, every = 1 }) {
  for (let bar = 0; bar < s.song.bars; bar += every) {
    if (s.energy(bar) < from) continue;
    const seconds = s.barSeconds * every;
    voicing(chord(s.song, s.root(bar), size), centre).forEach((note, i) => {
      const tone = s.once(`pad${note}`, () => synth(hz(note), seconds, options));
      s.hit(tone, bar, 0, { gain, pan: (i % 2 ? 1 : -1) * (0.2 + 0.15 * i), room: 0.5, duck: true });
    });
  }
}

/** Slow pads, far bells, a breath of sea. */
export function ambient(s) {
  pads(s, { ...PAD, cutoff: 900 + 60 * s.rng.int(0, 8), vibrato: 0.0015 }, { gain: 0.12, size: 5 });
  s.hit(drums.surf(s.rng, s.mix.seconds, 7 + s.rng.int(0, 4)), 0, 0, { gain: 0.16, room: 0.2, tight: true });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const low = degree(s.song, s.root(bar), -2);
    const sub = s.once(`sub${low}`, () => synth(hz(low), s.barSeconds * 0.9, { wave: 'sine', attack: 0.5, release: 1 }));
    s.hit(sub, bar, 0, { gain: 0.3 });
    const count = s.energy(bar) > 0.9 ? 5 : 3;
    for (let i = 0; i < count; i++) {
      const note = degree(s.song, s.root(bar) + s.rng.pick([0, 2, 4, 6, 7, 9]), 1);
      const bell = s.once(`bell${note}`, () => struck(hz(note), BARS.vibes));
      s.hit(bell, bar, s.rng.int(0, 15), { gain: 0.13, pan: s.rng.between(-0.8, 0.8), echo: 0.5, room: 0.7 });
    }
  }
  return { echoTime: s.beat * 0.75, feedback: 0.55, roomSize: 0.95, duckDepth: 0, fadeOut: 4 };
}

/** Voices without words over bowls and a drone. */
export function choir(s) {
  const voice = { ...PAD, wave: 'choir', layers: 4, spread: 13, attack: 0.9, cutoff: 2400, vibrato: 0.004 };
  pads(s, voice, { gain: 0.15, size: 3, centre: 57 });
  pads(s, { ...voice, cutoff: 3200 }, { gain: 0.09, size: 4, centre: 69, from: 0.6 });
  const tune = melody(s.rng, s.song.progression, { density: 0.25, barSteps: s.barSteps });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const low = degree(s.song, 0, -2);
    const drone = s.once('drone', () => synth(hz(low), s.barSeconds, { wave: 'organ', attack: 0.8, release: 1.6, cutoff: 700 }));
    s.hit(drone, bar, 0, { gain: 0.16, room: 0.3 });
    if (bar % 2 === 0) {
      const note = degree(s.song, s.root(bar), 0);
      s.hit(s.once(`bowl${note}`, () => struck(hz(note), BARS.bowl)), bar, 0, { gain: 0.2, pan: 0.3, room: 0.8 });
    }
    if (s.energy(bar) < 0.6) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const held = Math.max(n.length, 4) * s.step;
      const solo = s.once(`solo${note}/${n.length}`, () =>
        synth(hz(note), held, { wave: 'choir', layers: 2, spread: 6, attack: 0.25, release: 0.9, cutoff: 3600, vibrato: 0.006 }));
      s.hit(solo, bar, n.step, { gain: 0.2 * n.accent, pan: -0.15, room: 0.8, echo: 0.2 });
    }
  }
  return { echoTime: s.beat * 1.5, feedback: 0.4, roomSize: 1, duckDepth: 0, fadeOut: 4 };
}

/** Dusty drums, an electric piano with jazz chords, a soft bass. */
export function lofi(s) {
  const kick = drums.kick({ base: 52, top: 130, length: 0.3, click: 0.1 });
  const snare = drums.snare(s.rng, { tone: 170, length: 0.16, snap: 0.55 });
  const hat = drums.hat(s.rng, 0.045);
  const kicks = s.rng.pick([[0, 7, 10], [0, 3, 10], [0, 10, 11]]);
  const tune = melody(s.rng, s.song.progression, { density: 0.4 });
  s.hit(drums.crackle(s.rng, s.mix.seconds), 0, 0, { gain: 0.07, tight: true });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const notes = voicing(chord(s.song, s.root(bar), 5).slice(1), 62);
    for (const at of energy > 0.5 ? [0, s.rng.pick([6, 7, 10])] : [0]) {
      notes.forEach((note, i) => {
        const key = s.once(`ep${note}`, () => fm(hz(note), s.barSeconds * 0.55, { ratio: 1, depth: 1.1, decay: 1.1, bright: 0.5 }));
        s.hit(key, bar, at + i * 0.12, { gain: at ? 0.1 : 0.14, pan: -0.3 + 0.2 * i, room: 0.25, duck: true });
      });
    }
    const low = degree(s.song, s.root(bar), -2);
    const bass = s.once(`b${low}`, () => synth(hz(low), s.beat * 1.3, { wave: 'triangle', cutoff: 600, decay: 0.5, sustain: 0.5 }));
    for (const at of energy > 0.5 ? [0, 7, 10] : [0]) s.hit(bass, bar, at, { gain: 0.36 });
    if (energy > 0.4 && !s.last(bar)) {
      for (const at of kicks) s.kick(kick, bar, at, { gain: 0.7 });
      for (const at of [4, 12]) s.hit(snare, bar, at + 0.15, { gain: 0.4, room: 0.15 });
      for (let at = 0; at < 16; at += 2) s.hit(hat, bar, at, { gain: at % 4 ? 0.13 : 0.08, pan: 0.25 });
    }
    if (energy < 0.9) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const lead = s.once(`v${note}`, () => struck(hz(note), BARS.vibes));
      s.hit(lead, bar, n.step, { gain: 0.17 * n.accent, pan: 0.2, echo: 0.3, room: 0.4 });
    }
  }
  return { echoTime: s.beat * 0.75, feedback: 0.35, roomSize: 0.45, duckDepth: 0.35 };
}

/** Guitars that begin alone and end as weather. */
export function swell(s) {
  const kick = drums.kick({ base: 44, length: 0.5 });
  const snare = drums.snare(s.rng, { tone: 160, length: 0.35 });
  const crash = drums.hat(s.rng, 1.6);
  const pattern = s.rng.pick([[0, 2, 4, 2, 7, 4, 2, 4], [0, 4, 7, 4, 9, 7, 4, 2], [0, 4, 2, 7, 4, 9, 7, 4]]);
  pads(s, { ...PAD, cutoff: 1500, attack: 1.8 }, { gain: 0.07, size: 3, from: 0.4 });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    pattern.forEach((step, i) => {
      const note = degree(s.song, s.root(bar) + step, 0);
      const string = s.once(`g${note}`, () => pluck(s.rng, hz(note), 1.8, { tone: 0.55 }));
      s.hit(string, bar, i * 2, { gain: 0.16, pan: -0.35, echo: 0.4, room: 0.5 });
    });
    if (energy > 0.6) {
      const top = degree(s.song, s.root(bar) + [4, 7, 9, 11][bar % 4], 1);
      const trem = s.once(`t${top}`, () => pluck(s.rng, hz(top), 0.5, { tone: 0.8 }));
      for (let at = 0; at < 16; at++) s.hit(trem, bar, at, { gain: 0.05 + 0.06 * energy * (at / 16), pan: 0.45, room: 0.6 });
      for (const at of [0, 6, 8]) s.kick(kick, bar, at, { gain: 0.6 });
      for (const at of [4, 12]) s.hit(snare, bar, at, { gain: 0.3 * energy, room: 0.4 });
    }
    if (energy > 0.9) {
      if (bar % 4 === 1) s.hit(crash, bar, 0, { gain: 0.14, pan: 0.3, room: 0.4 });
      const low = degree(s.song, s.root(bar), -2);
      const bass = s.once(`b${low}`, () => synth(hz(low), s.step * 1.7, { wave: 'saw', cutoff: 700, sweep: 900, decay: 0.3 }));
      for (let at = 0; at < 16; at += 2) s.hit(bass, bar, at, { gain: 0.22 });
    }
  }
  return { echoTime: s.beat * 0.75, feedback: 0.45, roomSize: 0.85, duckDepth: 0.25, fadeOut: 3.5 };
}

