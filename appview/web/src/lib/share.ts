/** Hands a track's address on: through the device where it offers that, else to the clipboard. */

import { notices } from './notices.svelte';
import { trackPath } from './route.svelte';
import type { Track } from './view';

const byTouch = matchMedia('(pointer: coarse)').matches && typeof navigator.share === 'function';

/** Browsers keep both from pages that were not loaded securely. */
export const canShare = byTouch || navigator.clipboard !== undefined;

export async function share(track: Track): Promise<void> {
  const url = new URL(trackPath(track.uri), location.origin).href;
  try {
    if (byTouch) return await navigator.share({ title: `${track.title} · ${track.artist}`, url });
    await navigator.clipboard.writeText(url);
    notices.say('link copied.');
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') return;
    notices.say('the link could not be copied.');
  }
}
