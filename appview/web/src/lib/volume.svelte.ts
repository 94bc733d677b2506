/** How loud; kept in the browser. */

import { recall, remember } from './storage';

function recallLevel(): number {
  const level = Number.parseFloat(recall('volume') ?? '');
  return level >= 0 && level <= 1 ? level : 1;
}

class Volume {
  /** From 0 to 1. */
  level = $state(recallLevel());
  muted = $state(recall('muted') === 'yes');

  set(level: number): void {
    this.level = Math.round(Math.min(1, Math.max(0, level)) * 100) / 100;
    remember('volume', String(this.level));
    if (this.level > 0 && this.muted) this.toggleMuted();
  }

  toggleMuted(): void {
    this.muted = !this.muted;
    remember('muted', this.muted ? 'yes' : null);
    // Sound that comes back must be heard.
    if (!this.muted && this.level === 0) this.set(0.5);
  }
}

export const volume = new Volume();
