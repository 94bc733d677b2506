/** What can go wrong with a request, in words. */

export type Trouble =
  | 'offline'
  | 'unreachable'
  | 'missing'
  | 'refused'
  | 'busy'
  | 'failing'
  | 'malformed'
  | 'signed-out'
  | 'not-granted'
  | 'unsettled';

const IN_WORDS: Record<Trouble, string> = {
  offline: 'you seem to be offline.',
  unreachable: 'the server cannot be reached right now.',
  missing: 'this is not here, or not any more.',
  refused: 'the server did not understand the question.',
  busy: 'the server is busy. a moment of patience will help.',
  failing: 'the server ran into a problem.',
  malformed: 'the server gave an answer that cannot be read.',
  'signed-out': 'your session ended.',
  'not-granted': 'you did not allow plyr to do this.',
  unsettled: 'your own server has not confirmed it yet; it is being asked again.',
};

export class ApiError extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly detail: string,
    /** The server's own words, where they are meant for people. */
    readonly said: string | null = null,
  ) {
    super(`${IN_WORDS[trouble]} (${detail})`);
    this.name = 'ApiError';
  }
}

/** What to tell a person about any error of a request. */
export function inWords(error: unknown): string {
  return error instanceof ApiError ? (error.said ?? IN_WORDS[error.trouble]) : IN_WORDS.failing;
}

/** Nobody knows whether the server did what it was asked to. */
export function isUnclear(error: unknown): boolean {
  const unclear: Trouble[] = ['offline', 'unreachable', 'failing', 'malformed', 'unsettled'];
  return !(error instanceof ApiError) || unclear.includes(error.trouble);
}
