/**
 * What the server tells us, as types we can rely on. Views are checked, and so are the fields of a `record`,
 * which anyone may have written: every value is typed, bounded and cleaned before it reaches a component.
 */

export interface Actor {
  did: string;
  /** Without the @; null when no handle was verified. */
  handle: string | null;
  /** The display name, else the handle, else a short form of the DID. Never empty. */
  name: string;
  avatar: string | null;
}

export interface Profile extends Actor {
  bio: string | null;
  trackCount: number;
}

export interface Track {
  uri: string;
  /** The server's own number of it, which the HTTP API goes by. */
  id: number | null;
  author: Actor;
  title: string;
  artist: string;
  album: string | null;
  description: string | null;
  /** As the record says it; the audio itself may disagree. */
  durationS: number | null;
  fileType: string | null;
  /** Absent until the server holds a checked copy. */
  audio: string | null;
  cover: string | null;
  /** The same picture, small. */
  thumbnail: string | null;
  features: Actor[];
  tags: string[];
  /** People; each is one, however often and wherever they say it. */
  likeCount: number;
  /** The same people by where they say it: one may be in several. */
  likedOn: LikedOn;
  commentCount: number;
  playCount: number;
  /** Posts on Bluesky. */
  shareCount: number;
  /** People. */
  repostCount: number;
  /** By whoever is signed in. */
  liked: boolean;
  /** The feed's order, newest first. */
  sortAtMs: number;
}

/** People who like a track: here, on Bluesky, and by liking a post that shares it. */
export interface LikedOn {
  here: number;
  bluesky: number;
  shares: number;
}

/** A track as its owner is told of it, whether others can hear it yet or not. */
export interface OwnTrack {
  id: number;
  uri: string;
  title: string;
  album: string | null;
  cover: string | null;
  createdAtMs: number | null;
  likeCount: number;
  commentCount: number;
  playCount: number;
}

export interface Like {
  uri: string;
  author: Actor;
  createdAtMs: number | null;
}

export interface Comment {
  uri: string;
  /** As the track's. */
  id: number | null;
  author: Actor;
  text: string;
  /** The moment in the track. */
  momentS: number;
  createdAtMs: number | null;
  /** When its author changed the words. */
  updatedAtMs: number | null;
}

type Fields = Record<string, unknown>;

/** The value as an object with fields, or null. */
export function fields(value: unknown): Fields | null {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null;
}

/** Each element that parses; the rest is left out, for one bad element must not hide its neighbours. */
export function each<T>(value: unknown, parse: (item: unknown) => T | null): T[] {
  if (!Array.isArray(value)) return [];
  return value.map(parse).filter((item): item is T & {} => item !== null);
}

function bounded(text: string, lengthMax: number): string {
  return text.length > lengthMax ? `${text.slice(0, lengthMax).toWellFormed()}…` : text;
}

/** One line of text without control characters, or null when nothing is left. */
function line(value: unknown, lengthMax = 300): string | null {
  if (typeof value !== 'string') return null;
  const clean = value.replace(/[\s\p{Cc}]+/gu, ' ').trim();
  return clean ? bounded(clean, lengthMax) : null;
}

/** Text that keeps its line breaks, at most one empty line in a row. */
export function prose(value: unknown, lengthMax = 6000): string | null {
  if (typeof value !== 'string') return null;
  const clean = value
    .replace(/\r\n?/g, '\n')
    .replace(/[^\S\n]+|(?!\n)\p{Cc}/gu, ' ')
    .replace(/\n{3,}/g, '\n\n')
    .trim();
  return clean ? bounded(clean, lengthMax) : null;
}

function count(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) && value > 0 ? Math.floor(value) : 0;
}

function id(value: unknown): number | null {
  return Number.isSafeInteger(value) && (value as number) > 0 ? (value as number) : null;
}

/** An absolute http(s) address, or null. */
function address(value: unknown): string | null {
  if (typeof value !== 'string') return null;
  try {
    const url = new URL(value, location.origin);
    return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
  } catch {
    return null;
  }
}

/** A picture on a host of ours, where it is called so; of others the policy of pages shows none. What is played has to be fetched from
 * where it is, but who merely looks at a page shall be known to no other host. */
