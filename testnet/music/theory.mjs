// Notes, scales, chords, rhythms and melodies, as numbers.

export const SCALES = {
  major: [0, 2, 4, 5, 7, 9, 11],
  minor: [0, 2, 3, 5, 7, 8, 10],
  dorian: [0, 2, 3, 5, 7, 9, 10],
  lydian: [0, 2, 4, 6, 7, 9, 11],
  mixolydian: [0, 2, 4, 5, 7, 9, 10],
  phrygian: [0, 1, 3, 5, 7, 8, 10],
  pentatonic: [0, 2, 4, 7, 9],
};

/** Frequency in Hz of a MIDI note number (69 is 440 Hz). */
export const hz = (midi) => 440 * 2 ** ((midi - 69) / 12);

/** MIDI note of a scale degree (0 is the root; negative and beyond the octave both work). */
export function degree(song, n, octave = 0) {
  const scale = SCALES[song.scale];
  const turn = Math.floor(n / scale.length);
  return song.root + 12 * (octave + turn) + scale[n - turn * scale.length];
}

/** A chord built in thirds on a degree: `size` 3 is a triad, 4 a seventh, 5 a ninth. */
export function chord(song, n, size = 3, octave = 0) {
  return Array.from({ length: size }, (_, i) => degree(song, n + 2 * i, octave));
}

/** The same chord with its notes moved by octaves so that it lies as near as it can to `centre`. */
export function voicing(notes, centre) {
  return notes.map((note) => note + 12 * Math.round((centre - note) / 12)).sort((a, b) => a - b);
}

/** `hits` spread as evenly as possible over `steps`: true where one falls. */
export function euclid(hits, steps, rotate = 0) {
  return Array.from({ length: steps }, (_, i) => (((i + rotate) % steps) * hits) % steps < hits);
}

/**
 * A melody over a chord progression: a short motif is invented once and repeated with the chords, so that it is
 * remembered. Gives `[{step, length, degree, accent}]`, steps counted in 16ths from the start.
 */
export function melody(rng, progression, { barSteps = 16, density = 0.5, range = 7, restBars = 0 }) {
  const motif = motifOf(rng, barSteps, density);
  const answer = motifOf(rng, barSteps, density * 0.8);
  const notes = [];
  progression.forEach((root, bar) => {
    if (restBars && bar % restBars === restBars - 1) return;
    const shape = bar % 4 === 3 ? answer : motif;
    shape.forEach(({ step, length, move }, i) => {
      // Strong places take a note of the chord, weak ones step away from it.
      const base = step % 4 === 0 ? root + [0, 2, 4][Math.abs(move) % 3] : root + move;
      const place = ((base % range) + range) % range;
      notes.push({ step: bar * barSteps + step, length, degree: place, accent: i === 0 ? 1 : 0.8 });
    });
  });
  return notes;
}

function motifOf(rng, barSteps, density) {
  const out = [];
  let step = rng.chance(0.6) ? 0 : 2;
  let move = rng.int(0, 4);
  while (step < barSteps) {
    const length = rng.pick(density > 0.6 ? [1, 2, 2, 3] : [2, 3, 4, 4, 6]);
    if (step === 0 || rng.chance(0.45 + density * 0.5)) out.push({ step, length: Math.min(length, barSteps - step), move });
    step += length;
    move += rng.pick([-2, -1, -1, 1, 1, 2, 3]);
  }
  return out;
}

/** The notes of a melody that fall into `bar`, with their step counted inside it. */
export function notesOf(tune, stage, bar) {
  const within = bar % stage.song.progression.length;
  return tune
    .filter((n) => Math.floor(n.step / stage.barSteps) === within)
    .map((n) => ({ ...n, step: n.step - within * stage.barSteps }));
}
