// A thread that renders one song or picture at a time and has ffmpeg encode it into the cache.

import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { parentPort } from 'node:worker_threads';
import { drawPicture } from '../art/draw.mjs';
import { renderSong } from '../music/render.mjs';

const OUTPUT = {
  mp3: ['-c:a', 'libmp3lame', '-q:a', '4', '-compression_level', '7', '-f', 'mp3'],
  m4a: ['-c:a', 'aac', '-aac_coder', 'fast', '-b:a', '128k', '-movflags', '+faststart', '-f', 'ipod'],
  jpg: ['-frames:v', '1', '-q:v', '2', '-f', 'mjpeg'],
};

function encode({ format, spec, file }) {
  const picture = format === 'jpg';
  const bytes = picture ? drawPicture(spec) : renderSong(spec);
  const input = picture ? ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${spec.size}x${spec.size}`] : ['-f', 'wav'];
  const title = spec.title ? ['-metadata', `title=${spec.title}`, '-metadata', `artist=${spec.artist}`] : [];
  const args = ['-loglevel', 'error', '-y', ...input, '-i', 'pipe:0', ...title, ...OUTPUT[format], `${file}.part`];
  const run = spawnSync('ffmpeg', args, { input: bytes });
  if (run.error) throw new Error(`ffmpeg: ${run.error.message}`);
  if (run.status !== 0) throw new Error(`ffmpeg: ${run.stderr}`);
  fs.renameSync(`${file}.part`, file);
}

parentPort.on('message', (job) => {
  try {
    encode(job);
    parentPort.postMessage({ id: job.id });
  } catch (err) {
    parentPort.postMessage({ id: job.id, error: err.message });
  }
});
