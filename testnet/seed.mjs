// Fills a PDS with a small community of musicians and listeners. `--help` says how.

import fs from 'node:fs';
import path from 'node:path';
import { avatarOf, planCommunity } from './community/plan.mjs';
import { writeAccounts, writeProfiles, writeSocial, writeStatuses, writeTracks } from './community/write.mjs';
import { readJson, writeJson } from './lib/files.mjs';
import { query } from './lib/xrpc.mjs';
import { openStudio } from './media/studio.mjs';

const HELP = `usage: seed.mjs DIR

Writes artists, tracks (generated sound and covers), likes, comments, lists and plays to the PDS at PDS_URL.
DIR keeps the cache of sound and pictures (media/), the state of the seeding (seed.json) and the accounts made,
with their passwords (accounts.json). A second run does nothing; an interrupted one is continued.

  PDS_URL         http://localhost:2583
  PUBLIC_URL      http://127.0.0.1:3000   the web player, as the plays link to it
  SEED            plyr                    another word, another community
  SEED_NOW        the moment (ISO 8601) before which everything happened; now
  SEED_PASSWORD   listen-closely          of all accounts
  SEED_TRACKS     only the first so many tracks (for quick tests)`;

/** The state to go on from: this directory's, as long as the PDS still holds the accounts it speaks of. */
async function loadState(dir, pds) {
  const state = readJson(path.join(dir, 'seed.json'));
  const account = readJson(path.join(dir, 'accounts.json'))?.[0];
  if (state && account) {
    const { did } = await query(pds, 'com.atproto.identity.resolveHandle', { handle: account.handle }).catch(() => ({}));
    if (did === account.did) return state;
  } else if (state) {
    return state;
  }
  const nowMs = Math.floor((process.env.SEED_NOW ? Date.parse(process.env.SEED_NOW) : Date.now()) / 1000) * 1000;
  if (Number.isNaN(nowMs)) throw new Error(`SEED_NOW=${process.env.SEED_NOW} is not a date`);
  return { seed: process.env.SEED || 'plyr', nowMs, password: process.env.SEED_PASSWORD || 'listen-closely', done: false };
}

function limitTracks(plan, count) {
  const tracks = new Set(plan.tracks.slice(0, count));
  const kept = (entries) => entries.filter((entry) => tracks.has(entry.track));
  return {
    people: plan.people, tracks: [...tracks], likes: kept(plan.likes), comments: kept(plan.comments), plays: kept(plan.plays),
    statuses: kept(plan.statuses),
    lists: plan.lists.map((list) => ({ ...list, tracks: list.tracks.filter((track) => tracks.has(track)) })),
  };
}

async function main() {
  const [dir] = process.argv.slice(2).filter((arg) => !arg.startsWith('-'));
  if (!dir || process.argv.includes('--help')) {
    console.log(HELP);
    process.exit(dir || process.argv.includes('--help') ? 0 : 2);
  }
  const pds = process.env.PDS_URL || 'http://localhost:2583';
  const publicUrl = process.env.PUBLIC_URL || 'http://127.0.0.1:3000';
  const started = performance.now();
  fs.mkdirSync(dir, { recursive: true });
  const state = await loadState(dir, pds);
  if (state.done) return console.log('  the community is already there');
  writeJson(path.join(dir, 'seed.json'), state);

  const { password, nowMs } = state;
  const whole = planCommunity(state.seed, nowMs);
  const plan = process.env.SEED_TRACKS ? limitTracks(whole, Number(process.env.SEED_TRACKS)) : whole;
  const studio = openStudio(path.join(dir, 'media'));
  // Asked for before the first account exists: the threads render while the PDS is busy with its own work.
  const media = plan.people.map((person) => studio.make('jpg', avatarOf(person)));
  for (const track of plan.tracks) media.push(studio.make('jpg', track.cover), studio.make(track.format, track.song));
  for (const file of media) file.catch(() => {}); // reported where it is awaited

  const sessions = await writeAccounts({ pds, people: plan.people, password });
  const accounts = plan.people.map(({ handle, name, style }) => {
    return { handle, name, did: sessions.get(handle).did, password, role: style ? 'artist' : 'listener' };
  });
  writeJson(path.join(dir, 'accounts.json'), accounts, 0o600);
  await writeProfiles({ people: plan.people, sessions, studio, nowMs });
  const refs = await writeTracks({ tracks: plan.tracks, sessions, studio });
  await writeSocial({ plan, sessions, refs, publicUrl });
  await writeStatuses({ plan, sessions, publicUrl, nowMs });
  writeJson(path.join(dir, 'seed.json'), { ...state, done: true, tracks: plan.tracks.length });
  await studio.close();
  console.log(`  seeded in ${((performance.now() - started) / 1000).toFixed(1)} s`);
}

try {
  await main();
} catch (err) {
  console.error(`seeding failed: ${err.message}`);
  process.exit(1);
}
