/** The queries of the server we were loaded from, typed, with errors that can be said in words. */

import {
  each,
  fields,
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

export type Trouble = 'offline' | 'unreachable' | 'missing' | 'refused' | 'busy' | 'failing' | 'malformed';

const IN_WORDS: Record<Trouble, string> = {
  offline: 'you seem to be offline.',
  unreachable: 'the server cannot be reached right now.',
  missing: 'this is not here, or not any more.',
  refused: 'the server did not understand the question.',
  busy: 'the server is busy. a moment of patience will help.',
  failing: 'the server ran into a problem.',
  malformed: 'the server gave an answer that cannot be read.',
};

export class ApiError extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly detail: string,
  ) {
    super(`${IN_WORDS[trouble]} (${detail})`);
    this.name = 'ApiError';
  }
}

/** What to tell a person about any error of a query. */
export function inWords(error: unknown): string {
  return IN_WORDS[error instanceof ApiError ? error.trouble : 'failing'];
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
  let answer: Response;
  let body: unknown;
  try {
    answer = await fetch(`/xrpc/${method}?${search}`, {
      headers: { accept: 'application/json' },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    body = await answer.json().catch((error: unknown) => {
      if (error instanceof SyntaxError) return null;
      throw error;
    });
  } catch (error) {
    throw new ApiError(navigator.onLine ? 'unreachable' : 'offline', String(error));
  }
  const view = fields(body);
  if (!answer.ok) throw new ApiError(troubleOf(answer.status, view?.error), `${method}: ${answer.status}`);
  if (!view) throw new ApiError('malformed', `${method}: no JSON object`);
  return view;
}

function troubleOf(status: number, name: unknown): Trouble {
  if (name === 'NotFound' || status === 404) return 'missing';
  if (status === 429 || status === 503) return 'busy';
  if (status === 502 || status === 504) return 'unreachable';
  return status < 500 ? 'refused' : 'failing';
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
