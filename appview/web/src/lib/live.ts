/** The server's own news of what changed, gathered into batches that are applied one after another. */

import { fields } from './view';

export type Connection = 'connecting' | 'live' | 'lost';

export interface Batch {
  /** Tracks that changed in any way. */
  uris: Set<string>;
  /** The feed's order or membership changed. */
  latest: boolean;
  /** Everything may have changed. */
  reset: boolean;
}

export interface Listener {
  connection: (state: Connection) => void;
  /** Brings what is shown up to date; a batch that fails is tried again. */
  apply: (batch: Batch) => Promise<void>;
}

const GATHER_MS = 150;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** After so long out of sight the connection is opened anew: a sleeping machine cannot know if it still lives. */
const HIDDEN_MAX_MS = 60_000;

const emptyBatch = (): Batch => ({ uris: new Set(), latest: false, reset: false });

/** Full jitter over the upper half, so that many pages do not come back in the same moment. */
const jittered = (delayMs: number): number => delayMs * (0.5 + Math.random() / 2);

/** Applies batches one at a time, no sooner than GATHER_MS after their first event. */
function gatherer(apply: Listener['apply']) {
  let waiting = emptyBatch();
  let timer: ReturnType<typeof setTimeout> | null = null;
  let busy = false;
  let retryMs = RETRY_MIN_MS;

  async function flush(): Promise<void> {
    timer = null;
    busy = true;
    const batch = waiting;
    waiting = emptyBatch();
    let delayMs = GATHER_MS;
    try {
      await apply(batch);
      retryMs = RETRY_MIN_MS;
    } catch {
      add(batch);
      delayMs = jittered(retryMs);
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    }
    busy = false;
    if (waiting.reset || waiting.latest || waiting.uris.size > 0) schedule(delayMs);
  }

  function schedule(delayMs: number): void {
    if (!busy && timer === null) timer = setTimeout(() => void flush(), delayMs);
  }

  function add(news: Partial<Batch>): void {
    for (const uri of news.uris ?? []) waiting.uris.add(uri);
    waiting.latest ||= news.latest ?? false;
    waiting.reset ||= news.reset ?? false;
    schedule(GATHER_MS);
  }

  return { add, stop: () => timer !== null && clearTimeout(timer) };
}

function parseChanged(data: unknown): Partial<Batch> | null {
  try {
    const news = fields(typeof data === 'string' ? JSON.parse(data) : null);
    if (!news || !Array.isArray(news.uris)) return null;
    const uris = new Set(news.uris.filter((uri): uri is string => typeof uri === 'string'));
    return { uris, latest: news.latest === true };
  } catch {
    return null;
  }
}

export interface Listening {
  /** Asks for everything anew. */
  reset: () => void;
  stop: () => void;
}

export function listen(listener: Listener): Listening {
  const gather = gatherer(listener.apply);
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retryMs = RETRY_MIN_MS;
  let hiddenSinceMs: number | null = null;

  function open(): void {
    clearTimeout(timer);
    source?.close();
    listener.connection('connecting');
    const opened = new EventSource('/live');
    source = opened;
    opened.onopen = () => {
      retryMs = RETRY_MIN_MS;
      listener.connection('live');
    };
    opened.onerror = () => {
      listener.connection('lost');
      // The browser reconnects by itself unless the answer was an error: then it has given up.
      if (opened.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, jittered(retryMs));
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    };
    opened.addEventListener('reset', () => gather.add({ reset: true }));
    // News that cannot be read is still news: ask for everything rather than miss it.
    opened.addEventListener('changed', (event) => gather.add(parseChanged(event.data) ?? { reset: true }));
  }

  function seen(): void {
    if (document.visibilityState === 'hidden') {
      hiddenSinceMs = Date.now();
    } else if (hiddenSinceMs !== null) {
      if (Date.now() - hiddenSinceMs > HIDDEN_MAX_MS) open();
      hiddenSinceMs = null;
    }
  }

  const lost = () => listener.connection('lost');
  document.addEventListener('visibilitychange', seen);
  window.addEventListener('online', open);
  window.addEventListener('offline', lost);
  open();

  const stop = () => {
    document.removeEventListener('visibilitychange', seen);
    window.removeEventListener('online', open);
    window.removeEventListener('offline', lost);
    clearTimeout(timer);
    gather.stop();
    source?.close();
  };
  return { reset: () => gather.add({ reset: true }), stop };
}
