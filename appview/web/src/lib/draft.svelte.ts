/** Words about a track that are not posted yet. They outlast a reload, and the way to one's server and back. */

const LENGTH_MAX = 300;

const drafts = new Map<string, Draft>();

export function draftOf(uri: string): Draft {
  let draft = drafts.get(uri);
  if (!draft) drafts.set(uri, (draft = new Draft(uri)));
  return draft;
}

/** As the server counts them. */
export const lengthOf = (text: string): number => Array.from(text.trim()).length;

/** How many characters are left. */
export const roomIn = (text: string): number => LENGTH_MAX - lengthOf(text);

class Draft {
  text = $state('');
  /** The moment it is about. */
  momentS = $state(0);
  #key: string;

  constructor(uri: string) {
    this.#key = `plyr.draft.${uri}`;
    try {
      const [momentS, text] = JSON.parse(sessionStorage.getItem(this.#key) ?? '[]') as unknown[];
      if (typeof text === 'string') this.text = text;
      if (typeof momentS === 'number' && momentS >= 0) this.momentS = momentS;
    } catch {
      // Nothing was kept, or nothing of ours.
    }
  }

  /** The moment is that of the first letter. */
  write(text: string, nowS: number): void {
    if (this.text.trim() === '' && text.trim() !== '') this.momentS = nowS;
    this.text = text;
    this.#keep();
  }

  about(momentS: number): void {
    this.momentS = momentS;
    this.#keep();
  }

  clear(): void {
    this.text = '';
    this.momentS = 0;
    this.#keep();
  }

  #keep(): void {
    try {
      if (this.text) sessionStorage.setItem(this.#key, JSON.stringify([this.momentS, this.text]));
      else sessionStorage.removeItem(this.#key);
    } catch {
      // It stays for as long as the page does.
    }
  }
}
