/** The one track that is opened: itself, who made it, who likes it. */

import { getLikes, getProfile, getTracks } from './api';
import { library } from './library.svelte';
import { Pages } from './pages.svelte';
import { ApiError, inWords } from './trouble';
import type { Like, Profile, Track } from './view';

const LIKES_PAGE_SIZE = 40;

class Detail {
  uri = $state<string | null>(null);
  state = $state<'loading' | 'ready' | 'missing' | 'failed'>('loading');
  problem = $state('');
  profile = $state.raw<Profile | null>(null);
  likes = $state.raw<Pages<Like> | null>(null);

  get track(): Track | null {
    return library.get(this.uri);
  }

  open(uri: string | null): void {
    if (uri === this.uri) return;
    this.uri = uri;
    this.profile = null;
    this.likes = null;
    if (uri !== null) void this.load();
  }

  async load(): Promise<void> {
    const { uri } = this;
    if (uri === null) return;
    this.state = this.track ? 'ready' : 'loading';
    this.likes = new Pages((cursor) => getLikes(uri, LIKES_PAGE_SIZE, cursor));
    void this.likes.load();
    try {
      if (!this.track) library.put(await getTracks([uri]));
      if (uri !== this.uri) return;
      this.state = this.track ? 'ready' : 'missing';
    } catch (error) {
      if (uri !== this.uri) return;
      const impossible = error instanceof ApiError && error.trouble === 'refused';
      this.problem = inWords(error);
      this.state = impossible ? 'missing' : 'failed';
    }
    await this.#loadProfile();
  }

  /** Brings the likes and the profile up to date; the track itself is refreshed with all others. */
  async refresh(): Promise<void> {
    if (!this.track) return;
    if (this.state !== 'ready') return this.load();
    await Promise.all([this.likes?.refresh(), this.#loadProfile()]);
  }

  gone(uri: string): void {
    if (uri === this.uri) this.state = 'missing';
  }

  /** The page is whole without a profile: the track's own view names its author. */
  async #loadProfile(): Promise<void> {
    const { uri, track } = this;
    if (!track) return;
    const profile = await getProfile(track.author.did).catch(() => null);
    if (profile && uri === this.uri) this.profile = profile;
  }
}

export const detail = new Detail();
