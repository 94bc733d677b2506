/** Keeps a freely chosen colour readable: contrast by WCAG 2.2, on sRGB colours written #rrggbb. */

type Rgb = [number, number, number];

export function isColour(text: string | null): text is string {
  return text !== null && /^#[0-9a-f]{6}$/i.test(text);
}

function toRgb(hex: string): Rgb {
  const value = Number.parseInt(hex.slice(1), 16);
  return [value >> 16, (value >> 8) & 255, value & 255];
}

function toHex(rgb: Rgb): string {
  return `#${rgb.map((part) => Math.round(part).toString(16).padStart(2, '0')).join('')}`;
}

function luminance(hex: string): number {
  const [r, g, b] = toRgb(hex).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  }) as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

export function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

/** Hue in degrees, saturation and lightness in 0..1. */
function toHsl(hex: string): [h: number, s: number, l: number] {
  const [r, g, b] = toRgb(hex).map((part) => part / 255) as Rgb;
  const max = Math.max(r, g, b);
  const min = Math.min(r, g, b);
  const spread = max - min;
  const l = (max + min) / 2;
  if (spread === 0) return [0, 0, l];
  const sixth = max === r ? (g - b) / spread : max === g ? (b - r) / spread + 2 : (r - g) / spread + 4;
  return [(sixth * 60 + 360) % 360, spread / (1 - Math.abs(2 * l - 1)), l];
}

function fromHsl(h: number, s: number, l: number): string {
  const part = (n: number) => {
    const k = (n + h / 30) % 12;
    return 255 * (l - s * Math.min(l, 1 - l) * Math.max(-1, Math.min(k - 3, 9 - k, 1)));
  };
  return toHex([part(0), part(8), part(4)]);
}

/**
 * The colour itself where it can be read on the ground, else the nearest lightness of the same hue that can.
 * The default asks for more than the 4.5 of AA, because accented text also stands on a tint of its own colour.
 */
export function readableOn(colour: string, ground: string, contrastMin = 5.4): string {
  if (contrast(colour, ground) >= contrastMin) return colour;
  const [h, saturation, from] = toHsl(colour);
  // A darker or lighter shade of the same saturation looks louder than the colour that was chosen.
  const s = saturation * 0.8;
  const to = luminance(ground) > 0.18 ? 0 : 1;
  for (let share = 0.02; share < 1; share += 0.02) {
    const shade = fromHsl(h, s, from + (to - from) * share);
    if (contrast(shade, ground) >= contrastMin) return shade;
  }
  return to === 0 ? '#000000' : '#ffffff';
}

/** Black or white, whichever is easier to read on the ground. */
export function inkOn(ground: string): string {
  return contrast('#0b0b0d', ground) >= contrast('#ffffff', ground) ? '#0b0b0d' : '#ffffff';
}
