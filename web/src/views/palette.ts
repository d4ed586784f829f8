/** The style sheet's colours, for what is drawn on a canvas. */

export const GUTTER = 56; // pixels left of all plots, for their names and numbers

/** That of the page; a canvas does not inherit it. */
export const FONT =
  '-apple-system, BlinkMacSystemFont, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", Arial, sans-serif';

let known = new Map<string, string>();

/** The value of `--name` in the theme of the moment. */
export function colour(name: string): string {
  const cached = known.get(name);
  if (cached !== undefined) return cached;
  const value = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  known.set(name, value);
  return value;
}

/** After the theme has changed. */
export function forgetColours(): void {
  known = new Map();
}

const SERIES = 6;

/** A speaker's colour: the order of appearance decides. */
export function seriesColour(index: number): string {
  return colour(`series-${(index % SERIES) + 1}`);
}

/** A canvas sized to its place on the page, cleared, in CSS pixels. */
export function pen(canvas: HTMLCanvasElement): {
  draw: CanvasRenderingContext2D;
  width: number;
  height: number;
} | null {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const draw = canvas.getContext("2d");
  if (!draw || width === 0) return null;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  draw.setTransform(ratio, 0, 0, ratio, 0, 0);
  draw.clearRect(0, 0, width, height);
  draw.font = `12px ${FONT}`;
  return { draw, width, height };
}
