/** The comments of the tracks in view: of the open one for reading, of the playing one for its seek bar. */

import { getComments } from './api';
import { Pages } from './pages.svelte';
import type { Comment } from './view';

const PAGE_SIZE = 100;
const lists = new Map<string, Pages<Comment>>();

export function commentsOf(uri: string): Pages<Comment> {
  let list = lists.get(uri);
  if (!list) {
    list = new Pages((cursor) => getComments(uri, PAGE_SIZE, cursor));
    lists.set(uri, list);
    // Later, because a list may be asked for while the page is being drawn.
    queueMicrotask(() => void lists.get(uri)?.load());
  }
  return list;
}

/** Brings the comments of the watched tracks up to date and forgets all others. */
export async function refreshComments(changed: (uri: string) => boolean, watched: Set<string>): Promise<void> {
  const due: Promise<void>[] = [];
  for (const [uri, list] of lists) {
    if (!watched.has(uri)) lists.delete(uri);
    else if (changed(uri)) due.push(list.refresh());
  }
  await Promise.all(due);
}
