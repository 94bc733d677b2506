/** Where the listener is: the feed, one track, or one of the pages of somebody signed in. The history entry also knows whether the full player is open. */

import { detail } from './detail.svelte';
import { parseTrackUri } from './view';

/** The collection that a track's short address stands for. */
const TRACK_COLLECTION = 'fm.plyr.track';

/** The pages that have an address of their own. */
export const PATHS = { upload: '/upload', portal: '/portal' } as const;

type OwnPage = keyof typeof PATHS;

interface Entry {
  /** The track of this entry; the address alone does not say its collection. */
  uri?: string;
  /** There is an entry of ours behind this one, so leaving it is going back. */
  within?: boolean;
  sheet?: boolean;
}

export function trackPath(uri: string): string {
  const parts = parseTrackUri(uri);
  return parts ? `/track/${encodeURIComponent(parts.did).replaceAll('%3A', ':')}/${encodeURIComponent(parts.rkey)}` : '/';
}

/** The uri that an address of the page stands for; one that cannot be read stands for a track nobody has. */
function uriOfPath(path: string): string | null {
  const [, did, rkey] = /^\/track\/([^/]+)\/([^/]+)\/?$/.exec(path) ?? [];
  if (!did || !rkey) return null;
  try {
    return `at://${decodeURIComponent(did)}/${TRACK_COLLECTION}/${decodeURIComponent(rkey)}`;
  } catch {
    return `at://${did}/${TRACK_COLLECTION}/${rkey}`;
  }
}

function pageOfPath(path: string): OwnPage | null {
  const bare = path.replace(/\/$/, '');
  return bare === PATHS.upload ? 'upload' : bare === PATHS.portal ? 'portal' : null;
}

class Route {
  /** The open page, where it is not a track's. */
  page = $state<'feed' | OwnPage>('feed');
  uri = $state<string | null>(null);
  /** The full player of a phone is open. */
  sheet = $state(false);

  /** Follows the browser's own back and forward until the returned function is called. */
  start(): () => void {
    history.scrollRestoration = 'manual';
    const { sheet, ...entry } = entryNow();
    // A reload keeps the entry's state, and would open the full player of nothing.
    if (sheet) write('replace', location.pathname, entry);
    const read = () => {
      const page = pageOfPath(location.pathname) ?? 'feed';
      this.#show(page === 'feed' ? (entryNow().uri ?? uriOfPath(location.pathname)) : null, page, entryNow().sheet);
    };
    read();
    window.addEventListener('popstate', read);
    return () => window.removeEventListener('popstate', read);
  }

  openTrack(uri: string): void {
    write(this.sheet ? 'replace' : 'push', trackPath(uri), { uri, within: true });
    this.#show(uri);
  }

  closeTrack(): void {
    if (entryNow().within) return history.back();
    write('replace', '/', {});
    this.#show(null);
  }

  /** Nothing lies over the feed. */
  get atFeed(): boolean {
    return this.page === 'feed' && this.uri === null;
  }

  /** To the top of everything, from the name of the place. */
  openFeed(): void {
    if (this.atFeed) return;
    write('push', '/', { within: true });
    this.#show(null);
  }

  openPage(page: OwnPage): void {
    if (this.page === page) return window.scrollTo({ top: 0, behavior: 'instant' });
    write(this.sheet ? 'replace' : 'push', PATHS[page], { within: true });
    this.#show(null, page);
  }

  openSheet(): void {
    if (this.sheet) return;
    write('push', location.pathname, { ...entryNow(), within: true, sheet: true });
    this.sheet = true;
  }

  closeSheet(): void {
    if (!this.sheet) return;
    this.sheet = false;
    if (entryNow().sheet) history.back();
  }

  #show(uri: string | null, page: 'feed' | OwnPage = 'feed', sheet = false): void {
    this.uri = uri;
    this.page = page;
    this.sheet = sheet;
    detail.open(uri);
  }
}

function entryNow(): Entry {
  return (history.state as Entry | null) ?? {};
}

function write(how: 'push' | 'replace', path: string, entry: Entry): void {
  if (how === 'push') history.pushState(entry, '', path);
  else history.replaceState(entry, '', path);
}

export const route = new Route();
