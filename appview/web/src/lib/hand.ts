/** What somebody signed in does here: the HTTP API of the server we were loaded from, typed. */

import { ask, troubleOf, type Answer } from './http';
import { ApiError, type Trouble } from './trouble';
import { each, fields, parseOwnTrack, type Actor, type OwnTrack } from './view';

const READ_TIMEOUT_MS = 20_000;
/** A write waits for the person's own server, which may be slow. */
const WRITE_TIMEOUT_MS = 60_000;

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
type View = Record<string, unknown>;

async function call(method: Method, path: string, body?: View): Promise<View> {
  const init: RequestInit = { method };
  if (body) Object.assign(init, { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  const answer = await ask(path, method === 'GET' ? READ_TIMEOUT_MS : WRITE_TIMEOUT_MS, init);
  if (!answer.ok) throw refusal(answer, `${method} ${path}`);
  if (!answer.view) throw new ApiError('malformed', `${method} ${path}: no JSON object`);
  return answer.view;
}

/** The error that an answer stands for. */
export function refusal({ status, view }: Omit<Answer, 'ok'>, what: string): ApiError {
  const said = saidBy(view);
  let trouble: Trouble = troubleOf(status);
  if (status === 401) trouble = 'signed-out';
  else if (fields(view?.detail)?.error === 'unsettled') trouble = 'unsettled';
  else if (status === 403 && said === 'scope_upgrade_required') trouble = 'not-granted';
  const forPeople = said !== null && status !== 401 && status !== 500 && trouble !== 'not-granted' && trouble !== 'unsettled';
  return new ApiError(trouble, `${what}: ${status} ${said ?? ''}`, forPeople ? sentence(said) : null);
}

/** `detail` is a text, an object with a message, or a list of what is wrong with each field; of a limit it is `error`. */
function saidBy(view: View | null): string | null {
  const detail = view?.detail ?? view?.error;
  const said = Array.isArray(detail) ? fields(detail[0])?.msg : (fields(detail)?.message ?? detail);
  return typeof said === 'string' && said.trim() !== '' ? said.trim().slice(0, 300) : null;
}

export function sentence(text: string): string {
  return /[.!?…]$/.test(text) ? text : `${text}.`;
}

export interface Account extends Actor {
  /** Permissions that were asked for and not given. */
  scopesMissing: string[];
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 300) : null;
}

/** Who is signed in. */
export async function getMe(): Promise<Account> {
  const view = await call('GET', '/auth/me');
  const did = text(view.did);
  if (!did?.startsWith('did:')) throw new ApiError('malformed', 'GET /auth/me: nobody');
  const handle = text(view.handle);
  return {
    did,
    handle: handle === 'handle.invalid' ? null : handle,
    name: text(view.display_name) ?? handle ?? did,
    avatar: text(view.avatar_url),
    scopesMissing: each(view.scope_missing, text),
  };
}

export async function signOut(): Promise<void> {
  await call('POST', '/auth/logout');
}

export async function setLiked(trackId: number, liked: boolean): Promise<void> {
  await call(liked ? 'POST' : 'DELETE', `/tracks/${trackId}/like`);
}

export async function createComment(trackId: number, words: string, momentS: number): Promise<void> {
  await call('POST', `/tracks/${trackId}/comments`, { text: words, timestamp_ms: Math.round(momentS * 1000) });
}

export async function editComment(commentId: number, words: string): Promise<void> {
  await call('PATCH', `/tracks/comments/${commentId}`, { text: words });
}

export async function deleteComment(commentId: number): Promise<void> {
  await call('DELETE', `/tracks/comments/${commentId}`);
}

export interface OwnPage {
  tracks: OwnTrack[];
  total: number;
  hasMore: boolean;
}

/** One's own tracks, newest first. */
export async function getOwnTracks(limit: number, offset: number): Promise<OwnPage> {
  const view = await call('GET', `/tracks/me?limit=${limit}&offset=${offset}`);
  const tracks = each(view.tracks, parseOwnTrack);
  const total = typeof view.total === 'number' ? view.total : offset + tracks.length;
  return { tracks, total, hasMore: view.has_more === true };
}

export async function deleteTrack(trackId: number): Promise<void> {
  await call('DELETE', `/tracks/${trackId}`);
}

export interface Limits {
  audioMaxMb: number;
  imageMaxMb: number;
}

export async function getLimits(): Promise<Limits> {
  const view = await call('GET', '/config');
  const size = (value: unknown, otherwise: number) => (typeof value === 'number' && value > 0 ? value : otherwise);
  return { audioMaxMb: size(view.max_upload_size_mb, 1536), imageMaxMb: size(view.max_image_size_mb, 20) };
}
