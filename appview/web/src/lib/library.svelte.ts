/** Every track the page knows, by uri: the feed, the detail and the player all show the same, newest view. */

import { SvelteMap } from 'svelte/reactivity';
import type { Track } from './view';

class Library {
  #tracks = new SvelteMap<string, Track>();

  get(uri: string | null): Track | null {
    return (uri !== null && this.#tracks.get(uri)) || null;
  }

  put(tracks: Track[]): void {
    for (const track of tracks) this.#tracks.set(track.uri, track);
  }

  remove(uri: string): void {
    this.#tracks.delete(uri);
  }

  /** Forgets what is no longer shown anywhere. */
  keep(shown: Set<string>): void {
    for (const uri of [...this.#tracks.keys()]) if (!shown.has(uri)) this.#tracks.delete(uri);
  }
}

export const library = new Library();
