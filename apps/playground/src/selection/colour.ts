/** A sequence of colours for each theme. Their lightness is monotonic, so that the map can be read without hue. */
const RAMPS = {
  light: ['#f1f5ec', '#bfe0b8', '#5fb38f', '#1b7683', '#1f2f6b'],
  dark: ['#15211f', '#1c4a50', '#2b8577', '#84c77c', '#f4f3a6'],
} as const;

export type Theme = keyof typeof RAMPS;
export type Rgb = readonly [number, number, number];

export function ramp(theme: Theme): readonly string[] {
  return RAMPS[theme];
}

/** Returns the ramp's colour at `at`, from 0 to 1, and a text colour that can be read on it. */
export function colour(at: number, theme: Theme): { readonly fill: string; readonly ink: string } {
  const stops = RAMPS[theme].map(parse);
  const place = Math.min(Math.max(at, 0), 1) * (stops.length - 1);
  const index = Math.min(Math.floor(place), stops.length - 2);
  const [from, to] = [stops[index]!, stops[index + 1]!];
  const fill = from.map((channel, axis) =>
    Math.round(channel + (to[axis]! - channel) * (place - index)),
  ) as unknown as Rgb;
  // The better of black and white has a contrast of at least 4.58 with any colour.
  const ink = contrast(fill, [255, 255, 255]) > contrast(fill, [0, 0, 0]) ? '#fff' : '#000';
  return { fill: `rgb(${fill.join(' ')})`, ink };
}

/** The contrast ratio, as WCAG 2 defines it. */
export function contrast(a: Rgb, b: Rgb): number {
  const [x, y] = [luminance(a), luminance(b)];
  return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
}

function luminance(rgb: Rgb): number {
  const [r, g, b] = rgb.map((channel) => {
    const value = channel / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function parse(hex: string): Rgb {
  return [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
}
