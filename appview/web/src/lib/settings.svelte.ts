/** What a listener chose about the look; kept in the browser. */

import { inkOn, isColour, readableOn } from './colour';
import { recall, remember } from './storage';

export type Theme = 'system' | 'dark' | 'light';

export const ACCENT_DEFAULT = '#6a9fff';

/** The grounds that accented text stands on; the hardest ones of the style sheet's two themes. */
const GROUND = { dark: '#1d1d21', light: '#efefec' };
const PAGE = { dark: '#0b0b0d', light: '#fafaf8' };

function recallTheme(): Theme {
  const theme = recall('theme');
  return theme === 'dark' || theme === 'light' ? theme : 'system';
}

function recallAccent(): string {
  const accent = recall('accent');
  return isColour(accent) ? accent : ACCENT_DEFAULT;
}

class Settings {
  theme = $state<Theme>(recallTheme());
  accent = $state(recallAccent());

  setTheme(theme: Theme): void {
    this.theme = theme;
    remember('theme', theme === 'system' ? null : theme);
    this.apply();
  }

  setAccent(accent: string): void {
    if (!isColour(accent)) return;
    this.accent = accent;
    remember('accent', accent === ACCENT_DEFAULT ? null : accent);
    this.apply();
  }

  /** Writes the choices to the document; the style sheet does the rest. */
  apply(): void {
    const root = document.documentElement;
    if (this.theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.theme;

    const onDark = readableOn(this.accent, GROUND.dark);
    const onLight = readableOn(this.accent, GROUND.light);
    root.style.setProperty('--accent-dark', onDark);
    root.style.setProperty('--accent-light', onLight);
    root.style.setProperty('--ink-dark', inkOn(onDark));
    root.style.setProperty('--ink-light', inkOn(onLight));

    for (const meta of document.querySelectorAll<HTMLMetaElement>('meta[name="theme-color"]')) {
      const system = meta.media.includes('light') ? 'light' : 'dark';
      meta.content = PAGE[this.theme === 'system' ? system : this.theme];
    }
  }
}

export const settings = new Settings();
