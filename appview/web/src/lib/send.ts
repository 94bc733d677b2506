/** Sends a form with files, and tells how far it is: `fetch` cannot. */

import { refusal } from './hand';
import { ApiError } from './trouble';
import { fields } from './view';

export interface Sending {
  /** The JSON object that was answered. */
  answer: Promise<Record<string, unknown>>;
  abort: () => void;
}

export function send(path: string, form: FormData, progress: (sentBytes: number, totalBytes: number) => void): Sending {
  const request = new XMLHttpRequest();
  const answer = new Promise<Record<string, unknown>>((resolve, reject) => {
    const broken = () => reject(new ApiError(navigator.onLine ? 'unreachable' : 'offline', `POST ${path}`));
    request.upload.onprogress = ({ loaded, total }) => progress(loaded, total);
    request.onerror = broken;
    request.onabort = () => reject(new DOMException('stopped', 'AbortError'));
    request.onload = () => {
      const view = viewOf(request.responseText);
      if (request.status < 200 || request.status > 299) reject(refusal({ status: request.status, view }, `POST ${path}`));
      else if (view) resolve(view);
      else reject(new ApiError('malformed', `POST ${path}: no JSON object`));
    };
    request.open('POST', path);
    request.setRequestHeader('accept', 'application/json');
    request.send(form);
  });
  return { answer, abort: () => request.abort() };
}

function viewOf(text: string): Record<string, unknown> | null {
  try {
    return fields(JSON.parse(text));
  } catch {
    return null;
  }
}

/** How fast it goes: an average that forgets, so that neither a burst nor a pause is taken for the rule. */
export class Rate {
  #atMs = performance.now();
  #bytes = 0;
  bytesPerS = 0;

  /** So many bytes are sent by now. */
  at(bytes: number): void {
    const nowMs = performance.now();
    const elapsedS = (nowMs - this.#atMs) / 1000;
    if (elapsedS < 0.25) return;
    const measured = (bytes - this.#bytes) / elapsedS;
    const weight = this.bytesPerS === 0 ? 1 : 1 - Math.exp(-elapsedS / 3);
    this.bytesPerS += (measured - this.bytesPerS) * weight;
    this.#atMs = nowMs;
    this.#bytes = bytes;
  }
}
