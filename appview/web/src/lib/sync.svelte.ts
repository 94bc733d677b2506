/** Keeps what is shown in step with the network: each piece of news becomes the few queries that answer it. */

import { getTracks } from './api';
import { refreshComments } from './comments.svelte';
import { detail } from './detail.svelte';
import { feed } from './feed.svelte';
import { library } from './library.svelte';
import { listen, type Batch, type Connection } from './live';
import { player } from './player.svelte';

class Sync {
  connection = $state<Connection>('connecting');
  /** Batches of news so far. */
  beats = $state(0);

  /** Until the returned function is called. */
  start(): () => void {
    return listen({
      connection: (state) => (this.connection = state),
      apply: async (batch) => {
        this.beats++;
        await apply(batch);
      },
    });
  }
}

/** The tracks on the page beside those of the feed. */
function watched(): Set<string> {
  return new Set([detail.uri, player.track?.uri].filter((uri) => uri != null));
}

async function apply(batch: Batch): Promise<void> {
  await feed.settled();
  const isDue = (uri: string) => batch.reset || batch.uris.has(uri);
  const known = new Set([...feed.uris, ...watched()]);
  library.keep(known);
  const fetched = batch.reset || batch.latest ? await feed.refresh(batch.reset, batch.uris) : new Set<string>();
  for (const uri of fetched) player.returned(uri);
  await Promise.all([
    refetch([...known].filter((uri) => isDue(uri) && !fetched.has(uri))),
    refreshComments(isDue, watched()),
  ]);
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
    else remove(uri);
  }
}

function remove(uri: string): void {
  // The player first: it shows the last view of what it had to stop.
  player.gone(uri);
  detail.gone(uri);
  feed.remove(uri);
  library.remove(uri);
}

export const sync = new Sync();
