/** Keeps what is shown in step with the network: each piece of news becomes the few queries that answer it. */

import { getTracks } from './api';
import { refreshComments } from './comments.svelte';
import { detail } from './detail.svelte';
import { feed } from './feed.svelte';
import { library } from './library.svelte';
import { listen, type Batch, type Connection, type Listening } from './live';
import { player } from './player.svelte';
import { portal } from './portal.svelte';

class Sync {
  connection = $state<Connection>('connecting');
  /** Batches of news so far. */
  beats = $state(0);

  #listening: Listening | null = null;

  /** Until the returned function is called. */
  start(): () => void {
    const listening = listen({
      connection: (state) => (this.connection = state),
      apply: async (batch) => {
        this.beats++;
        await apply(batch);
      },
    });
    this.#listening = listening;
    return listening.stop;
  }

  /** Everything anew, because somebody else looks at it. */
  again(): void {
    this.#listening?.reset();
  }
}

/** The tracks on the page beside those of the feed. */
function watched(): Set<string> {
  return new Set([detail.uri, player.track?.uri].filter((uri) => uri != null));
}

function known(): Set<string> {
  return new Set([...feed.uris, ...portal.uris, ...watched()]);
}

async function apply(batch: Batch): Promise<void> {
  await feed.settled();
  const isDue = (uri: string) => batch.reset || batch.uris.has(uri);
  const shown = known();
  library.keep(shown);
  const fetched = batch.reset || batch.latest ? await feed.refresh(batch.reset, batch.uris) : new Set<string>();
  for (const uri of fetched) player.returned(uri);
  await Promise.all([
    refetch([...shown].filter((uri) => isDue(uri) && !fetched.has(uri))),
    portal.refresh(batch.reset || batch.latest),
  ]);
  await refreshComments(isDue, watched());
  if (detail.uri !== null && isDue(detail.uri)) await detail.refresh();
}

/** A track that does not come back is gone. */
async function refetch(uris: string[]): Promise<void> {
  if (uris.length === 0) return;
  const tracks = await getTracks(uris);
  library.put(tracks);
  const found = new Set(tracks.map((track) => track.uri));
  for (const uri of uris) {
    if (found.has(uri)) player.returned(uri);
    else forget(uri);
  }
}

/** A track that nobody can see any more. */
export function forget(uri: string): void {
  // The player first: it shows the last view of what it had to stop.
  player.gone(uri);
  detail.gone(uri);
  feed.remove(uri);
  library.remove(uri);
}

export const sync = new Sync();
