/**
 * The uploads of this browser. Bytes travel one upload at a time and only while the page is open; what the server has
 * then goes on without us, so its number is kept and followed again when the page comes back.
 */

import { getTracks } from './api';
import { sentence } from './hand';
import { library } from './library.svelte';
import { notices } from './notices.svelte';
import { follow, type Progress } from './progress';
import { route } from './route.svelte';
import { Rate, send } from './send';
import { session } from './session.svelte';
import { recall, remember } from './storage';
import { ApiError } from './trouble';
import { each, fields, type Track } from './view';

/** What a person fills in. */
export interface Piece {
  file: File;
  title: string;
  album: string;
  description: string;
  tags: string[];
  cover: File | null;
}

type Stage = 'waiting' | 'sending' | 'working' | 'done' | 'failed';

/** The server forgets an upload that is over some time later. */
const KEPT_MS = 3 * 86_400_000;
const KEPT_MAX = 20;

export class Upload {
  readonly title: string;
  readonly startedMs: number;
  /** Whose it is. */
  readonly did: string | null;
  /** Null for one that another visit of this page began. */
  readonly piece: Piece | null;
  id = $state<string | null>(null);
  stage = $state<Stage>('waiting');
  sentBytes = $state(0);
  totalBytes = $state(0);
  bytesPerS = $state(0);
  progress = $state.raw<Progress | null>(null);
  /** The server tells how it goes. */
  heard = $state(true);
  problem = $state('');
  /** Only somebody signed in can try again. */
  needsSignIn = $state(false);
  trackUri = $state<string | null>(null);
  #stop: (() => void) | null = null;

  constructor(title: string, piece: Piece | null, did = session.me?.did ?? null, startedMs = Date.now()) {
    this.title = title;
    this.piece = piece;
    this.did = did;
    this.startedMs = startedMs;
  }

  get remainingS(): number | null {
    if (this.bytesPerS <= 0 || this.totalBytes === 0) return null;
    return (this.totalBytes - this.sentBytes) / this.bytesPerS;
  }

  /** Until the server has every byte, or said no. */
  async send(): Promise<void> {
    if (!this.piece) return;
    this.stage = 'sending';
    this.needsSignIn = false;
    this.sentBytes = 0;
    this.bytesPerS = 0;
    this.totalBytes = this.piece.file.size + (this.piece.cover?.size ?? 0);
    const rate = new Rate();
    const sending = send('/tracks/', formOf(this.piece), (sentBytes, totalBytes) => {
      rate.at(sentBytes);
      [this.sentBytes, this.totalBytes, this.bytesPerS] = [sentBytes, totalBytes, rate.bytesPerS];
    });
    this.#stop = sending.abort;
    try {
      const answer = await sending.answer;
      if (typeof answer.upload_id !== 'string') throw new ApiError('malformed', 'no upload id');
      this.id = answer.upload_id;
      this.follow();
    } catch (error) {
      this.refuse(error);
    }
  }

  follow(): void {
    if (this.id === null) return;
    this.stage = 'working';
    this.#stop = follow(
      this.id,
      (progress) => this.#told(progress),
      (heard) => (this.heard = heard),
    );
  }

  stop(): void {
    this.#stop?.();
    this.#stop = null;
  }

  refuse(error: unknown): void {
    this.stage = 'failed';
    const stopped = error instanceof DOMException && error.name === 'AbortError';
    this.problem = stopped ? 'you stopped it.' : session.why(error, 'upload');
    this.needsSignIn = error instanceof ApiError && (error.trouble === 'signed-out' || error.trouble === 'not-granted');
    uploads.moved();
  }

  #told(progress: Progress): void {
    this.progress = progress;
    if (progress.status === 'completed') {
      this.trackUri = progress.trackUri;
      this.stage = 'done';
      if (route.page !== 'upload') notices.say(`“${this.title}” is published.`, openAction(progress.trackUri));
    } else if (progress.status === 'failed') {
      this.problem = IN_WORDS[progress.error ?? ''] ?? sentence(progress.error ?? 'the server gave no reason');
      this.stage = 'failed';
      if (route.page !== 'upload') notices.say(`“${this.title}” was not published: ${this.problem}`);
    } else return;
    uploads.moved();
  }
}

