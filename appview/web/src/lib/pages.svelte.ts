/** A list that is fetched page by page and can be fetched anew as far as it was read. */

import type { Page } from './api';
import { ApiError, inWords } from './trouble';

export class Pages<T extends { uri: string }> {
  items = $state.raw<T[]>([]);
  state = $state<'loading' | 'ready' | 'failed'>('loading');
  problem = $state('');
  #cursor = $state<string | null>(null);
  #fetch: (cursor: string | null) => Promise<Page<T>>;
  #round = 0;

  constructor(fetchPage: (cursor: string | null) => Promise<Page<T>>) {
    this.#fetch = fetchPage;
  }

  get hasMore(): boolean {
    return this.#cursor !== null;
  }

  async load(): Promise<void> {
    this.state = 'loading';
    await this.#settle(() => this.#readThrough(1));
  }

  async loadMore(): Promise<void> {
    if (this.#cursor === null || this.state === 'loading') return;
    this.state = 'loading';
    const cursor = this.#cursor;
    await this.#settle(async () => {
      const page = await this.#fetch(cursor);
      return { items: [...this.items, ...page.items], cursor: page.cursor };
    });
  }

  /** Fetches what is shown anew; what is shown stays until then. */
  async refresh(): Promise<void> {
    await this.#settle(() => this.#readThrough(this.items.length), true);
  }

  async #readThrough(count: number): Promise<Page<T>> {
    let page = await this.#fetch(null);
    const items = [...page.items];
    while (page.cursor !== null && items.length < count) {
      page = await this.#fetch(page.cursor);
      items.push(...page.items);
    }
    return { items, cursor: page.cursor };
  }

  /** The newest question wins, whatever order the answers come in. */
  async #settle(read: () => Promise<Page<T>>, rethrow = false): Promise<void> {
    const round = ++this.#round;
    try {
      const page = await read();
      if (round !== this.#round) return;
      this.items = [...new Map(page.items.map((item) => [item.uri, item])).values()];
      this.#cursor = page.cursor;
      this.state = 'ready';
    } catch (error) {
      if (round !== this.#round) return;
      // A track that is gone has no likes and no comments; its own view says that it is gone.
      const missing = error instanceof ApiError && error.trouble === 'missing';
      if (rethrow && !missing) throw error;
      this.problem = inWords(error);
      this.state = 'failed';
    }
  }
}