function picture(value: unknown): string | null {
  const url = address(value);
  return url && /\/media\/[a-z0-9]+$/.test(new URL(url).pathname) ? url : null;
}

function instant(value: unknown): number | null {
  const timeMs = typeof value === 'string' ? Date.parse(value) : NaN;
  return Number.isNaN(timeMs) ? null : timeMs;
}

export function parseActor(value: unknown): Actor | null {
  const view = fields(value);
  const did = line(view?.did);
  if (!view || !did?.startsWith('did:')) return null;
  const said = line(view.handle);
  const handle = said && said !== 'handle.invalid' ? said : null;
  const short = did.length > 24 ? `${did.slice(0, 16)}…${did.slice(-4)}` : did;
  return { did, handle, name: line(view.displayName, 120) ?? handle ?? short, avatar: address(view.avatar) };
}

export function parseProfile(value: unknown): Profile | null {
  const actor = parseActor(value);
  const view = fields(value);
  return actor && view && { ...actor, bio: prose(view.bio), trackCount: count(view.trackCount) };
}

export function parseTrack(value: unknown): Track | null {
  const view = fields(value);
  const author = parseActor(view?.author);
  if (!view || !author || typeof view.uri !== 'string' || !parseTrackUri(view.uri)) return null;
  const record = fields(view.record) ?? {};
  const sources = fields(view.likeSources) ?? {};
  const cover = picture(view.cover);
  return {
    uri: view.uri,
    id: id(view.id),
    author,
    title: line(record.title) ?? 'untitled',
    artist: line(record.artist) ?? author.name,
    album: line(record.album),
    description: prose(record.description),
    durationS: count(record.duration) || null,
    fileType: line(record.fileType, 16),
    audio: address(view.audio),
    cover,
    thumbnail: picture(view.thumbnail) ?? cover,
    features: each(view.features, parseActor).slice(0, 10),
    tags: [...new Set(each(view.tags, (tag) => line(tag, 50)))].slice(0, 10),
    likeCount: count(view.likeCount),
    commentCount: count(view.commentCount),
    playCount: count(view.playCount),
    likedOn: { here: count(sources.plyr), bluesky: count(sources.bluesky), shares: count(sources.shares) },
    shareCount: count(view.shareCount),
    repostCount: count(view.repostCount),
    liked: typeof fields(view.viewer)?.like === 'string',
    sortAtMs: instant(view.sortAt) ?? instant(view.indexedAt) ?? 0,
  };
}

/** Of the HTTP API, whose names differ. */
export function parseOwnTrack(value: unknown): OwnTrack | null {
  const view = fields(value);
  const number = id(view?.id);
  const uri = view?.atproto_record_uri;
  if (!view || number === null || typeof uri !== 'string' || !parseTrackUri(uri)) return null;
  return {
    id: number,
    uri,
    title: line(view.title) ?? 'untitled',
    album: line(fields(view.album)?.title),
    cover: picture(view.thumbnail_url) ?? picture(view.image_url),
    createdAtMs: instant(view.created_at),
    likeCount: count(view.like_count),
    commentCount: count(view.comment_count),
    playCount: count(view.play_count),
  };
}

export function parseLike(value: unknown): Like | null {
  const view = fields(value);
  const author = parseActor(view?.author);
  if (!view || !author || typeof view.uri !== 'string') return null;
  return { uri: view.uri, author, createdAtMs: instant(view.createdAt) };
}

export function parseComment(value: unknown): Comment | null {
  const view = fields(value);
  const author = parseActor(view?.author);
  const text = prose(view?.text, 2000);
  if (!view || !author || !text || typeof view.uri !== 'string') return null;
  return {
    uri: view.uri,
    id: id(view.id),
    author,
    text,
    momentS: count(view.timestampMs) / 1000,
    createdAtMs: instant(view.createdAt),
    updatedAtMs: instant(view.updatedAt),
  };
}

/** The repository and key of a track's AT URI (at://did/collection/rkey), or null. */
export function parseTrackUri(uri: string): { did: string; rkey: string } | null {
  const [, did, rkey] = /^at:\/\/(did:[^/?#\s]+)\/[^/?#\s]+\/([^/?#\s]+)$/.exec(uri) ?? [];
  return did && rkey ? { did, rkey } : null;
}
