/** The latest tracks: pages going back in time, and a head that keeps up with the network. */

import { getLatest, getTracks, type Page } from './api';
import { library } from './library.svelte';
import { inWords } from './trouble';
import type { Track } from './view';

const PAGE_SIZE = 30;
/** What the query gives at most. */
const DEEP_PAGE_SIZE = 100;
/** How far the head is followed back to meet the tracks already shown, before the feed starts over. */
const CATCH_UP_PAGES_MAX = 6;
/** So many changed tracks that are not shown are asked for by name; of more, the feed tells which belong to it. */
const STRANGERS_MAX = 100;

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

  /**
   * Fetches the newest tracks and merges them with those shown: `deep`, as far back as the feed was read;
   * else until it meets what is known, and of the changed tracks those that belong further down.
   * Returns the tracks whose newest view was fetched on the way.
   */
  async refresh(deep: boolean, changed: Iterable<string>): Promise<Set<string>> {
    if (this.state !== 'ready') {
      // Without a sign of it: what the page says stands until there is something better.
      await this.#loadOnce();
      if (this.state === 'failed') throw new Error(this.problem);
      return new Set(this.uris);
    }
    const known = new Set(this.uris);
    const strangers = [...changed].filter((uri) => !known.has(uri));
    const many = strangers.length > STRANGERS_MAX;
    const head = await this.#readHead(known, deep || many);
    const inHead = new Set(unique(head.items));
    const below = many ? [] : await getTracks(strangers.filter((uri) => !inHead.has(uri)));
    this.#merge(head, below);
    return new Set([...inHead, ...unique(below)]);
  }

  async #readHead(known: Set<string>, deep: boolean): Promise<Page<Track>> {
    const oldestMs = Math.min(...this.tracks.map((track) => track.sortAtMs));
    const size = deep ? Math.min(DEEP_PAGE_SIZE, Math.max(PAGE_SIZE, known.size)) : PAGE_SIZE;
    const items: Track[] = [];
    let cursor: string | null = null;
    for (let page = 0; page < CATCH_UP_PAGES_MAX; page++) {
      const next = await getLatest(size, cursor);
      items.push(...next.items);
      cursor = next.cursor;
      const met = deep ? (items.at(-1)?.sortAtMs ?? 0) <= oldestMs : items.some((track) => known.has(track.uri));
      if (cursor === null || met) break;
    }
    return { items, cursor };
  }

  #merge({ items, cursor }: Page<Track>, below: Track[]): void {
    const shown = new Set(this.uris);
    const reachesMs = cursor === null ? -Infinity : (items.at(-1)?.sortAtMs ?? Infinity);
    const meets = cursor === null || items.some((track) => shown.has(track.uri));
    // Beyond the head the order is as we knew it; within it only what the server listed is the feed.
    const older = meets ? this.tracks.filter((track) => track.sortAtMs <= reachesMs) : [];
    const oldestMs = this.#cursor === null ? -Infinity : Math.min(reachesMs, ...older.map((track) => track.sortAtMs));
    // What lies beyond the last page that was read comes with the next one.
    const between = below.filter((track) => meets && track.sortAtMs <= reachesMs && track.sortAtMs >= oldestMs);

    library.put([...items, ...between]);
    const uris = unique([...items, ...older, ...between]);
    this.fresh = new Set(meets ? uris.filter((uri) => !shown.has(uri)) : []);
    if (!meets || cursor === null || reachesMs <= oldestMs) this.#cursor = cursor;
    this.uris = inOrder(uris);
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
