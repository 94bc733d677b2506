// What may happen next in a living community: one function per kind of event, each writing to a PDS.

import { ARTISTS, LISTENERS, planComment, planTrack } from './plan.mjs';
import * as records from './records.mjs';
import { NEW_DESCRIPTIONS } from './words.mjs';
import { publishTrack } from './write.mjs';
import { tid } from '../lib/tid.mjs';
import { as, deleteRecord, listRecords, putRecord, query } from '../lib/xrpc.mjs';

const PEOPLE = [...ARTISTS, ...LISTENERS];
const rkeyOf = (uri) => uri.split('/').at(-1);

/** What stands on the PDS now: all tracks, oldest first, and who likes which. */
async function readWorld(base, accounts) {
  const world = { tracks: [], likes: [], comments: [] };
  for (const account of accounts) {
    const person = PEOPLE.find(({ handle }) => handle === account.handle);
    if (!person || !(await isActive(base, account.did))) continue;
    for (const { uri, cid, value } of person.style ? await listRecords(base, account.did, 'fm.plyr.track') : []) {
      const { title, album, duration } = value;
      world.tracks.push({ artist: person, title, album, duration, ref: { uri, cid }, did: account.did, rkey: rkeyOf(uri) });
    }
    for (const { uri, value } of await listRecords(base, account.did, 'fm.plyr.like')) {
      world.likes.push({ by: person, uri, subject: value.subject.uri });
    }
  }
  world.tracks.sort((a, b) => (a.rkey < b.rkey ? -1 : 1));
  return world;
}

async function isActive(base, did) {
  const status = await query(base, 'com.atproto.sync.getRepoStatus', { did }).catch(() => undefined);
  return status?.active ?? false;
}

/** The kinds of events over one PDS. Each gives a line to say, or nothing when there was nothing to do. */
export async function makeEvents({ rng, accounts, session, studio, base, publicUrl }) {
  const world = await readWorld(base, accounts);
  const sessions = new Map(accounts.map((account) => [account.handle, account]));
  // Recent tracks are heard more.
  const someTrack = () => world.tracks[Math.floor(world.tracks.length * rng.float() ** 0.8)];
  const someone = (but) => {
    const others = PEOPLE.filter((person) => person !== but);
    return rng.chance(0.75) ? rng.pick(others.filter((person) => !person.style)) : rng.pick(others);
  };
  const where = (track) => ({ publicUrl, did: track.did, rkey: track.rkey });
  const newKey = () => tid(Date.now(), rng.int(0, 1023));

  const like = async () => {
    const track = someTrack();
    const by = someone(track.artist);
    if (world.likes.some((known) => known.by === by && known.subject === track.ref.uri)) return undefined;
    const made = await putRecord(await session(by.handle), 'fm.plyr.like', newKey(), records.likeRecord(track.ref, Date.now()));
    world.likes.push({ by, uri: made.uri, subject: track.ref.uri });
    return `${by.name} ♥ ${track.title}`;
  };
  const unlike = async () => {
    if (world.likes.length < 100) return undefined;
    const [gone] = world.likes.splice(rng.int(0, world.likes.length - 1), 1);
    await deleteRecord(await session(gone.by.handle), 'fm.plyr.like', rkeyOf(gone.uri));
    return `${gone.by.name} takes a like back`;
  };
  const comment = async () => {
    const track = someTrack();
    const by = someone(track.artist);
    const planned = planComment(rng, by, track, Date.now());
    const made = await putRecord(await session(by.handle), 'fm.plyr.comment', newKey(), records.commentRecord(track.ref, planned));
    world.comments.push({ by, uri: made.uri });
    return `${by.name} on ${track.title}: ${planned.text}`;
  };
  // Only comments of this run are removed, and more the more there are: a demo left alone for days does not fill up.
  const uncomment = async () => {
    if (!rng.chance(world.comments.length / 60)) return undefined;
    const [gone] = world.comments.splice(rng.int(0, world.comments.length - 1), 1);
    await deleteRecord(await session(gone.by.handle), 'fm.plyr.comment', rkeyOf(gone.uri));
    return `${gone.by.name} removes a comment`;
  };
  const play = async () => {
    const track = someTrack();
    const by = someone(track.artist);
    await putRecord(await session(by.handle), 'fm.teal.feed.play', newKey(), records.playRecord(track, where(track), Date.now()));
    return `${by.name} played ${track.title}`;
  };
  const status = async () => {
    const track = someTrack();
    const by = someone(track.artist);
    await putRecord(await session(by.handle), 'fm.teal.actor.status', 'self', records.statusRecord(track, where(track), Date.now()));
    return `${by.name} is listening to ${track.title}`;
  };
  const track = async () => {
    const artist = rng.pick(ARTISTS);
    const titles = new Set(world.tracks.map((known) => known.title));
    const title = artist.next.find((name) => !titles.has(name));
    if (!title) return undefined;
    // A variation of something the artist has made: its tempo and harmony, moved a little.
    const model = rng.pick(artist.tracks);
    const shape = { ...model, title, album: false, description: undefined, features: undefined };
    const variation = { ...shape, tempo: model.tempo + rng.pick([-4, -2, 2, 4]), root: model.root + rng.pick([-3, -2, 2, 4]) };
    const planned = planTrack(rng, artist, variation, Date.now());
    const [cover, audio] = await Promise.all([studio.make('jpg', planned.cover), studio.make(planned.format, planned.song)]);
    const author = await session(artist.handle);
    const ref = await publishTrack(planned, author, sessions, { cover, audio });
    world.tracks.push({ artist, title, duration: planned.duration, ref, did: author.did, rkey: planned.rkey });
    return `${artist.name} publishes ${title}`;
  };
  const profile = async () => {
    const by = rng.pick(LISTENERS);
    const author = await session(by.handle);
    const there = { repo: author.did, collection: 'app.bsky.actor.profile', rkey: 'self' };
    const { value, cid } = await query(base, 'com.atproto.repo.getRecord', there);
    const description = value.description === by.description ? rng.pick(NEW_DESCRIPTIONS) : by.description;
    await as(author, 'com.atproto.repo.putRecord', { ...there, record: { ...value, description }, swapRecord: cid });
    return `${by.name}: ${description}`;
  };
  return { like, unlike, comment, uncomment, play, status, track, profile };
}
