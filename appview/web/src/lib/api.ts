/** The server's queries, typed. */

import { ask, troubleOf } from './http';
import { ApiError } from './trouble';
import {
  each,
  parseComment,
  parseLike,
  parseProfile,
  parseTrack,
  type Comment,
  type Like,
  type Profile,
  type Track,
} from './view';

export interface Page<T> {
  items: T[];
  /** Where the next page starts; null at the end. */
  cursor: string | null;
}

const TIMEOUT_MS = 20_000;

/** A request's address stays below the 8 KiB that proxies commonly allow, although a query takes 100 uris. */
const URIS_PER_REQUEST = 50;

type Parameters = Record<string, string | number | string[] | null | undefined>;

async function query(method: string, parameters: Parameters): Promise<Record<string, unknown>> {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one != null) search.append(name, String(one));
  }
  const { ok, status, view } = await ask(`/xrpc/${method}?${search}`, TIMEOUT_MS);
  if (!ok) throw new ApiError(view?.error === 'NotFound' ? 'missing' : troubleOf(status), `${method}: ${status}`);
  if (!view) throw new ApiError('malformed', `${method}: no JSON object`);
  return view;
}

function cursorOf(view: Record<string, unknown>): string | null {
  return typeof view.cursor === 'string' && view.cursor !== '' ? view.cursor : null;
}

/** The newest tracks, in the feed's order. */
export async function getLatest(limit: number, cursor: string | null): Promise<Page<Track>> {
  const view = await query('fm.plyr.feed.getLatest', { limit, cursor });
  return { items: each(view.tracks, parseTrack), cursor: cursorOf(view) };
}

/** Those of the tracks that can be seen; any number may be asked for. */
export async function getTracks(uris: string[]): Promise<Track[]> {
  const tracks: Track[] = [];
  for (let start = 0; start < uris.length; start += URIS_PER_REQUEST) {
    const view = await query('fm.plyr.feed.getTracks', { uris: uris.slice(start, start + URIS_PER_REQUEST) });
    tracks.push(...each(view.tracks, parseTrack));
  }
  return tracks;
}

/** Who likes a track, newest first. */
export async function getLikes(uri: string, limit: number, cursor: string | null): Promise<Page<Like>> {
  const view = await query('fm.plyr.feed.getLikes', { uri, limit, cursor });
  return { items: each(view.likes, parseLike), cursor: cursorOf(view) };
}

/** The comments of a track, by their moment in it. */
export async function getComments(uri: string, limit: number, cursor: string | null): Promise<Page<Comment>> {
  const view = await query('fm.plyr.feed.getComments', { uri, limit, cursor });
  return { items: each(view.comments, parseComment), cursor: cursorOf(view) };
}

export async function getProfile(actor: string): Promise<Profile> {
  const profile = parseProfile(await query('fm.plyr.actor.getProfile', { actor }));
  if (!profile) throw new ApiError('malformed', 'fm.plyr.actor.getProfile: no profile');
  return profile;
}
