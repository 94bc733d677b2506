/** Short messages that go away by themselves. */

export interface Notice {
  id: number;
  text: string;
}

const SHOWN_MS = 6_000;
const NOTICES_MAX = 3;

class Notices {
  list = $state.raw<Notice[]>([]);
  #lastId = 0;

  say(text: string): void {
    const notice = { id: ++this.#lastId, text };
    this.list = [...this.list.filter((other) => other.text !== text), notice].slice(-NOTICES_MAX);
    setTimeout(() => this.dismiss(notice.id), SHOWN_MS);
  }

  dismiss(id: number): void {
    this.list = this.list.filter((notice) => notice.id !== id);
  }
}

export const notices = new Notices();
