// Small JSON files that are either wholly there or not at all.

import fs from 'node:fs';

/** The value in a JSON file; undefined when there is none. */
export function readJson(file) {
  return fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined;
}

/** Replaces a JSON file in one step. */
export function writeJson(file, value, mode = 0o644) {
  fs.writeFileSync(`${file}.new`, JSON.stringify(value, null, 1), { mode });
  fs.renameSync(`${file}.new`, file);
}
