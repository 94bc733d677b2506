/** Numbers and times as people read them. */

/** 4:05, 1:02:09; a dash where there is nothing to say. */
export function duration(seconds: number | null): string {
  if (seconds === null || !Number.isFinite(seconds) || seconds < 0) return '–:––';
  const whole = Math.floor(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const tail = String(s).padStart(2, '0');
  return h > 0 ? `${h}:${String(m).padStart(2, '0')}:${tail}` : `${m}:${tail}`;
}

/** The same for a screen reader. */
export function spokenDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  return `${minutes ? `${plural(minutes, 'minute')} ` : ''}${plural(whole % 60, 'second')}`;
}

export function plural(count: number, noun: string): string {
  return `${full.format(count)} ${count === 1 ? noun : `${noun}s`}`;
}

const full = new Intl.NumberFormat('en');
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 });

/** 2,586 and 28.3k. */
export function number(value: number): string {
  return value < 10_000 ? full.format(value) : compact.format(value).toLowerCase();
}

const STEPS: [limitS: number, unitS: number, unit: string][] = [
  [3_600, 60, 'min'],
  [86_400, 3_600, 'h'],
  [7 * 86_400, 86_400, 'd'],
  [56 * 86_400, 7 * 86_400, 'w'],
];

/** How long ago, in a few characters; a date (not relative) once it is months. */
export function ago(timeMs: number, nowMs: number): { text: string; relative: boolean } {
  const seconds = Math.max(0, (nowMs - timeMs) / 1000);
  if (seconds < 60) return { text: 'now', relative: false };
  for (const [limitS, unitS, unit] of STEPS) {
    if (seconds < limitS) return { text: `${Math.floor(seconds / unitS)} ${unit}`, relative: true };
  }
  const date = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });
  return { text: date.format(timeMs).toLowerCase(), relative: false };
}

export function exactTime(timeMs: number): string {
  return new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short' }).format(timeMs);
}
