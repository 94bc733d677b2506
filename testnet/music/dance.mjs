// Electronic styles with a beat: house, synthwave, drum and bass, dub techno, chiptune, glitch.

import * as drums from './drums.mjs';
import { chord, degree, euclid, hz, melody, notesOf, voicing } from './theory.mjs';
import { BARS, fm, struck, synth } from './voices.mjs';

/** Four to the floor, off-beat hats, warm stabs. */
export function house(s) {
  const kick = drums.kick({ length: 0.32 });
  const clap = drums.clap(s.rng);
  const hat = drums.hat(s.rng, 0.05);
  const open = drums.hat(s.rng, 0.22);
  const stabs = s.rng.pick([[0, 3, 6, 10], [2, 5, 8, 13], [0, 3, 7, 11, 14]]);
  const bassline = s.rng.pick([[2, 6, 10, 14], [2, 3, 6, 10, 11, 14], [0, 2, 6, 8, 10, 14]]);
  const tune = melody(s.rng, s.song.progression, { density: 0.5 });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    for (const at of [0, 4, 8, 12]) if (energy !== 0.45) s.kick(kick, bar, at, { gain: 0.75 });
    for (const at of [2, 6, 10, 14]) s.hit(open, bar, at, { gain: 0.14, pan: 0.2 });
    if (energy > 0.4) {
      for (const at of [4, 12]) s.hit(clap, bar, at, { gain: 0.3, room: 0.2 });
      for (let at = 1; at < 16; at += 2) s.hit(hat, bar, at, { gain: 0.07, pan: -0.3 });
    }
    voicing(chord(s.song, s.root(bar), 4), 62).forEach((note, i) => {
      const stab = s.once(`s${note}`, () =>
        synth(hz(note), 0.16, { wave: 'saw', layers: 3, spread: 11, cutoff: 900, sweep: 3200, sweepTime: 0.12, release: 0.3, q: 1.2 }));
      for (const at of stabs) s.hit(stab, bar, at, { gain: 0.1, pan: -0.3 + 0.2 * i, echo: 0.15, room: 0.3, duck: true });
    });
    const low = degree(s.song, s.root(bar), -2);
    const bass = s.once(`b${low}`, () => synth(hz(low), 0.14, { wave: 'square', cutoff: 350, sweep: 900, q: 1.5, release: 0.1 }));
    if (energy > 0.4) for (const at of bassline) s.hit(bass, bar, at, { gain: 0.34, duck: true });
    if (energy < 0.9) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const lead = s.once(`l${note}`, () => fm(hz(note), 0.3, { ratio: 2, depth: 1.6, decay: 0.4, bright: 0.12 }));
      s.hit(lead, bar, n.step, { gain: 0.14 * n.accent, pan: 0.15, echo: 0.4, room: 0.3 });
    }
  }
  return { echoTime: s.beat * 0.75, feedback: 0.4, roomSize: 0.5, duckDepth: 0.65 };
}

/** Running bass, wide saws, a drum machine in a big hall. */
export function synthwave(s) {
  const kick = drums.kick({ base: 46, length: 0.36 });
  const snare = drums.snare(s.rng, { tone: 180, length: 0.32, snap: 1 });
  const hat = drums.hat(s.rng, 0.05);
  const arp = s.rng.pick([[0, 2, 4, 7], [7, 4, 2, 4], [0, 4, 7, 9]]);
  const tune = melody(s.rng, s.song.progression, { density: 0.35 });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const low = degree(s.song, s.root(bar), -2);
    const bass = s.once(`b${low}`, () => synth(hz(low), s.step * 0.8, { wave: 'saw', cutoff: 380, sweep: 1300, q: 1.3, release: 0.08 }));
    for (let at = 0; at < 16; at++) if (at % 4) s.hit(bass, bar, at, { gain: 0.27, duck: true });
    voicing(chord(s.song, s.root(bar), 3), 60).forEach((note, i) => {
      const pad = s.once(`p${note}`, () =>
        synth(hz(note), s.barSeconds * 0.95, { layers: 5, spread: 14, attack: 0.2, release: 0.6, cutoff: 2100 }));
      s.hit(pad, bar, 0, { gain: 0.1, pan: -0.5 + 0.5 * i, room: 0.35, duck: true });
    });
    if (energy > 0.4) {
      for (const at of [0, 8]) s.kick(kick, bar, at, { gain: 0.75 });
      for (const at of [4, 12]) s.hit(snare, bar, at, { gain: 0.4, room: 0.5 });
      for (let at = 0; at < 16; at += 2) s.hit(hat, bar, at, { gain: 0.09, pan: 0.3 });
    }
    if (energy > 0.6) {
      for (let at = 0; at < 16; at++) {
        const note = degree(s.song, s.root(bar) + arp[at % 4], at % 8 < 4 ? 1 : 0);
        const tone = s.once(`a${note}`, () => synth(hz(note), s.step * 0.6, { wave: 'pulse', cutoff: 2600, sweep: 2000, release: 0.12 }));
        s.hit(tone, bar, at, { gain: 0.07, pan: at % 2 ? 0.6 : -0.6, echo: 0.3 });
      }
    }
    if (energy < 0.9) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const lead = s.once(`l${note}/${n.length}`, () =>
        synth(hz(note), n.length * s.step, { layers: 2, spread: 8, cutoff: 3400, attack: 0.02, release: 0.25, vibrato: 0.004 }));
      s.hit(lead, bar, n.step, { gain: 0.17 * n.accent, echo: 0.35, room: 0.4 });
    }
  }
  return { echoTime: s.beat * 0.75, feedback: 0.45, roomSize: 0.75, duckDepth: 0.6 };
}

