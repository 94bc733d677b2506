// From a song's description to a WAV file in memory.

import * as acoustic from './acoustic.mjs';
import * as calm from './calm.mjs';
import * as dance from './dance.mjs';
import { finish } from './mixer.mjs';
import { makeStage } from './stage.mjs';
import { RATE } from './voices.mjs';

const STYLES = { ...acoustic, ...calm, ...dance };

/** Renders a song (see `makeStage`; `style` names a function of the style files) to 16-bit stereo WAV. */
export function renderSong(song) {
  const stage = makeStage(song);
  const { left, right } = finish(stage.mix, STYLES[song.style](stage));
  return wav(left, right);
}

function wav(left, right) {
  const dataBytes = left.length * 4;
  const out = Buffer.alloc(44 + dataBytes);
  out.write('RIFF', 0);
  out.writeUInt32LE(36 + dataBytes, 4);
  out.write('WAVEfmt ', 8);
  out.writeUInt32LE(16, 16); // size of the format chunk
  out.writeUInt16LE(1, 20); // PCM
  out.writeUInt16LE(2, 22); // channels
  out.writeUInt32LE(RATE, 24);
  out.writeUInt32LE(RATE * 4, 28); // bytes a second
  out.writeUInt16LE(4, 32); // bytes a frame
  out.writeUInt16LE(16, 34); // bits a sample
  out.write('data', 36);
  out.writeUInt32LE(dataBytes, 40);
  const samples = new Int16Array(out.buffer, out.byteOffset + 44, left.length * 2);
  for (let i = 0; i < left.length; i++) {
    samples[2 * i] = Math.max(-32768, Math.min(32767, left[i] * 32767));
    samples[2 * i + 1] = Math.max(-32768, Math.min(32767, right[i] * 32767));
  }
  return out;
}
