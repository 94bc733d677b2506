// Styles of strings, wood and small metal: folk, bossa, music box, mallets.

import * as drums from './drums.mjs';
import { chord, degree, hz, melody, notesOf, voicing } from './theory.mjs';
import { BARS, pluck, struck, synth } from './voices.mjs';

/** A fingerpicked guitar, then a second one that sings. */
export function folk(s) {
  const shaker = drums.shaker(s.rng, 0.1);
  const stomp = drums.kick({ base: 55, top: 100, length: 0.22, click: 0 });
  const pattern = s.rng.pick([[0, 2, 1, 3, 0, 3, 1, 2], [0, 1, 2, 3, 2, 1, 2, 3], [0, 3, 2, 1, 2, 3, 1, 2]]);
  const tune = melody(s.rng, s.song.progression, { density: 0.45, barSteps: s.barSteps });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const low = degree(s.song, s.root(bar), -1);
    const notes = voicing(chord(s.song, s.root(bar), 3), 60).concat(degree(s.song, s.root(bar), 1));
    for (let i = 0; i * 2 < s.barSteps; i++) {
      const note = notes[pattern[i % 8]];
      const string = s.once(`g${note}`, () => pluck(s.rng, hz(note), 1.9, { tone: 0.32, body: 0.35 }));
      s.hit(string, bar, i * 2, { gain: i % 4 ? 0.2 : 0.26, pan: -0.25, room: 0.22 });
    }
    const bass = s.once(`b${low}`, () => pluck(s.rng, hz(low), 2.4, { tone: 0.25, body: 0.6 }));
    for (const at of [0, s.barSteps / 2]) s.hit(bass, bar, at, { gain: 0.3, pan: -0.1, room: 0.12 });
    if (energy > 0.6) {
      for (let at = 0; at < s.barSteps; at += 2) s.hit(shaker, bar, at, { gain: at % 4 ? 0.12 : 0.06, pan: 0.4 });
      for (const at of [0, 8]) s.hit(stomp, bar, at, { gain: 0.42 });
    }
    if (energy < 0.6) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const lead = s.once(`l${note}`, () => pluck(s.rng, hz(note), 2.2, { tone: 0.5, body: 0.25 }));
      s.hit(lead, bar, n.step, { gain: 0.2 * n.accent, pan: 0.35, room: 0.4, echo: 0.12 });
    }
  }
  return { echoTime: s.beat * 0.5, feedback: 0.25, roomSize: 0.55, duckDepth: 0, fadeOut: 3 };
}

/** Nylon chords that lean over the beat, a walking bass, brushes. */
export function bossa(s) {
  const shaker = drums.shaker(s.rng, 0.08);
  const rim = drums.rim(1500);
  const comp = s.rng.pick([[0, 3, 6, 10, 13], [0, 4, 7, 10, 14]]);
  const tune = melody(s.rng, s.song.progression, { density: 0.5 });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const notes = voicing(chord(s.song, s.root(bar), 5).slice(1), 61);
    for (const at of comp) {
      notes.forEach((note, i) => {
        const string = s.once(`n${note}`, () => pluck(s.rng, hz(note), 0.9, { tone: 0.3, body: 0.5 }));
        s.hit(string, bar, at + i * 0.04, { gain: 0.13, pan: -0.35 + 0.08 * i, room: 0.2 });
      });
    }
    const fifth = degree(s.song, s.root(bar) + 4, -2);
    const low = degree(s.song, s.root(bar), -2);
    for (const [at, note] of [[0, low], [6, low], [8, fifth], [14, fifth]]) {
      const bass = s.once(`b${note}`, () => pluck(s.rng, hz(note), 1.1, { tone: 0.2, body: 0.9 }));
      s.hit(bass, bar, at, { gain: 0.34, pan: 0.05 });
    }
    if (energy > 0.4) {
      for (let at = 0; at < 16; at++) s.hit(shaker, bar, at, { gain: at % 2 ? 0.05 : 0.1, pan: 0.35 });
      for (const at of bar % 2 ? [2, 5, 10, 13] : [0, 3, 6, 10, 13]) s.hit(rim, bar, at, { gain: 0.12, pan: 0.2, room: 0.2 });
    }
    if (energy < 0.6) continue;
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      const lead = s.once(`v${note}`, () => struck(hz(note), BARS.vibes));
      s.hit(lead, bar, n.step, { gain: 0.2 * n.accent, pan: 0.25, room: 0.45 });
    }
  }
  return { echoTime: s.beat * 0.5, feedback: 0.2, roomSize: 0.5, duckDepth: 0 };
}

