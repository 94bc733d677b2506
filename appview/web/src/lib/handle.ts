/** The name somebody signs in with, as people type it or paste it. */

const HANDLE = /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const DID = /^did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]$/;

/** Without the @, the address around it, or the marks that copying leaves behind. */
export function tidyHandle(typed: string): string {
  const bare = typed
    .replace(/[\s\p{Cc}\p{Cf}]+/gu, '')
    .replace(/^https?:\/\/[^/]+\/(?:profile|u)\//i, '')
    .replace(/^at:\/\//i, '')
    .replace(/^@+/, '')
    .replace(/[/?#].*$/, '');
  return bare.startsWith('did:') ? bare : bare.toLowerCase();
}

/** What is wrong with it, in words; null where nothing is. */
export function handleProblem(tidy: string): string | null {
  if (tidy === '') return 'type your handle first.';
  if (tidy.startsWith('did:')) return DID.test(tidy) && tidy.length <= 2048 ? null : 'this DID is not complete.';
  if (tidy.includes('@')) return 'a handle, not an email address: yours looks like a website’s name.';
  if (!tidy.includes('.')) return `a whole handle, with its dots: ${tidy}.bsky.social, perhaps?`;
  return HANDLE.test(tidy) && tidy.length <= 253 ? null : 'no handle looks like this: letters, digits, hyphens and dots.';
}
