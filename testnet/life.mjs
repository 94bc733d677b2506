// Keeps a seeded community alive: every few seconds somebody likes, writes, plays or publishes. `--help` says how.

import path from 'node:path';
import { makeEvents } from './community/events.mjs';
import { makeRng } from './lib/rng.mjs';
import { openSessions, readAccounts } from './lib/sessions.mjs';
import { followParent } from './lib/parent.mjs';
import { openStudio } from './media/studio.mjs';

const HELP = `usage: life.mjs DIR [--with-parent]

Goes on writing to the PDS at PDS_URL in the names of the accounts that seed.mjs left in DIR. One line per event.

  --with-parent   end when the parent process ends
  PDS_URL         http://localhost:2583
  PUBLIC_URL      http://127.0.0.1:3000
  LIFE_MIN_MS, LIFE_MAX_MS   2000, 5000: how long between two events
  LIFE_EVENTS     stop after so many
  LIFE_ONLY       a comma list of kinds: like, unlike, comment, uncomment, play, status, track, profile
  LIFE_SEED       a word for the same choices again`;

// How often each kind comes up, relative to the others.
const SHARES = { like: 30, unlike: 7, comment: 14, uncomment: 4, play: 28, status: 12, track: 1, profile: 2 };

const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function chooser(rng, only) {
  const kinds = Object.entries(SHARES).filter(([kind]) => !only || only.includes(kind));
  const total = kinds.reduce((sum, [, share]) => sum + share, 0);
  return () => {
    let at = rng.float() * total;
    return kinds.find(([, share]) => (at -= share) < 0)?.[0] ?? kinds[0][0];
  };
}

async function main() {
  const [dir] = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
  if (!dir || process.argv.includes('--help')) {
    console.log(HELP);
    process.exit(dir || process.argv.includes('--help') ? 0 : 2);
  }
  if (process.argv.includes('--with-parent')) followParent(() => process.exit(0));
  const env = process.env;
  const base = env.PDS_URL || 'http://localhost:2583';
  const rng = makeRng(env.LIFE_SEED || `life/${Date.now()}`);
  const accounts = readAccounts(dir);
  const studio = openStudio(path.join(dir, 'media'), 1);
  const events = await makeEvents({
    rng, accounts, studio, base, session: openSessions(base, accounts), publicUrl: env.PUBLIC_URL || 'http://127.0.0.1:3000',
  });
  const choose = chooser(rng, env.LIFE_ONLY?.split(','));
  const [min, max] = [Number(env.LIFE_MIN_MS || 2000), Number(env.LIFE_MAX_MS || 5000)];
  for (let count = 0; count < Number(env.LIFE_EVENTS || Infinity); ) {
    const kind = choose();
    try {
      // An event that has nothing to act on (nobody left to like) says nothing; another is drawn.
      const said = await events[kind]();
      if (!said) {
        await wait(20);
        continue;
      }
      console.log(`${new Date().toISOString().slice(11, 19)} ${kind.padEnd(9)} ${said}`);
    } catch (err) {
      console.error(`${kind}: ${err.message}${err.cause ? ` (${err.cause.message})` : ''}`);
    }
    count++;
    await wait(rng.between(min, max));
  }
  await studio.close();
}

await main();
