/** Tells the device what plays (lock screen, headset, media keys) and does what it asks. */

import { player } from './player.svelte';

const SEEK_STEP_S = 10;

/** Hands the device's buttons to the player; browsers without some of them are left as they are. */
export function handleMediaKeys(): void {
  if (!('mediaSession' in navigator)) return;
  const handlers: [MediaSessionAction, MediaSessionActionHandler][] = [
    ['play', () => player.playing || player.toggleCurrent()],
    ['pause', () => player.pause()],
    ['stop', () => player.close()],
    ['previoustrack', () => player.previous()],
    ['nexttrack', () => void player.next()],
    ['seekbackward', (ask) => player.seekBy(-(ask.seekOffset ?? SEEK_STEP_S))],
    ['seekforward', (ask) => player.seekBy(ask.seekOffset ?? SEEK_STEP_S)],
    ['seekto', (ask) => ask.seekTime !== undefined && player.seek(ask.seekTime)],
  ];
  for (const [action, handler] of handlers) {
    try {
      navigator.mediaSession.setActionHandler(action, handler);
    } catch {
      // An action this browser does not know.
    }
  }
}

/** Reads the player, so it belongs into an effect. */
export function showOnDevice(): void {
  if (!('mediaSession' in navigator)) return;
  const { track } = player;
  navigator.mediaSession.metadata = track
    ? new MediaMetadata({
        title: track.title,
        artist: track.artist,
        album: track.album ?? '',
        artwork: track.cover ? [{ src: track.cover }] : [],
      })
    : null;
}

/** Reads the player, so it belongs into an effect. */
export function showPositionOnDevice(): void {
  if (!('mediaSession' in navigator)) return;
  const { track, playing, positionS, lengthS } = player;
  navigator.mediaSession.playbackState = !track ? 'none' : playing ? 'playing' : 'paused';
  if (!track || lengthS === null) navigator.mediaSession.setPositionState();
  else navigator.mediaSession.setPositionState({ duration: lengthS, position: Math.min(positionS, lengthS) });
}
