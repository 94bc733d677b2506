/** Notices when enough of a track was really heard to be a play, and tells the server once. */

const PLAY_S = 30;
const PLAY_PART = 0.3;
/** Sound moves on by less than this between two looks; a seek by more. */
const STEP_MAX_S = 2;
const RETRY_MS = 5_000;

export class Ear {
  #uri: string | null = null;
  #heardS = 0;
  #lastS: number | null = null;
  #told = false;

  /** A track begins, or begins again. */
  begin(uri: string): void {
    this.#uri = uri;
    this.#heardS = 0;
    this.#lastS = null;
    this.#told = false;
  }

  /** The sound is at this moment now. */
  hear(positionS: number, lengthS: number | null): void {
    const stepS = this.#lastS === null ? 0 : positionS - this.#lastS;
    this.#lastS = positionS;
    if (stepS <= 0 || stepS > STEP_MAX_S || this.#told || this.#uri === null) return;
    this.#heardS += stepS;
    const enoughS = lengthS === null ? PLAY_S : Math.min(PLAY_S, lengthS * PLAY_PART);
    if (this.#heardS < enoughS) return;
    this.#told = true;
    void tell(this.#uri, Math.round(this.#heardS * 1000));
  }
}

/** What cannot be told is lost: nobody's music stops for it. */
async function tell(uri: string, heardMs: number, again = true): Promise<void> {
  try {
    const response = await fetch('/xrpc/fm.plyr.feed.recordPlay', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ uri, heardMs, client: 'plyr web' }),
      keepalive: true,
    });
    if (response.status < 500) return;
  } catch {
    // Offline for a moment, perhaps.
  }
  if (again) setTimeout(() => void tell(uri, heardMs, false), RETRY_MS);
}
