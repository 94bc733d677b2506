/** A place in a list: the rows in view and where their tops stand, nearest to the top of the window first. */

export type Place = { uri: string; topPx: number }[];

const ROWS_MAX = 12;

export function placeOf(rows: HTMLElement[]): Place {
  const place: Place = [];
  for (const row of rows) {
    const { top, bottom } = row.getBoundingClientRect();
    if (bottom <= 0) continue;
    if (top > window.innerHeight || place.length === ROWS_MAX) break;
    place.push({ uri: row.dataset.uri ?? '', topPx: top });
  }
  return place;
}

/** Scrolls so that the first row that is still there stands where it stood; with none, to the top. */
export function holdPlace(place: Place, rows: HTMLElement[]): void {
  const byUri = new Map(rows.map((row) => [row.dataset.uri, row]));
  for (const { uri, topPx } of place) {
    const row = byUri.get(uri);
    if (!row) continue;
    window.scrollBy({ top: row.getBoundingClientRect().top - topPx, behavior: 'instant' });
    return;
  }
  window.scrollTo({ top: 0, behavior: 'instant' });
}
