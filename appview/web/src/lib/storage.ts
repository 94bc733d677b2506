/** The browser's storage, which may be full, closed or hold anything. */

export function recall(key: string): string | null {
  try {
    return localStorage.getItem(`plyr.${key}`);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string | null): void {
  try {
    if (value === null) localStorage.removeItem(`plyr.${key}`);
    else localStorage.setItem(`plyr.${key}`, value);
  } catch {
    // The choice holds for as long as the page is open.
  }
}
