// Colours turned on the wheel: one palette becomes a family.

/** `#rrggbb` with its hue turned by `degrees`; how light it is stays (CIE luminance, roughly). */
export function turnHue(hex, degrees) {
  const [r, g, b] = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  const cos = Math.cos((degrees * Math.PI) / 180);
  const sin = Math.sin((degrees * Math.PI) / 180);
  // Rotation about the grey axis that keeps 0.213 r + 0.715 g + 0.072 b (the matrix of SVG's hueRotate).
  const mix = [
    [0.213 + cos * 0.787 - sin * 0.213, 0.715 - cos * 0.715 - sin * 0.715, 0.072 - cos * 0.072 + sin * 0.928],
    [0.213 - cos * 0.213 + sin * 0.143, 0.715 + cos * 0.285 + sin * 0.14, 0.072 - cos * 0.072 - sin * 0.283],
    [0.213 - cos * 0.213 - sin * 0.787, 0.715 - cos * 0.715 + sin * 0.715, 0.072 + cos * 0.928 + sin * 0.072],
  ];
  const channel = (row) => Math.max(0, Math.min(255, Math.round(row[0] * r + row[1] * g + row[2] * b)));
  return `#${mix.map((row) => channel(row).toString(16).padStart(2, '0')).join('')}`;
}
