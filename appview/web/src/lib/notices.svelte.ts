/** Short messages. They go away by themselves, unless there is something to do about them. */

export interface Action {
  label: string;
  run: () => void;
}

export interface Notice {
  id: number;
  text: string;
  action: Action | null;
}

const SHOWN_MS = 6_000;
const NOTICES_MAX = 3;

class Notices {
  list = $state.raw<Notice[]>([]);
  #lastId = 0;

  say(text: string, action: Action | null = null): void {
    const notice = { id: ++this.#lastId, text, action };
    this.list = [...this.list.filter((other) => other.text !== text), notice].slice(-NOTICES_MAX);
    if (!action) setTimeout(() => this.dismiss(notice.id), SHOWN_MS);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }

  /** Those that are not true any more. */
  withdraw(text: string): void {
    this.list = this.list.filter((notice) => notice.text !== text);
  }
}

export const notices = new Notices();
