/** Why signing in did not work, as the server says it in the address it sends people back to. */

export interface Arrival {
  title: string;
  text: string;
}

const CODES: Record<string, Arrival> = {
  access_denied: {
    title: 'you were not signed in',
    text: 'you said no on your server’s page, or closed it. nothing was changed, and you can listen without signing in.',
  },
  flow_expired: {
    title: 'that took a little too long',
    text: 'a sign-in is good for ten minutes and for one use. start it once more, and it will work.',
  },
  wrong_browser: {
    title: 'this sign-in began somewhere else',
    text: 'it has to end in the browser that it was started in. if you followed a link from someone else, leave it be; otherwise start once more here.',
  },
  issuer_mismatch: {
    title: 'the answer came from another server',
    text: 'another server answered than the one that was asked, so the sign-in was stopped for your safety. start once more; if it happens again, tell whoever runs your server.',
  },
  account_mismatch: {
    title: 'that was another account',
    text: 'your server signed you in as somebody else than you named here. sign in with the handle of the account you want to use.',
  },
  handle_not_found: {
    title: 'this handle was not found',
    text: 'nobody on the network goes by it. look for a typing mistake, and write the whole name with its dots.',
  },
  server_unreachable: {
    title: 'your server did not answer',
    text: 'the server that keeps your account cannot be reached right now. try again in a few minutes.',
  },
  server_refused: {
    title: 'your server declined',
    text: 'the server that keeps your account refused to begin the sign-in. it may be too old for it, or busy: try again in a few minutes.',
  },
  rate_limited: {
    title: 'too many sign-ins at once',
    text: 'from where you are, signing in was tried very often just now. wait a minute, then start once more.',
  },
  exchange_failed: {
    title: 'the last step did not work',
    text: 'your server agreed, but the keys could not be fetched from it. nothing was changed: start once more.',
  },
};

const UNKNOWN: Arrival = {
  title: 'signing in did not work',
  text: 'nothing was changed. start once more; if it happens again, try later.',
};

const LEFT_FROM = 'plyr.left-from';

/** A failed sign-in ends at the front page; this is where it began. */
export function leaveFrom(path: string): void {
  try {
    sessionStorage.setItem(LEFT_FROM, path);
  } catch {
    // Then the front page it is.
  }
}

function takeLeftFrom(): string | null {
  try {
    const path = sessionStorage.getItem(LEFT_FROM);
    sessionStorage.removeItem(LEFT_FROM);
    return path?.startsWith('/') && !path.startsWith('//') ? path : null;
  } catch {
    return null;
  }
}

/** Takes out of the address whom another page would have somebody sign in as. It is asked about, never done. */
export function takeSignIn(): string | null {
  const url = new URL(location.href);
  const handle = url.searchParams.get('sign_in');
  if (handle === null) return null;
  url.searchParams.delete('sign_in');
  history.replaceState(history.state, '', url.pathname + url.search + url.hash);
  return handle;
}

/**
 * Takes the reason out of the address, so that a reload or a copied link does not repeat it. The address is then the one
 * that the sign-in was started from.
 */
export function takeArrival(): Arrival | null {
  const url = new URL(location.href);
  const code = url.searchParams.get('auth_error');
  const leftFrom = takeLeftFrom();
  if (code === null) return null;
  url.searchParams.delete('auth_error');
  history.replaceState(history.state, '', leftFrom ?? url.pathname + url.search + url.hash);
  return Object.hasOwn(CODES, code) ? (CODES[code] ?? UNKNOWN) : UNKNOWN;
}