/** A fast broken beat under slow chords. */
export function jungle(s) {
  const kick = drums.kick({ base: 50, length: 0.26 });
  const snare = drums.snare(s.rng, { tone: 205, length: 0.2 });
  const hat = drums.hat(s.rng, 0.045);
  const ghost = [[7, 9, 15], [3, 7, 14], [7, 11, 15]];
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    voicing(chord(s.song, s.root(bar), 5), 63).forEach((note, i) => {
      const pad = s.once(`p${note}`, () =>
        synth(hz(note), s.barSeconds, { layers: 3, spread: 10, attack: 0.4, release: 1.2, cutoff: 1500 }));
      s.hit(pad, bar, 0, { gain: 0.085, pan: -0.6 + 0.3 * i, room: 0.6, duck: true });
    });
    if (bar % 2 === 0) {
      const note = degree(s.song, s.root(bar) + s.rng.pick([4, 7, 9]), 1);
      s.hit(s.once(`v${note}`, () => struck(hz(note), BARS.vibes)), bar, s.rng.pick([2, 6, 10]), { gain: 0.18, echo: 0.7, room: 0.5 });
    }
    if (energy < 0.4) continue;
    for (const at of [0, 10]) s.kick(kick, bar, at, { gain: 0.7 });
    for (const at of [4, 12]) s.hit(snare, bar, at, { gain: 0.5, room: 0.12 });
    for (const at of s.rng.pick(ghost)) s.hit(snare, bar, at, { gain: s.rng.between(0.1, 0.2) });
    for (let at = 0; at < 16; at += s.rng.pick([1, 2, 2])) s.hit(hat, bar, at, { gain: s.rng.between(0.05, 0.13), pan: 0.2 });
    if (energy < 0.6) continue;
    const low = degree(s.song, s.root(bar), -2);
    const reese = s.once(`r${low}`, () =>
      synth(hz(low), s.barSeconds * 0.55, { wave: 'saw', layers: 3, spread: 22, cutoff: 420, sweep: 500, sweepTime: 0.5, release: 0.15 }));
    s.hit(reese, bar, 0, { gain: 0.34, duck: true });
    s.hit(reese, bar, 10, { gain: 0.28, duck: true });
  }
  return { echoTime: s.beat * 1.5, feedback: 0.5, roomSize: 0.8, duckDepth: 0.45, fadeOut: 3 };
}

/** One chord, struck and left to echo. */
export function dub(s) {
  const kick = drums.kick({ base: 45, top: 120, length: 0.34, click: 0.1 });
  const hat = drums.hat(s.rng, 0.05);
  const rim = drums.rim(1250);
  const hits = euclid(s.rng.pick([3, 5]), 16, s.rng.int(0, 4));
  s.hit(drums.surf(s.rng, s.mix.seconds, 11), 0, 0, { gain: 0.07, tight: true });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    for (const at of [0, 4, 8, 12]) s.kick(kick, bar, at, { gain: 0.72 });
    for (const at of [2, 6, 10, 14]) if (energy > 0.4) s.hit(hat, bar, at, { gain: 0.11, pan: 0.15 });
    if (energy > 0.6) for (const at of [7, 12]) s.hit(rim, bar, at, { gain: 0.16, pan: -0.4, echo: 0.4 });
    const bright = 700 + 1500 * energy;
    voicing(chord(s.song, s.root(bar), 4), 58).forEach((note, i) => {
      const stab = s.once(`c${note}/${bright}`, () =>
        synth(hz(note), 0.1, { wave: 'saw', layers: 3, spread: 12, cutoff: bright * 0.5, sweep: bright, q: 1.8, release: 0.35 }));
      hits.forEach((on, at) => on && s.hit(stab, bar, at, { gain: 0.09, pan: -0.3 + 0.2 * i, echo: 0.6, room: 0.4, duck: true }));
    });
    const low = degree(s.song, s.root(bar), -2);
    const sub = s.once(`b${low}`, () => synth(hz(low), s.beat * 0.6, { wave: 'sine', attack: 0.02, release: 0.15 }));
    for (const at of [0, 6, 11]) if (energy > 0.4) s.hit(sub, bar, at, { gain: 0.42, duck: true });
  }
  return { echoTime: s.beat * 0.75, feedback: 0.66, roomSize: 0.85, duckDepth: 0.5, fadeOut: 4 };
}

