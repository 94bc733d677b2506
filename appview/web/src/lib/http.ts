/** A request to the server we were loaded from. */

import { ApiError, type Trouble } from './trouble';
import { fields } from './view';

export interface Answer {
  status: number;
  ok: boolean;
  /** The body, where it is a JSON object. */
  view: Record<string, unknown> | null;
}

export async function ask(path: string, timeoutMs: number, init: RequestInit = {}): Promise<Answer> {
  try {
    const answer = await fetch(path, {
      ...init,
      headers: { accept: 'application/json', ...init.headers },
      signal: AbortSignal.timeout(timeoutMs),
    });
    const body: unknown = await answer.json().catch((error: unknown) => {
      if (error instanceof SyntaxError) return null;
      throw error;
    });
    return { status: answer.status, ok: answer.ok, view: fields(body) };
  } catch (error) {
    throw new ApiError(navigator.onLine ? 'unreachable' : 'offline', String(error));
  }
}

export function troubleOf(status: number): Trouble {
  if (status === 404) return 'missing';
  if (status === 429 || status === 503) return 'busy';
  if (status === 502 || status === 504) return 'unreachable';
  return status < 500 ? 'refused' : 'failing';
}
