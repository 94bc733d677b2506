// What the demo does with the web side: waits until the tracks can be played, opens the page.

import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { startStep } from './progress.mjs';

/** Waits until plyr is healthy and the `expected` newest tracks (at most 100) all have sound. Gives how many there are. */
export async function waitForTracks(web, expected, timeoutMs = 180_000) {
  const wanted = Math.min(expected, 100);
  const until = Date.now() + timeoutMs;
  while (!(await getJson(`${web}/xrpc/_health`))) {
    if (Date.now() > until) throw new Error(`${web} did not become healthy within ${timeoutMs / 1000} s`);
    await wait(100);
  }
  let step;
  let playable = 0;
  while (Date.now() < until) {
    const { tracks = [] } = (await getJson(`${web}/xrpc/fm.plyr.feed.getLatest?limit=100`)) ?? {};
    const now = tracks.filter((track) => track.audio).length;
    if (tracks.length && !step) step = startStep('tracks to play', wanted);
    step?.tick(now - playable);
    playable = now;
    if (playable >= wanted && playable === tracks.length) break;
    await wait(250);
  }
  if (playable === 0) throw new Error(`no track could be played after ${timeoutMs / 1000} s`);
  step.done(playable < wanted ? `, ${playable} of them so far` : '');
  return playable;
}

async function getJson(url) {
  try {
    const res = await fetch(url, { signal: AbortSignal.timeout(5000) });
    return res.ok ? await res.json() : undefined;
  } catch {
    return undefined; // not up yet
  }
}

/** Opens a page in the user's browser where there is one; `DEMO_OPEN=0` forbids it. */
export function openBrowser(url) {
  const { DISPLAY, WAYLAND_DISPLAY, DEMO_OPEN, PATH = '' } = process.env;
  if (DEMO_OPEN === '0' || !(DISPLAY || WAYLAND_DISPLAY)) return;
  const opener = PATH.split(':').map((dir) => `${dir}/xdg-open`).find((file) => fs.existsSync(file));
  if (opener) spawn(opener, [url], { detached: true, stdio: 'ignore' }).on('error', () => {}).unref();
}
