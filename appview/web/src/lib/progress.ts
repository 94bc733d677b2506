/** What the server does with an upload whose bytes it has: told by itself until it is over. */

import { sentence } from './hand';
import { each, fields, parseTrackUri } from './view';

export interface Progress {
  status: 'pending' | 'processing' | 'completed' | 'failed';
  phase: string | null;
  /** Of what the server does, from 0 to 100; null where it is not told. */
  percent: number | null;
  /** In the server's words. */
  message: string | null;
  error: string | null;
  warnings: string[];
  trackUri: string | null;
}

const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 20_000;

const text = (value: unknown): string | null =>
  typeof value === 'string' && value.trim() !== '' ? value.trim().slice(0, 500) : null;

function warning(value: unknown): string | null {
  const said = text(value);
  return said && sentence(said);
}

function parse(data: unknown): Progress | null {
  try {
    const view = fields(typeof data === 'string' ? JSON.parse(data) : null);
    const status = view?.status;
    if (!view || (status !== 'pending' && status !== 'processing' && status !== 'completed' && status !== 'failed')) {
      return null;
    }
    const percent = view.server_progress_pct;
    const uri = text(view.atproto_uri);
    return {
      status,
      phase: text(view.phase),
      percent: typeof percent === 'number' && percent >= 0 ? Math.min(100, percent) : null,
      message: text(view.message),
      error: text(view.error) ?? (status === 'failed' ? text(view.message) : null),
      warnings: each(view.warnings, warning),
      trackUri: uri !== null && parseTrackUri(uri) ? uri : null,
    };
  } catch {
    return null;
  }
}

/** Until it is over, or the returned function is called. `heard` says whether the server can be heard at all. */
export function follow(uploadId: string, told: (progress: Progress) => void, heard: (heard: boolean) => void): () => void {
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let retryMs = RETRY_MIN_MS;

  function stop(): void {
    clearTimeout(timer);
    source?.close();
  }

  function open(): void {
    const opened = new EventSource(`/tracks/uploads/${encodeURIComponent(uploadId)}/progress`);
    source = opened;
    opened.onmessage = ({ data }) => {
      const progress = parse(data);
      if (!progress) return;
      retryMs = RETRY_MIN_MS;
      heard(true);
      if (progress.status === 'completed' || progress.status === 'failed') stop();
      told(progress);
    };
    opened.onerror = () => {
      heard(false);
      if (opened.readyState !== EventSource.CLOSED) return;
      timer = setTimeout(open, retryMs * (0.5 + Math.random() / 2));
      retryMs = Math.min(retryMs * 2, RETRY_MAX_MS);
    };
  }

  open();
  return stop;
}