/** Two pulses, a triangle and a noise channel. */
export function chip(s) {
  const kick = drums.kick({ base: 60, top: 300, length: 0.12, click: 0 });
  const snare = drums.chipNoise(s.rng, 0.12, 3);
  const hat = drums.chipNoise(s.rng, 0.03, 1);
  const tune = melody(s.rng, s.song.progression, { density: 0.75 });
  const tone = (wave, note, seconds) => s.once(`${wave}${note}/${seconds}`, () =>
    synth(hz(note), seconds, { wave, attack: 0.002, decay: 0.15, sustain: 0.55, release: 0.05, cutoff: 14000 }));
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const notes = chord(s.song, s.root(bar), 3);
    for (let at = 0; at < 16; at++) {
      s.hit(tone('pulse', notes[at % 3] + (at % 6 > 2 ? 12 : 0), s.step * 0.7), bar, at, { gain: 0.1, pan: -0.35, tight: true });
    }
    const low = degree(s.song, s.root(bar), -2);
    for (const at of [0, 3, 6, 8, 11, 14]) {
      s.hit(tone('triangle', low + (at % 8 ? 0 : 12), s.step * 1.4), bar, at, { gain: 0.36, tight: true });
    }
    if (energy > 0.4) {
      for (const at of [0, 6, 8]) s.kick(kick, bar, at, { gain: 0.5 });
      for (const at of [4, 12]) s.hit(snare, bar, at, { gain: 0.16, tight: true });
      for (let at = 2; at < 16; at += 4) s.hit(hat, bar, at, { gain: 0.08, tight: true });
    }
    if (energy < 0.6) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      s.hit(tone('square', note, n.length * s.step * 0.85), bar, n.step, { gain: 0.19 * n.accent, pan: 0.2, echo: 0.25, tight: true });
    }
  }
  return { echoTime: s.step * 3, feedback: 0.3, roomSize: 0, duckDepth: 0, fadeOut: 1 };
}

/** Rhythms that limp in several cycles at once, over soft glass. */
export function glitch(s) {
  const kick = drums.kick({ base: 50, top: 220, length: 0.2 });
  const clicks = [drums.rim(2100), drums.rim(3200), drums.chipNoise(s.rng, 0.02, 2), drums.hat(s.rng, 0.03)];
  const cycles = clicks.map(() => ({ length: s.rng.pick([5, 7, 9, 11, 13]), hits: s.rng.int(2, 4) }));
  const tune = melody(s.rng, s.song.progression, { density: 0.55 });
  let count = 0;
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    voicing(chord(s.song, s.root(bar), 4), 60).forEach((note, i) => {
      const pad = s.once(`p${note}`, () =>
        fm(hz(note), s.barSeconds * 0.9, { ratio: 0.5, depth: 0.7, attack: 0.5, decay: 4, release: 1, bright: 3 }));
      s.hit(pad, bar, 0, { gain: 0.1, pan: -0.5 + 0.33 * i, room: 0.6, duck: true });
    });
    for (let at = 0; at < 16; at++, count++) {
      clicks.forEach((click, c) => {
        const on = ((count % cycles[c].length) * cycles[c].hits) % cycles[c].length < cycles[c].hits;
        if (on && energy > 0.4) s.hit(click, bar, at, { gain: 0.12, pan: -0.7 + 0.45 * c, echo: 0.12 });
      });
      if (energy > 0.6 && euclid(5, 16, bar)[at]) s.kick(kick, bar, at, { gain: 0.55 });
    }
    if (energy > 0.6 && s.rng.chance(0.6)) {
      const from = s.rng.int(8, 12);
      for (let i = 0; i < 8; i++) s.hit(clicks[3], bar, from + i / 2, { gain: 0.04 + 0.02 * i, pan: 0.5 - i / 8 });
    }
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const glass = s.once(`g${note}`, () => fm(hz(note), 0.5, { ratio: 3.5, depth: 1.4, decay: 0.6, bright: 0.1 }));
      s.hit(glass, bar, n.step, { gain: 0.14 * n.accent, pan: s.rng.between(-0.4, 0.4), echo: 0.45, room: 0.4 });
    }
  }
  return { echoTime: s.step * 5, feedback: 0.45, roomSize: 0.7, duckDepth: 0.3 };
}
