/** One's own tracks. */

import { getTracks } from './api';
import { deleteTrack, getOwnTracks } from './hand';
import { library } from './library.svelte';
import { session } from './session.svelte';
import { ApiError } from './trouble';
import type { OwnTrack } from './view';

const PAGE_SIZE = 50;

class Portal {
  items = $state.raw<OwnTrack[]>([]);
  total = $state(0);
  hasMore = $state(false);
  state = $state<'closed' | 'loading' | 'ready' | 'failed'>('closed');
  problem = $state('');
  #round = 0;

  get uris(): string[] {
    return this.items.map((track) => track.uri);
  }

  /** The page is on the screen. */
  async open(): Promise<void> {
    this.state = 'loading';
    await this.#read(0, PAGE_SIZE);
  }

  close(): void {
    this.#round++;
    this.items = [];
    this.state = 'closed';
  }

  async loadMore(): Promise<void> {
    if (!this.hasMore || this.state === 'loading') return;
    this.state = 'loading';
    await this.#read(this.items.length, PAGE_SIZE);
  }

  /** As far as it was read; the counts come with the tracks themselves. */
  async refresh(due: boolean): Promise<void> {
    if (!due || this.state === 'closed' || !session.signedIn) return;
    await this.#read(0, Math.max(PAGE_SIZE, this.items.length));
  }

  async delete(track: OwnTrack): Promise<void> {
    try {
      await deleteTrack(track.id);
    } catch (error) {
      // What is gone already was to go.
      if (!(error instanceof ApiError && error.trouble === 'missing')) throw error;
    }
    if (!this.uris.includes(track.uri)) return;
    this.items = this.items.filter((other) => other.uri !== track.uri);
    this.total = Math.max(0, this.total - 1);
  }

  async #read(offset: number, limit: number): Promise<void> {
    const round = ++this.#round;
    try {
      const items: OwnTrack[] = this.items.slice(0, offset);
      let page;
      do {
        page = await getOwnTracks(Math.min(100, limit), items.length);
        items.push(...page.tracks);
      } while (page.hasMore && page.tracks.length > 0 && items.length < offset + limit);
      // With them what others see: the sound and the counts.
      library.put(await getTracks(items.slice(offset).map((track) => track.uri)));
      if (round !== this.#round) return;
      this.items = [...new Map(items.map((track) => [track.uri, track])).values()];
      this.total = page.total;
      this.hasMore = page.hasMore;
      this.state = 'ready';
    } catch (error) {
      if (round !== this.#round) return;
      this.problem = session.why(error, 'upload');
      this.state = this.items.length > 0 ? 'ready' : 'failed';
    }
  }
}

export const portal = new Portal();
