// The whole community as data, before any of it is written: people, tracks, likes, comments, plays, lists.

import artistsA from './artists-a.mjs';
import artistsB from './artists-b.mjs';
import LISTENERS from './listeners.mjs';
import { BY_STYLE, GENERAL, LIKED_LISTS, PLAYLISTS } from './words.mjs';
import { turnHue } from '../art/hue.mjs';
import { makeRng } from '../lib/rng.mjs';
import { tid } from '../lib/tid.mjs';

export const ARTISTS = [...artistsA, ...artistsB];
export { LISTENERS };

const MINUTE = 60_000;
const DAY = 86_400_000;

/** Length in whole seconds of what `renderSong` makes of a song. */
export function songSeconds(song) {
  return Math.round((song.bars * (song.barSteps ?? 16) * 15) / song.tempo + 2.5);
}

/** A track as planned: what it sounds and looks like, and what its record says. `title` names it within its artist. */
export function planTrack(rng, artist, track, createdAtMs) {
  const barSeconds = ((track.barSteps ?? 16) * 15) / track.tempo;
  const pick = rng.fork(`${artist.handle}/${track.title}`);
  const song = {
    seed: `${artist.handle}/${track.title}`, title: track.title, artist: artist.name, style: artist.style,
    tempo: track.tempo, root: track.root, scale: track.scale, progression: track.progression,
    bars: Math.round(pick.between(23, 37) / barSeconds), swing: track.swing ?? 0, barSteps: track.barSteps ?? 16,
  };
  return {
    key: `${artist.handle}/${track.title}`, artist, title: track.title, createdAtMs, rkey: tid(createdAtMs, pick.int(0, 1023)),
    album: track.album ? artist.album : undefined, description: track.description, tags: track.tags ?? artist.tags,
    features: track.features ?? [], song, duration: songSeconds(song), format: pick.chance(0.3) ? 'm4a' : 'mp3',
    cover: { seed: song.seed, motif: artist.motif, palette: shade(pick, artist, track.title), size: 800 },
  };
}

// Covers of one artist are a family: one motif, the first in the artist's own colours, the others turned away from them.
function shade(rng, artist, title) {
  const place = artist.tracks.findIndex((track) => track.title === title);
  const turn = place < 0 ? rng.int(0, 359) : [0, 178, -42, 24][place % 4] + (place ? rng.int(-8, 8) : 0);
  return artist.palette.map((colour) => turnHue(colour, turn));
}

/** The person's picture. */
export function avatarOf(person) {
  return { seed: `${person.handle}/avatar`, motif: person.motif, palette: person.palette, size: 400 };
}

/** Everything, for one seed and one moment: the same two give the same plan. */
export function planCommunity(seed, nowMs) {
  const rng = makeRng(seed);
  const people = [...ARTISTS, ...LISTENERS];
  const tracks = ARTISTS.flatMap((artist) => {
    const dates = rng.fork(`dates/${artist.handle}`);
    const ages = artist.tracks.map(() => 0.08 + 150 * dates.float() ** 1.7).sort((a, b) => b - a);
    return artist.tracks.map((track, i) => planTrack(rng, artist, track, Math.round(nowMs - ages[i] * DAY)));
  });
  const after = (pick, track, meanDays) => {
    const delay = MINUTE * 2 - Math.log(1 - pick.float()) * meanDays * DAY;
    return Math.round(Math.min(track.createdAtMs + delay, nowMs - MINUTE * (1 + 9 * pick.float())));
  };
  const fame = new Map(tracks.map((track) => [track.key, 0.35 + 1.1 * rng.fork(`fame/${track.key}`).float() ** 2]));
  const social = { likes: [], comments: [], plays: [] };
  for (const person of people) addListening(rng.fork(`ears/${person.handle}`), person, tracks, fame, after, social);
  const lists = planLists(rng.fork('lists'), tracks, social.likes, nowMs);
  return { people, tracks, ...social, lists, statuses: planStatuses(rng.fork('now'), tracks) };
}

function addListening(rng, person, tracks, fame, after, { likes, comments, plays }) {
  for (const track of tracks) {
    if (track.artist.handle === person.handle) continue;
    const taste = !person.likes ? 0.34 : person.likes.includes(track.artist.style) ? 0.92 : 0.34;
    const keen = Math.min(0.95, taste * fame.get(track.key));
    if (rng.chance(keen)) likes.push({ by: person, track, atMs: after(rng, track, 6) });
    if (rng.chance(keen * 0.3)) comments.push(planComment(rng, person, track, after(rng, track, 9)));
    const times = rng.chance(keen) ? rng.int(1, 4) : 0;
    for (let i = 0; i < times; i++) plays.push({ by: person, track, atMs: after(rng, track, 14), alpha: rng.chance(0.12) });
  }
}

/** A comment somewhere in the track, in words that fit it. */
export function planComment(rng, person, track, atMs) {
  const words = rng.chance(0.55) ? BY_STYLE[track.artist.style] : GENERAL;
  return { by: person, track, atMs, text: rng.pick(words), timestampMs: rng.int(0, track.duration * 10) * 100 };
}

function planLists(rng, tracks, likes, nowMs) {
  const lists = ARTISTS.map((artist) => {
    const own = tracks.filter((track) => track.artist === artist && track.album);
    const atMs = Math.max(...own.map((track) => track.createdAtMs)) + 10 * MINUTE;
    return { by: artist, name: artist.album, type: 'album', tracks: own, atMs };
  });
  for (const { owner, name, styles, count } of PLAYLISTS) {
    const fitting = tracks.filter((track) => styles.includes(track.artist.style));
    const atMs = Math.round(nowMs - rng.between(0.2, 30) * DAY);
    lists.push({ by: personOf(owner), name, type: 'playlist', tracks: rng.sample(fitting, count), atMs });
  }
  for (const owner of LIKED_LISTS) {
    const own = likes.filter((like) => like.by.handle === owner).sort((a, b) => b.atMs - a.atMs);
    lists.push({ by: personOf(owner), name: 'liked', type: 'liked', tracks: own.map((like) => like.track), atMs: nowMs - MINUTE });
  }
  return lists;
}

function personOf(handle) {
  return [...ARTISTS, ...LISTENERS].find((person) => person.handle === handle);
}

function planStatuses(rng, tracks) {
  return LISTENERS.map((by, i) => ({ by, track: rng.pick(tracks), alpha: i % 5 === 4 }));
}
