// Songs and pictures as files: rendered by a few threads, kept in a cache named by what they are made from.

import crypto from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';

export const MIME = { mp3: 'audio/mpeg', m4a: 'audio/mp4', jpg: 'image/jpeg' };

/** A studio over a cache directory. `make` gives the path of the finished file; jobs are taken in the order asked for. */
export function openStudio(dir, threads = Math.max(1, Math.min(4, os.availableParallelism()))) {
  fs.mkdirSync(dir, { recursive: true });
  const source = sourceDigest();
  const waiting = [];
  const idle = [];
  const all = [];
  let closed = false;
  const running = new Map();
  const promised = new Map();

  const startThread = () => {
    const worker = new Worker(new URL('./worker.mjs', import.meta.url));
    const finish = (error) => {
      const job = running.get(worker);
      running.delete(worker);
      if (error) job?.reject(new Error(error));
      else job?.resolve(job.file);
    };
    worker.on('message', ({ error }) => {
      finish(error);
      idle.push(worker);
      next();
    });
    worker.on('error', (err) => finish(err.message));
    worker.unref();
    all.push(worker);
    return worker;
  };
  const next = () => {
    while (waiting.length && !closed) {
      const worker = idle.pop() ?? (all.length < threads ? startThread() : undefined);
      if (!worker) return;
      const job = waiting.shift();
      worker.ref();
      running.set(worker, job);
      worker.postMessage({ format: job.format, spec: job.spec, file: job.file });
    }
    for (const worker of idle) worker.unref();
  };
  const order = (format, spec, file) =>
    new Promise((resolve, reject) => {
      waiting.push({ format, spec, file, resolve, reject });
      next();
    });
  const make = (format, spec) => {
    const key = crypto.createHash('sha256').update(JSON.stringify([source, format, spec])).digest('hex').slice(0, 24);
    const file = path.join(dir, `${key}.${format}`);
    if (!promised.has(key)) promised.set(key, fs.existsSync(file) ? Promise.resolve(file) : order(format, spec, file));
    return promised.get(key);
  };
  const close = async () => {
    closed = true;
    await Promise.all(all.map((worker) => worker.terminate()));
  };
  return { make, close };
}

// The generators' own text is part of a file's name: change a drum and the songs are rendered anew.
function sourceDigest() {
  const hash = crypto.createHash('sha256');
  for (const folder of ['music', 'art', 'media']) {
    const dir = new URL(`../${folder}/`, import.meta.url);
    for (const name of fs.readdirSync(dir).sort()) hash.update(fs.readFileSync(new URL(name, dir)));
  }
  return hash.digest('hex');
}
