// Writes the planned community to a PDS, step by step. Every step leaves alone what an earlier run already wrote.

import fs from 'node:fs';
import * as records from './records.mjs';
import { avatarOf } from './plan.mjs';
import { MIME } from '../media/studio.mjs';
import { mapLimit, startStep } from '../lib/progress.mjs';
import { tid } from '../lib/tid.mjs';
import { ensureRecords, listRecords, procedure, putRecord, query, signIn, uploadBlob } from '../lib/xrpc.mjs';

const ABREAST = 4; // requests to the PDS at a time: it is one thread, and two more are busy with sound

/** Creates the accounts that are missing and signs in to the others. Gives sessions by handle. */
export async function writeAccounts({ pds, people, password }) {
  const step = startStep('accounts', people.length);
  const sessions = await mapLimit(people, ABREAST, async ({ handle, name }) => {
    const session = (await known(pds, handle))
      ? await signIn(pds, { handle, password })
      : await signUp(pds, { handle, password });
    step.tick();
    return [handle, { ...session, name }];
  });
  step.done();
  return new Map(sessions);
}

async function known(pds, handle) {
  try {
    return (await query(pds, 'com.atproto.identity.resolveHandle', { handle })).did;
  } catch (err) {
    if (err.status === 400) return undefined;
    throw err;
  }
}

async function signUp(pds, { handle, password }) {
  const email = `${handle.split('.')[0]}@example.com`;
  const made = await procedure(pds, 'com.atproto.server.createAccount', { handle, email, password });
  return { base: pds, did: made.did, handle, password, token: made.accessJwt };
}

/** Profiles of everybody, with their pictures. */
export async function writeProfiles({ people, sessions, studio, nowMs }) {
  const step = startStep('profiles', people.length);
  await mapLimit(people, ABREAST, async (person, i) => {
    const session = sessions.get(person.handle);
    const file = await studio.make('jpg', avatarOf(person));
    if ((await listRecords(session.base, session.did, 'fm.plyr.actor.profile')).length === 0) {
      const avatar = await uploadBlob(session, fs.readFileSync(file), MIME.jpg);
      await putRecord(session, 'app.bsky.actor.profile', 'self', records.bskyProfile(person, avatar));
      const joinedMs = nowMs - (200 - i) * 86_400_000;
      await putRecord(session, 'fm.plyr.actor.profile', 'self', records.plyrProfile(person, joinedMs));
    }
    step.tick();
  });
  step.done();
}

/** Publishes one track: both blobs, then the record at its planned key. Gives `{uri, cid}`. */
export async function publishTrack(track, session, sessions, files) {
  const audio = await uploadBlob(session, fs.readFileSync(files.audio), MIME[track.format]);
  const image = await uploadBlob(session, fs.readFileSync(files.cover), MIME.jpg);
  const value = records.trackRecord(track, audio, image, sessions);
  return putRecord(session, 'fm.plyr.track', track.rkey, value);
}

/** All tracks, in the order their sound is ready. Gives `{uri, cid}` by the track's key. */
export async function writeTracks({ tracks, sessions, studio }) {
  const step = startStep('tracks', tracks.length);
  const refs = new Map();
  await mapLimit(tracks, ABREAST, async (track) => {
    const [cover, audio] = await Promise.all([studio.make('jpg', track.cover), studio.make(track.format, track.song)]);
    const session = sessions.get(track.artist.handle);
    const there = await existing(session, track.rkey);
    refs.set(track.key, there ?? (await publishTrack(track, session, sessions, { audio, cover })));
    step.tick();
  });
  step.done();
  return refs;
}

async function existing(session, rkey) {
  try {
    const params = { repo: session.did, collection: 'fm.plyr.track', rkey };
    const { uri, cid } = await query(session.base, 'com.atproto.repo.getRecord', params);
    return { uri, cid };
  } catch (err) {
    if (err.status === 400) return undefined;
    throw err;
  }
}

/** Where a track's page is, for the records that link to it. */
export function whereOf(track, sessions, publicUrl) {
  return { publicUrl, did: sessions.get(track.artist.handle).did, rkey: track.rkey };
}

// Each collection's records of the plan: which entries, and what a record says of one.
const COLLECTIONS = [
  ['likes', 'fm.plyr.like', (plan) => plan.likes, (like, at) => records.likeRecord(at.ref(like.track), like.atMs)],
  ['comments', 'fm.plyr.comment', (plan) => plan.comments, (c, at) => records.commentRecord(at.ref(c.track), c)],
  ['lists', 'fm.plyr.list', (plan) => plan.lists, (list, at) => records.listRecord(list, list.tracks.map(at.ref))],
  ['plays', 'fm.teal.feed.play', (plan) => plan.plays.filter((play) => !play.alpha),
    (play, at) => records.playRecord(play.track, at.where(play.track), play.atMs)],
  ['plays of before', 'fm.teal.alpha.feed.play', (plan) => plan.plays.filter((play) => play.alpha),
    (play, at) => records.alphaPlayRecord(play.track, at.where(play.track), play.atMs)],
];

/** Likes, comments, lists and plays: a person's own one after the other, some people side by side. */
export async function writeSocial({ plan, sessions, refs, publicUrl }) {
  const at = { ref: (track) => refs.get(track.key), where: (track) => whereOf(track, sessions, publicUrl) };
  for (const [name, collection, entriesOf, recordOf] of COLLECTIONS) {
    const entries = entriesOf(plan);
    const step = startStep(name, entries.length);
    await mapLimit(plan.people, ABREAST, async (person) => {
      const own = entries.filter((entry) => entry.by.handle === person.handle).sort((a, b) => a.atMs - b.atMs);
      const values = own.map((entry, i) => ({ rkey: tid(entry.atMs, i), value: recordOf(entry, at) }));
      if (values.length) await ensureRecords(sessions.get(person.handle), collection, values, 12);
      step.tick(own.length);
    });
    step.done();
  }
}

/** What people listen to right now. */
export async function writeStatuses({ plan, sessions, publicUrl, nowMs }) {
  const step = startStep('statuses', plan.statuses.length);
  await mapLimit(plan.statuses, ABREAST, async ({ by, track, alpha }) => {
    const where = whereOf(track, sessions, publicUrl);
    const session = sessions.get(by.handle);
    if (alpha) await putRecord(session, 'fm.teal.alpha.actor.status', 'self', records.alphaStatusRecord(track, where, nowMs));
    else await putRecord(session, 'fm.teal.actor.status', 'self', records.statusRecord(track, where, nowMs));
    step.tick();
  });
  step.done();
}
