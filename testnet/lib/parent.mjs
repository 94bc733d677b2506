// Ends a helper process together with the one that started it.

import fs from 'node:fs';

/** Calls `end` once the parent process is gone, or standard input is closed where it is a pipe. */
export function followParent(end) {
  const parent = process.ppid;
  setInterval(() => process.ppid === parent || end(), 250).unref();
  const stdin = fs.fstatSync(0);
  if (!stdin.isFIFO() && !stdin.isSocket()) return;
  process.stdin.on('end', end).on('close', end).on('error', end).resume();
}
