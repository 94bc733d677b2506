/** One thing a person asks for: under way, or not done and why. */

import { session, type Deed as Name } from './session.svelte';

export class Deed {
  state = $state<'idle' | 'saving' | 'failed'>('idle');
  /** Why it was not done, in words. */
  problem = $state('');

  get busy(): boolean {
    return this.state === 'saving';
  }

  /** True once it is done. One at a time. */
  async run(name: Name, work: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.state = 'saving';
    try {
      await work();
      this.state = 'idle';
      return true;
    } catch (error) {
      this.problem = session.why(error, name);
      this.state = 'failed';
      return false;
    }
  }

  /** Nobody wants to read about it any more. */
  clear(): void {
    if (!this.busy) this.state = 'idle';
  }
}
