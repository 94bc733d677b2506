/** The comments of the tracks in view: of the open one for reading, of the playing one for its seek bar. */

import { getComments, getTracks } from './api';
import { createComment, deleteComment, editComment } from './hand';
import { library } from './library.svelte';
import { Pages } from './pages.svelte';
import { session } from './session.svelte';
import { ApiError, isUnclear } from './trouble';
import { prose, type Comment, type Track } from './view';

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
    // Nobody can say what was said about a track that is gone.
    else if (changed(uri) && library.get(uri)) due.push(list.refresh());
  }
  await Promise.all(due);
}

/** Posts a comment, and reads the list again so that it stands in it. */
export async function say(track: Track, trackId: number, words: string, momentS: number): Promise<Comment | null> {
  const before = new Set(commentsOf(track.uri).items.map((comment) => comment.uri));
  const isIt = (comment: Comment) =>
    session.isMine(comment.author.did) && !before.has(comment.uri) && comment.text === prose(words);
  try {
    await createComment(trackId, words, momentS);
  } catch (error) {
    // The answer was lost; what it answered may have happened. Posting it twice would be worse than asking.
    if (!isUnclear(error)) throw error;
    await reread(track.uri);
    if (!commentsOf(track.uri).items.some(isIt)) throw error;
  }
  await reread(track.uri);
  return commentsOf(track.uri).items.find(isIt) ?? null;
}

export async function change(trackUri: string, commentId: number, words: string): Promise<void> {
  await editComment(commentId, words);
  await reread(trackUri);
}

export async function remove(trackUri: string, commentId: number): Promise<void> {
  try {
    await deleteComment(commentId);
  } catch (error) {
    // What is gone already was to go.
    if (!(error instanceof ApiError && error.trouble === 'missing')) throw error;
  }
  await reread(trackUri);
}

/** The news of the change comes as well, but whoever made it should not have to wait. */
async function reread(uri: string): Promise<void> {
  const track = getTracks([uri]).then((tracks) => library.put(tracks));
  await Promise.allSettled([commentsOf(uri).refresh(), track]);
}
