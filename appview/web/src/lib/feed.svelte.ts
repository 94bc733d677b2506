/** The latest tracks: pages going back in time, and a head that keeps up with the network. */

import { getLatest, inWords } from './api';
import { library } from './library.svelte';
import type { Track } from './view';

const PAGE_SIZE = 30;
/** How far the head is followed back to meet the tracks already shown, before the feed starts over. */
const CATCH_UP_PAGES_MAX = 6;

class Feed {
  uris = $state.raw<string[]>([]);
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  /** Of the next page. */
  more = $state<'idle' | 'loading' | 'failed'>('idle');
  /** In words, where something failed. */
  problem = $state('');
  /** Those that arrived after the page was opened: they may be pointed out once. */
  fresh = $state.raw<ReadonlySet<string>>(new Set());
  #cursor = $state<string | null>(null);
  #loading: Promise<void> | null = null;
  #paging: Promise<boolean> | null = null;

  get atEnd(): boolean {
    return this.state === 'ready' && this.#cursor === null;
  }

  get tracks(): Track[] {
    return this.uris.flatMap((uri) => library.get(uri) ?? []);
  }

  load(): Promise<void> {
    this.state = 'loading';
    return this.#loadOnce();
  }

  #loadOnce(): Promise<void> {
    this.#loading ??= this.#load().finally(() => (this.#loading = null));
    return this.#loading;
  }

  async #load(): Promise<void> {
    try {
      const page = await getLatest(PAGE_SIZE, null);
      library.put(page.items);
      this.uris = unique(page.items);
      this.#cursor = page.cursor;
      this.state = 'ready';
    } catch (error) {
      this.problem = inWords(error);
      this.state = 'failed';
    }
  }

  /** Appends the next page. False when there was none, or it could not be had. */
  loadMore(): Promise<boolean> {
    this.#paging ??= this.#loadMore().finally(() => (this.#paging = null));
    return this.#paging;
  }

  /** Until no page is on its way: news about its tracks would come too early. */
  async settled(): Promise<void> {
    await Promise.all([this.#loading, this.#paging]);
  }

  async #loadMore(): Promise<boolean> {
    const cursor = this.#cursor;
    if (cursor === null) return false;
    this.more = 'loading';
    try {
      const page = await getLatest(PAGE_SIZE, cursor);
      this.more = 'idle';
      // The feed started over meanwhile; this page continues another one.
      if (this.#cursor !== cursor) return false;
      library.put(page.items);
      this.uris = [...new Set([...this.uris, ...unique(page.items)])];
      // A cursor that leads to itself would never end.
      this.#cursor = page.cursor === cursor ? null : page.cursor;
      return this.#cursor !== null || page.items.length > 0;
    } catch (error) {
      this.problem = inWords(error);
      this.more = 'failed';
      return false;
    }
  }

  /** Fetches the newest tracks and merges them with those shown. */
  async refreshHead(): Promise<void> {
    if (this.state !== 'ready') {
      // Without a sign of it: what the page says stands until there is something better.
      await this.#loadOnce();
      if (this.state === 'failed') throw new Error(this.problem);
      return;
    }
    const known = new Set(this.uris);
    const head: Track[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < CATCH_UP_PAGES_MAX; page++) {
      const next = await getLatest(PAGE_SIZE, cursor);
      head.push(...next.items);
      cursor = next.cursor;
      if (cursor === null || next.items.some((track) => known.has(track.uri))) break;
    }
    library.put(head);
    const arrived = unique(head).filter((uri) => !known.has(uri));
    const meets = cursor === null || head.some((track) => known.has(track.uri));
    const reachesMs = head.at(-1)?.sortAtMs ?? 0;
    // Beyond the head the order is as we knew it; within it only what the server listed is the feed.
    const older = (uri: string) => (library.get(uri)?.sortAtMs ?? Infinity) <= reachesMs;
    const tail = meets && cursor !== null ? this.uris.filter(older) : [];
    if (!meets || cursor === null) this.#cursor = cursor;
    if (known.size > 0 && meets) this.fresh = new Set(arrived);
    this.uris = inOrder([...new Set([...unique(head), ...tail])]);
  }

  remove(uri: string): void {
    if (this.uris.includes(uri)) this.uris = this.uris.filter((other) => other !== uri);
  }

  /** The tracks that follow one in the feed; for one that is not in it, those older than it. */
  after(track: Track): Track[] {
    const { tracks } = this;
    const index = tracks.findIndex((other) => other.uri === track.uri);
    return index < 0 ? tracks.filter((other) => other.sortAtMs < track.sortAtMs) : tracks.slice(index + 1);
  }

  /** Those that stand before it, nearest first. */
  before(track: Track): Track[] {
    const { tracks } = this;
    const index = tracks.findIndex((other) => other.uri === track.uri);
    const newer = index < 0 ? tracks.filter((other) => other.sortAtMs > track.sortAtMs) : tracks.slice(0, index);
    return newer.reverse();
  }
}

function unique(tracks: Track[]): string[] {
  return [...new Set(tracks.map((track) => track.uri))];
}

/** Newest first; the sort is stable, so tracks of the same moment keep the server's order. */
function inOrder(uris: string[]): string[] {
  const at = (uri: string) => library.get(uri)?.sortAtMs ?? 0;
  return uris.sort((a, b) => at(b) - at(a));
}

export const feed = new Feed();
