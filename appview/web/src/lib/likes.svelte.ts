/** The likes of whoever is signed in: shown at once, sent one after another, and honest about what became of them. */

import { SvelteMap } from 'svelte/reactivity';
import { getTracks } from './api';
import { setLiked } from './hand';
import { library } from './library.svelte';
import { notices } from './notices.svelte';
import { session } from './session.svelte';
import { ApiError, isUnclear } from './trouble';
import type { Track } from './view';

/** How long a new state is pointed out. */
const SHOWN_MS = 1_600;
/** How often, and how many times, the server is asked about a like that it goes on confirming by itself. */
const SETTLE_MS = 3_000;
const SETTLE_MAX = 10;

type State = 'saving' | 'saved' | 'failed';

interface Wish {
  liked: boolean;
  state: State;
}

class Likes {
  /** By track: what was wished for, while it differs from what the server says or has just come true. */
  #wishes = new SvelteMap<string, Wish>();

  isLiked(track: Track): boolean {
    return this.#overlay(track)?.liked ?? track.liked;
  }

  /** The number that goes with it. */
  countOf(track: Track): number {
    return Math.max(0, track.likeCount + Number(this.isLiked(track)) - Number(track.liked));
  }

  stateOf(track: Track): State | 'idle' {
    return this.#wishes.get(track.uri)?.state ?? 'idle';
  }

  toggle(track: Track): void {
    if (!session.signedIn) return session.ask(`to like “${track.title}”, and keep it.`);
    if (track.id === null) return;
    const liked = !this.isLiked(track);
    const busy = this.stateOf(track) === 'saving';
    this.#wishes.set(track.uri, { liked, state: 'saving' });
    // What is under way sends the latest wish when its answer comes.
    if (!busy) void this.#send(track, track.id);
  }

  /** Somebody else looks at the page now. */
  forget(): void {
    this.#wishes.clear();
  }

  #overlay(track: Track): Wish | undefined {
    const wish = this.#wishes.get(track.uri);
    return wish && wish.state !== 'failed' ? wish : undefined;
  }

  async #send(track: Track, trackId: number): Promise<void> {
    const { uri } = track;
    let sent: boolean | undefined;
    let problem: unknown = null;
    for (let wish = this.#wishes.get(uri); wish && wish.liked !== sent; wish = this.#wishes.get(uri)) {
      sent = wish.liked;
      problem = await setLiked(trackId, sent).then(
        () => null,
        (error: unknown) => error ?? new Error('unknown'),
      );
    }
    // Signed out meanwhile.
    if (sent === undefined || !this.#wishes.has(uri)) return;
    let now = await this.#read(uri);
    const settles = problem instanceof ApiError && problem.trouble === 'unsettled';
    for (let i = 0; settles && i < SETTLE_MAX && now?.liked !== sent && this.#wishes.get(uri)?.liked === sent; i++) {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      now = await this.#read(uri);
    }
    // A newer wish came while the server was asked.
    if (this.#wishes.get(uri)?.liked !== sent) return this.#send(track, trackId);
    // An answer that was lost may still have been a yes.
    const came = problem === null || (isUnclear(problem) && now?.liked === sent);
    this.#show(uri, { liked: sent, state: came ? 'saved' : 'failed' });
    if (!came) notices.say(`“${track.title}” ${sent ? 'is not liked' : 'is still liked'}: ${session.why(problem, 'like')}`);
  }

  /** What the server has now. */
  async #read(uri: string): Promise<Track | null> {
    const tracks = await getTracks([uri]).catch(() => []);
    library.put(tracks);
    return tracks[0] ?? null;
  }

  #show(uri: string, wish: Wish): void {
    this.#wishes.set(uri, wish);
    setTimeout(() => {
      if (this.#wishes.get(uri) === wish) this.#wishes.delete(uri);
    }, SHOWN_MS);
  }
}

export const likes = new Likes();