const IN_WORDS: Record<string, string> = {
  'job lost': 'the server does not know this upload any more. your tracks tell whether it was published.',
};

function openAction(uri: string | null) {
  return uri === null ? null : { label: 'open it', run: () => route.openTrack(uri) };
}

function formOf(piece: Piece): FormData {
  const form = new FormData();
  form.set('title', piece.title);
  if (piece.album) form.set('album', piece.album);
  if (piece.description) form.set('description', piece.description);
  if (piece.tags.length > 0) form.set('tags', JSON.stringify(piece.tags));
  if (piece.cover) form.set('image', piece.cover);
  // Last, so that what is said about it is known before its bytes.
  form.set('file', piece.file);
  return form;
}

class Uploads {
  list = $state.raw<Upload[]>([]);

  /** Of whoever is signed in, newest first; else those that wait for them. */
  get shown(): Upload[] {
    if (!session.signedIn) return this.list.filter((upload) => upload.needsSignIn);
    return this.list.filter((upload) => upload.did !== null && session.isMine(upload.did));
  }

  /** Bytes would be lost if the page were closed now. */
  get travelling(): boolean {
    return this.list.some(({ stage }) => stage === 'sending' || stage === 'waiting');
  }

  start(piece: Piece): void {
    this.list = [new Upload(piece.title, piece), ...this.list];
    this.#next();
  }

  /** The same once more. */
  again(upload: Upload): void {
    if (!upload.piece || upload.stage !== 'failed') return;
    const other = new Upload(upload.title, upload.piece);
    this.list = this.list.map((one) => (one === upload ? other : one));
    this.#next();
  }

  /** Its bytes travel no further; what was chosen can be sent again. */
  stop(upload: Upload): void {
    if (upload.stage === 'waiting') upload.refuse(new DOMException('stopped', 'AbortError'));
    else upload.stop();
  }

  dismiss(upload: Upload): void {
    upload.stop();
    this.list = this.list.filter((other) => other !== upload);
    this.moved();
  }

  /** An upload got further, so the next one may begin and what is kept may have changed. */
  moved(): void {
    this.#keep();
    this.#next();
  }

  /** Follows what an earlier visit of this page began. */
  resume(): void {
    const known = new Set(this.list.map((upload) => upload.id));
    for (const { id, title, did, startedMs } of recallKept()) {
      if (known.has(id)) continue;
      const upload = new Upload(title, null, did, startedMs);
      upload.id = id;
      this.list = [...this.list, upload];
      upload.follow();
    }
  }

  #next(): void {
    if (this.list.some(({ stage }) => stage === 'sending')) return;
    const next = this.list.findLast(({ stage }) => stage === 'waiting');
    void next?.send().then(() => this.moved());
  }

  #keep(): void {
    const running = this.list.filter(({ stage, id }) => stage === 'working' && id !== null);
    const known = new Set(this.list.map((upload) => upload.id));
    // Another window of this browser keeps its own there.
    const others = recallKept().filter(({ id }) => !known.has(id));
    const kept = [...running, ...others].map(({ id, title, did, startedMs }) => ({ id, title, did, startedMs }));
    remember('uploads', kept.length > 0 ? JSON.stringify(kept.slice(0, KEPT_MAX)) : null);
  }
}

interface Kept {
  id: string;
  title: string;
  did: string;
  startedMs: number;
}

function recallKept(): Kept[] {
  try {
    return each(JSON.parse(recall('uploads') ?? '[]'), (value): Kept | null => {
      const { id, title, did, startedMs } = fields(value) ?? {};
      if (typeof id !== 'string' || typeof title !== 'string' || typeof did !== 'string') return null;
      return Date.now() - Number(startedMs) < KEPT_MS ? { id, title, did, startedMs: Number(startedMs) } : null;
    });
  } catch {
    return [];
  }
}

/** The track that an upload became. */
export async function trackOf(upload: Upload): Promise<Track | null> {
  if (upload.trackUri === null) return null;
  const known = library.get(upload.trackUri);
  if (known?.audio) return known;
  const tracks = await getTracks([upload.trackUri]);
  library.put(tracks);
  return tracks[0] ?? null;
}

export const uploads = new Uploads();
