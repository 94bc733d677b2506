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

/** Seconds from what people type: 83, 1:23, 1:02:03; null where it is no time. */
export function seconds(text: string): number | null {
  const parts = text.trim().split(':');
  if (parts.length > 3 || !parts.every((part) => /^\d{1,5}$/.test(part))) return null;
  const [first, ...rest] = parts.map(Number);
  if (rest.some((part) => part >= 60)) return null;
  return rest.reduce((sum, part) => sum * 60 + part, first ?? 0);
}

/** 4.2 MB, as the limits of the server count them. */
export function size(bytes: number): string {
  const mb = bytes / 1024 ** 2;
  if (mb < 1) return `${Math.max(1, Math.round(bytes / 1024))} kB`;
  return mb < 1024 ? `${mb.toFixed(mb < 100 ? 1 : 0)} MB` : `${(mb / 1024).toFixed(2)} GB`;
}

/** About how long something still takes. */
export function remaining(timeS: number): string {
  if (timeS < 5) return 'a few seconds left';
  if (timeS < 55) return `${Math.ceil(timeS / 5) * 5} seconds left`;
  if (timeS < 3_300) return `${plural(Math.max(1, Math.round(timeS / 60)), 'minute')} left`;
  return `${plural(Math.round(timeS / 3_600), 'hour')} left`;
}