/** A waltz from a small machine with a crank. */
export function musicbox(s) {
  const tune = melody(s.rng, s.song.progression, { density: 0.6, barSteps: s.barSteps });
  const second = melody(s.rng.fork('second'), s.song.progression, { density: 0.35, barSteps: s.barSteps });
  const tine = (note, kind) => s.once(`${kind}${note}`, () => struck(hz(note), BARS[kind]));
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const notes = voicing(chord(s.song, s.root(bar), 3), 66);
    s.hit(tine(degree(s.song, s.root(bar), -1), 'celesta'), bar, 0, { gain: 0.26, pan: -0.2, room: 0.3 });
    for (const at of [4, 8]) for (const note of notes) s.hit(tine(note, 'celesta'), bar, at, { gain: 0.1, pan: -0.3, room: 0.3 });
    for (const n of notesOf(tune, s, bar)) {
      s.hit(tine(degree(s.song, n.degree, 2), 'musicbox'), bar, n.step, { gain: 0.2 * n.accent, pan: 0.2, room: 0.5 });
    }
    if (energy < 0.6) continue;
    for (const n of notesOf(second, s, bar)) {
      s.hit(tine(degree(s.song, n.degree + 2, 1), 'kalimba'), bar, n.step + 2, { gain: 0.16 * n.accent, pan: -0.45, room: 0.4, echo: 0.2 });
    }
    if (energy > 0.9) {
      notes.forEach((note, i) => {
        const string = s.once(`st${note}`, () =>
          synth(hz(note), s.barSeconds, { layers: 3, spread: 8, attack: 0.5, release: 0.8, cutoff: 1400 }));
        s.hit(string, bar, 0, { gain: 0.06, pan: -0.4 + 0.4 * i, room: 0.5 });
      });
    }
  }
  return { echoTime: s.beat, feedback: 0.25, roomSize: 0.7, duckDepth: 0, fadeOut: 3 };
}

/** Interlocking marimbas and hand drums, three against four. */
export function mallets(s) {
  const low = drums.tom(92, 0.35);
  const high = drums.tom(185, 0.18);
  const shaker = drums.shaker(s.rng, 0.07);
  const bell = drums.rim(2600);
  const one = s.rng.pick([[0, 2, 4, 2], [0, 4, 2, 5], [4, 2, 0, 2]]);
  const two = s.rng.pick([[7, 4, 5], [7, 9, 4], [4, 7, 6]]);
  const bar1 = (note) => s.once(`m${note}`, () => struck(hz(note), BARS.marimba));
  const tune = melody(s.rng, s.song.progression, { density: 0.6, barSteps: s.barSteps });
  for (let bar = 0; bar < s.song.bars; bar++) {
    const energy = s.energy(bar);
    const steps = s.barSteps;
    for (let i = 0; i < steps; i += 2) {
      s.hit(bar1(degree(s.song, s.root(bar) + one[(i / 2) % 4])), bar, i, { gain: 0.24, pan: -0.45, room: 0.2 });
    }
    if (energy > 0.4) {
      for (let i = 0; i < steps; i += 3) {
        s.hit(bar1(degree(s.song, s.root(bar) + two[(i / 3) % 3])), bar, i, { gain: 0.18, pan: 0.45, room: 0.25 });
      }
      for (const at of [0, 7, 10].filter((x) => x < steps)) s.hit(low, bar, at, { gain: 0.42, pan: -0.1 });
      for (const at of [4, 6, 11].filter((x) => x < steps)) s.hit(high, bar, at, { gain: 0.26, pan: 0.15 });
    }
    const bass = degree(s.song, s.root(bar), -2);
    const tone = s.once(`b${bass}`, () => synth(hz(bass), s.beat * 0.7, { wave: 'triangle', cutoff: 700, decay: 0.4, sustain: 0.4 }));
    for (const at of [0, 6, 10].filter((x) => x < steps)) s.hit(tone, bar, at, { gain: 0.4 });
    if (energy < 0.6) continue;
    for (let at = 0; at < steps; at += 2) s.hit(shaker, bar, at, { gain: at % 4 ? 0.1 : 0.06, pan: 0.3 });
    for (const at of [0, 4, 6, 10].filter((x) => x < steps)) s.hit(bell, bar, at, { gain: 0.07, pan: 0.5 });
    for (const n of notesOf(tune, s, bar)) {
      const note = degree(s.song, n.degree, 1);
      s.hit(s.once(`k${note}`, () => struck(hz(note), BARS.kalimba)), bar, n.step, { gain: 0.28 * n.accent, room: 0.35, echo: 0.15 });
    }
  }
  return { echoTime: s.step * 3, feedback: 0.25, roomSize: 0.45, duckDepth: 0 };
}
