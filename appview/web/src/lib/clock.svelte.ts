/** One clock for every relative time on the page. */

class Clock {
  nowMs = $state(Date.now());

  /** Ticks until the returned function is called. */
  start(): () => void {
    const timer = setInterval(() => (this.nowMs = Date.now()), 20_000);
    return () => clearInterval(timer);
  }
}

export const clock = new Clock();
