/** Who is signed in. The session itself is a cookie that no script can read; beside it lies a mark that one exists. */

import { leaveFrom } from './arrival';
import { getMe, signOut, type Account } from './hand';
import { notices } from './notices.svelte';
import { keepPlaying } from './resume';
import { recall, remember } from './storage';
import { ApiError, inWords } from './trouble';
import { fields } from './view';

const MARK = 'signed_in';
const RETRY_MIN_MS = 2_000;
const RETRY_MAX_MS = 60_000;

const ENDED = 'your session ended. what you see stays; to like, comment or upload, sign in again.';

/** What may be done for a person, as the permission for it is called in words. */
export type Deed = 'like' | 'comment' | 'upload' | 'delete';

const PERMISSION: Record<Deed, string> = {
  like: 'to write your likes',
  comment: 'to write your comments',
  upload: 'to write your tracks and store their audio',
  delete: 'to delete your tracks',
};

const isMarked = (): boolean => document.cookie.split('; ').includes(`${MARK}=1`);

function unmark(): void {
  document.cookie = `${MARK}=; max-age=0; path=/; samesite=lax`;
}

function recallMe(): Account | null {
  try {
    const me = fields(JSON.parse(recall('me') ?? 'null'));
    if (typeof me?.did !== 'string' || typeof me.name !== 'string') return null;
    const known = (value: unknown) => (typeof value === 'string' ? value : null);
    return { did: me.did, name: me.name, handle: known(me.handle), avatar: known(me.avatar), scopesMissing: [] };
  } catch {
    return null;
  }
}

class Session {
  /** Whoever is signed in; from memory until the server confirms it. */
  me = $state.raw<Account | null>(null);
  state = $state<'out' | 'asking' | 'in'>('out');
  /** The sign-in dialog is open, and why; perhaps with a handle in it already. */
  asked = $state.raw<{ why: string; handle: string | undefined } | null>(null);
  /** A page of the person's own server is being opened. */
  leaving = $state(false);
  #retry: ReturnType<typeof setTimeout> | undefined;
  #whenChanged: () => void = () => undefined;

  constructor() {
    if (!isMarked()) return;
    this.me = recallMe();
    this.state = 'asking';
  }

  get signedIn(): boolean {
    return this.state !== 'out';
  }

  /** What was typed last time. */
  get lastHandle(): string {
    return recall('handle') ?? '';
  }

  isMine(did: string): boolean {
    return this.signedIn && this.me?.did === did;
  }

  /** Until the returned function is called. `whenChanged`: somebody else looks at the page now, or nobody. */
  start(whenChanged: () => void): () => void {
    this.#whenChanged = whenChanged;
    void this.check();
    const look = () => {
      if (document.visibilityState === 'visible' && isMarked() !== this.signedIn) void this.check();
    };
    // A page that the browser kept while we were away at the other server.
    const back = (event: PageTransitionEvent) => {
      this.leaving = false;
      if (event.persisted) void this.check();
    };
    const elsewhere = (event: StorageEvent) => {
      if (event.key === 'plyr.me') void this.check();
    };
    document.addEventListener('visibilitychange', look);
    window.addEventListener('focus', look);
    window.addEventListener('pageshow', back);
    window.addEventListener('storage', elsewhere);
    return () => {
      clearTimeout(this.#retry);
      document.removeEventListener('visibilitychange', look);
      window.removeEventListener('focus', look);
      window.removeEventListener('pageshow', back);
      window.removeEventListener('storage', elsewhere);
    };
  }

  /** Asks the server, where there is a point in it. */
  async check(retryMs = RETRY_MIN_MS): Promise<void> {
    clearTimeout(this.#retry);
    if (!isMarked()) return this.#become(null);
    if (this.state === 'out') {
      this.me = recallMe();
      this.state = 'asking';
    }
    try {
      this.#become(await getMe());
    } catch (error) {
      if (error instanceof ApiError && error.trouble === 'signed-out') return this.ended();
      // Not known yet; what needs an answer will be told so by the server.
      this.#retry = setTimeout(() => void this.check(Math.min(retryMs * 2, RETRY_MAX_MS)), retryMs);
    }
  }

  #become(me: Account | null): void {
    const before = this.me?.did ?? null;
    this.me = me;
    this.state = me ? 'in' : 'out';
    const kept = me && JSON.stringify({ did: me.did, handle: me.handle, name: me.name, avatar: me.avatar });
    if (recall('me') !== kept) remember('me', kept);
    if (me) {
      notices.withdraw(ENDED);
      this.asked = null;
    }
    if (before !== (me?.did ?? null)) this.#whenChanged();
  }

  /** The server does not know the session any more. */
  ended(): void {
    if (!this.signedIn) return;
    const who = this.me;
    unmark();
    this.#become(null);
    notices.say(ENDED, { label: 'sign in again', run: () => this.again(who) });
  }

  /** Opens the sign-in dialog. */
  ask(why: string, handle?: string): void {
    this.asked = { why, handle };
  }

  /** The same person once more, with one click where we know who it is. */
  again(who = this.me): void {
    const handle = who?.handle ?? who?.did ?? this.lastHandle;
    if (handle) this.signIn(handle);
    else this.ask('sign in again to go on.');
  }

  /** Leaves for the person's own server, which sends them back to where they are now. */
  signIn(handle: string): void {
    remember('handle', handle);
    this.leaving = true;
    keepPlaying();
    leaveFrom(location.pathname + location.search);
    location.assign(signInPath(handle));
  }

  async signOut(): Promise<void> {
    try {
      await signOut();
    } catch (error) {
      const gone = error instanceof ApiError && error.trouble === 'signed-out';
      if (!gone) return notices.say(`you are still signed in: ${inWords(error)}`);
    }
    unmark();
    this.#become(null);
    notices.say('you are signed out.');
  }

  /** Why a deed failed, in words. Where signing in again would mend it, that is offered as well. */
  why(error: unknown, deed: Deed): string {
    const trouble = error instanceof ApiError ? error.trouble : null;
    if (trouble === 'signed-out') {
      this.ended();
      return 'your session ended. sign in again, then try once more.';
    }
    if (trouble === 'not-granted') {
      const text = `plyr lacks your permission ${PERMISSION[deed]}.`;
      notices.say(`${text} you can give it by signing in again.`, { label: 'sign in again', run: () => this.again() });
      return text;
    }
    return inWords(error);
  }
}

/** Where signing in begins. */
export function signInPath(handle: string, returnTo = location.pathname + location.search): string {
  return `/auth/start?${new URLSearchParams({ handle, return_to: returnTo })}`;
}

export const session = new Session();
