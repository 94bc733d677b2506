/** What plays is not lost on the way to one's own server and back. */

import { getTracks } from './api';
import { library } from './library.svelte';
import { player } from './player.svelte';

const KEY = 'plyr.playing';

export function keepPlaying(): void {
  const { track, positionS } = player;
  if (!track) return;
  try {
    sessionStorage.setItem(KEY, JSON.stringify([track.uri, positionS]));
  } catch {
    // Then it begins anew.
  }
}

/** Puts it on again, for the listener to go on with: browsers give no sound before a click. */
export async function resume(): Promise<void> {
  try {
    const [uri, positionS] = JSON.parse(sessionStorage.getItem(KEY) ?? '[]') as unknown[];
    sessionStorage.removeItem(KEY);
    if (typeof uri !== 'string' || typeof positionS !== 'number') return;
    const [track] = await getTracks([uri]);
    if (!track) return;
    library.put([track]);
    player.ready(track, positionS);
  } catch {
    // Nothing was kept, or it cannot be had now.
  }
}
