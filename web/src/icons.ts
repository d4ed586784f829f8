/** Icons, drawn with lines of two units in a square of 24. */

const PATHS = {
  check: "M4.5 12.5l5 5 10-11",
  cross: "M6 6l12 12M18 6L6 18",
  question: "M8.5 9a3.5 3.5 0 1 1 5 3.2c-1 .5-1.5 1.1-1.5 2.3M12 18.4v.1",
  person: "M12 11.5a3.7 3.7 0 1 0 0-7.4 3.7 3.7 0 0 0 0 7.4zM4.8 20c.6-3.6 3.5-5.5 7.2-5.5s6.6 1.9 7.2 5.5",
  swap: "M4 8.5h14M14.5 5l3.5 3.5L14.5 12M20 15.5H6M9.5 12L6 15.5 9.5 19",
  ear: "M4 12h1.5M8.5 8.5v7M12 5v14M15.5 8.5v7M20 12h-1.5",
  clock: "M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17zM12 7.5V12l3 2",
  plug: "M4 4l16 16M9 3v4M15 3v4M7 8.5V11a5 5 0 0 0 6.5 4.8M17 12.5V8h-5M12 16v5",
  flag: "M6 21V4M6 4.5h11l-2 4 2 4H6",
  wave: "M3.5 12h1M8 8.5v7M12 4.5v15M16 8.5v7M20.5 12h-1",
  microphone: "M12 14.5a3 3 0 0 0 3-3V6a3 3 0 1 0-6 0v5.5a3 3 0 0 0 3 3zM6 11.5a6 6 0 0 0 12 0M12 17.5V21",
  mute: "M4 4l16 16M9 9.5v2a3 3 0 0 0 4.5 2.6M15 11V6a3 3 0 0 0-5.6-1.5M6 11.5a6 6 0 0 0 9.5 4.8M18 11.5a6 6 0 0 1-.6 2.6M12 17.5V21",
  stop: "M7 7h10v10H7z",
  add: "M12 5v14M5 12h14",
  save: "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M5 20h14",
  print: "M7 9V4h10v5M7 17H4.5v-7.5h15V17H17M7 14h10v6H7z",
  close: "M6 6l12 12M18 6L6 18",
  keyboard: "M3.5 6.5h17v11h-17zM7 10v.1M10.3 10v.1M13.6 10v.1M17 10v.1M8 14h8",
  theme: "M12 4v16a8 8 0 1 0 0-16zM12 4a8 8 0 0 0 0 16",
  remove: "M5 7h14M10 7V4.5h4V7M7 7l1 13h8l1-13",
  watch: "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12zM12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5z",
  people: "M9 11.5a3.2 3.2 0 1 0 0-6.4 3.2 3.2 0 0 0 0 6.4zM3 19c.5-3.2 2.9-4.8 6-4.8s5.5 1.6 6 4.8M15.5 5.4a3.1 3.1 0 0 1 0 6M17.6 14.7c1.9.7 3.1 2.1 3.4 4.3",
  overlap: "M9.5 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10zM14.5 17a5 5 0 1 0 0-10 5 5 0 0 0 0 10z",
  noise: "M3 12h2l2-6 3 13 3-15 3 12 2-4h3",
  bell: "M6 16.5V11a6 6 0 1 1 12 0v5.5l1.5 2h-15zM10 21h4",
  sound: "M4 9.5v5h3.5L12 19V5L7.5 9.5zM15.5 9a4.5 4.5 0 0 1 0 6M18 6.5a8 8 0 0 1 0 11",
  back: "M15 5l-7 7 7 7",
  wall: "M4 5h7v6H4zM13 5h7v6h-7zM4 13h7v6H4zM13 13h7v6h-7z",
  alert: "M12 4L2.5 20h19zM12 10v4.5M12 17.2v.1",
} as const;

export type IconName = keyof typeof PATHS;

const SVG = "http://www.w3.org/2000/svg";

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", PATHS[name]);
  svg.append(path);
  return svg;
}

/** Fill in the icons that index.html asks for. */
export function drawIcons(): void {
  for (const place of document.querySelectorAll<HTMLElement>("[data-icon]")) {
    place.replaceChildren(icon(place.dataset.icon as IconName));
  }
}

/** A ring that fills: the share done, with words in its middle. */
export class Ring {
  readonly element: SVGSVGElement;
  private readonly arc: SVGCircleElement;
  private readonly words: SVGTextElement;
  private readonly length = 2 * Math.PI * 42;

  constructor() {
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("viewBox", "0 0 100 100");
    this.element.setAttribute("class", "ring");
    this.element.setAttribute("aria-hidden", "true");
    const back = this.circle("ring-back");
    this.arc = this.circle("ring-arc");
    this.arc.setAttribute("stroke-dasharray", String(this.length));
    this.words = document.createElementNS(SVG, "text");
    this.words.setAttribute("x", "50");
    this.words.setAttribute("y", "50");
    this.element.append(back, this.arc, this.words);
  }

  update(share: number, words: string): void {
    const rest = this.length * (1 - Math.max(0, Math.min(1, share)));
    this.arc.setAttribute("stroke-dashoffset", rest.toFixed(1));
    if (this.words.textContent !== words) this.words.textContent = words;
  }

  private circle(kind: string): SVGCircleElement {
    const circle = document.createElementNS(SVG, "circle");
    circle.setAttribute("class", kind);
    for (const [name, value] of [["cx", "50"], ["cy", "50"], ["r", "42"]] as const) {
      circle.setAttribute(name, value);
    }
    return circle;
  }
}
