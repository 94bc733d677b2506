/** Keys that work anywhere on the page, except where they already mean something. */

import { likes } from './likes.svelte';
import { player } from './player.svelte';
import { volume } from './volume.svelte';

const SEEK_STEP_S = 5;
const VOLUME_STEP = 0.05;

/** For the help in the settings. */
export const SHORTCUTS: [keys: string, meaning: string][] = [
  ['space', 'play, pause'],
  ['← →', `back, forward ${SEEK_STEP_S} s`],
  ['n p', 'next, previous'],
  ['m', 'mute'],
  ['l', 'like what plays'],
  ['shift ↑ ↓', 'volume'],
];

/** The element has its own use for this key. */
function isTaken(target: EventTarget | null, key: string): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target.closest('textarea, select')) return true;
  if (target instanceof HTMLInputElement) return target.type !== 'radio' || key.startsWith('Arrow') || key === ' ';
  return key === ' ' && target.closest('button, a[href], summary') !== null;
}

export function onShortcut(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.metaKey || event.ctrlKey || event.altKey || !player.track) return;
  if (isTaken(event.target, event.key)) return;
  const action = actionOf(event);
  if (!action) return;
  event.preventDefault();
  action();
}

function actionOf({ key, shiftKey, repeat }: KeyboardEvent): (() => void) | null {
  if (shiftKey) {
    if (key === 'ArrowUp') return () => volume.set(volume.level + VOLUME_STEP);
    if (key === 'ArrowDown') return () => volume.set(volume.level - VOLUME_STEP);
    return null;
  }
  if (key === 'ArrowLeft') return () => player.seekBy(-SEEK_STEP_S);
  if (key === 'ArrowRight') return () => player.seekBy(SEEK_STEP_S);
  if (repeat) return null;
  if (key === ' ') return () => player.toggleCurrent();
  if (key === 'n') return () => void player.next();
  if (key === 'p') return () => player.previous();
  if (key === 'l') return () => player.track && likes.toggle(player.track);
  if (key === 'm') return () => volume.toggleMuted();
  return null;
}
