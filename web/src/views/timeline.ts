/** What was decided over time: the stream's state, and below it each turn by itself. */

import type { Segment, View } from "../view";
import type { Utterance } from "voxwatch-client";
import { anyOf, clock, llrWords } from "../words";
import { colour, GUTTER, pen } from "./palette";

const STATE = { top: 6, height: 24 };
const TURNS = { top: 34, height: 20 };
const END = TURNS.top + TURNS.height;
const TICKS_S = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];

type Draw = CanvasRenderingContext2D;
type Scale = (t: number) => number;
type Band = typeof STATE;

export const STATE_COLOURS: Record<Segment["state"], string> = {
  match: "band-match",
  mismatch: "band-alert",
  uncertain: "band-unsure",
  unknown: "band-unknown",
  insufficient: "band-waiting",
  changed: "band-changed",
};

/** `time` says a media time in words. */
export function drawTimeline(
  place: HTMLCanvasElement,
  view: View,
  start: number,
  end: number,
  time: (t: number) => string = clock,
): void {
  const canvas = pen(place);
  if (!canvas) return;
  const { draw, width, height } = canvas;
  const x = scale(start, end, width);
  name(draw, "State", STATE.top + STATE.height / 2);
  name(draw, "Turns", TURNS.top + TURNS.height / 2);
  draw.fillStyle = colour("line");
  draw.fillRect(GUTTER, STATE.top, width - GUTTER, STATE.height);
  for (const segment of view.segments) {
    const words = [segmentWords(segment, view.claims)];
    block(draw, STATE, x(segment.start), x(segment.end ?? view.media), width, segment.state, words);
  }
  for (const turn of view.utterances) {
    block(draw, TURNS, x(turn.start), x(turn.end), width, turn.state, turnLabels(turn, view.claims));
  }
  markChanges(draw, view, x, END);
  ticks(draw, start, end, x, height, time);
}

/** A block of one state, with the longest words that fit. */
function block(
  draw: Draw,
  band: Band,
  start: number,
  end: number,
  width: number,
  state: Segment["state"],
  words: readonly string[],
): void {
  const from = Math.max(start, GUTTER);
  const to = Math.min(end, width);
  if (to <= from) return;
  draw.fillStyle = colour(STATE_COLOURS[state]);
  draw.fillRect(from, band.top, to - from, band.height);
  const fitting = words.find((one) => draw.measureText(one).width + 10 <= to - from);
  if (fitting === undefined) return;
  draw.fillStyle = inkOn(state);
  draw.textAlign = "left";
  draw.textBaseline = "middle";
  draw.fillText(fitting, from + 5, band.top + band.height / 2 + 1);
}

/** Dark on the light bands. */
function inkOn(state: Segment["state"]): string {
  const dark = document.documentElement.dataset.theme === "dark";
  const light = state === "uncertain" || state === "match" || (state === "insufficient" && !dark);
  return light ? "#10141c" : "#ffffff";
}

function segmentWords(
  { state, speaker }: Pick<Segment, "state" | "speaker">,
  claims: readonly string[],
): string {
  switch (state) {
    case "match":
      return speaker ?? "Match";
    case "mismatch":
      return claims.length === 1 ? `Not ${anyOf(claims)}` : "No match";
    case "uncertain":
      return "Unsure";
    case "unknown":
      return "Unknown";
    case "changed":
      return "Another voice";
    default:
      return "Too little";
  }
}

/** From the fullest to the shortest: who and the evidence, who, the evidence. */
function turnLabels(turn: Utterance, claims: readonly string[]): string[] {
  const who = segmentWords(turn, claims);
  if ((turn.evidence ?? null) === null) return [who];
  const evidence = llrWords(turn.evidence!);
  return [`${who} ${evidence}`, who, evidence];
}

export function scale(start: number, end: number, width: number): Scale {
  return (t) => GUTTER + ((t - start) / (end - start)) * (width - GUTTER);
}

export function name(draw: Draw, words: string, y: number): void {
  draw.fillStyle = colour("ink-2");
  draw.textAlign = "left";
  draw.textBaseline = "middle";
  draw.fillText(words, 0, y);
}

/** A line and a notch at each change, at the moment it happened rather than was noticed. */
export function markChanges(draw: Draw, view: View, x: Scale, height: number): void {
  draw.fillStyle = colour("ink");
  for (const change of view.changes) {
    const at = x(change.at);
    if (at < GUTTER) continue;
    draw.fillRect(at - 0.75, 0, 1.5, height);
    draw.beginPath();
    draw.moveTo(at - 5, 0);
    draw.lineTo(at + 5, 0);
    draw.lineTo(at, 7);
    draw.fill();
  }
}

function ticks(
  draw: Draw,
  start: number,
  end: number,
  x: Scale,
  y: number,
  time: (t: number) => string,
): void {
  const room = Math.max(2, Math.floor((x(end) - GUTTER) / 74));
  const step = TICKS_S.find((s) => (end - start) / s <= room) ?? 7200;
  draw.fillStyle = colour("ink-2");
  draw.textBaseline = "alphabetic";
  for (let t = Math.ceil(start / step) * step; t <= end; t += step) {
    const at = x(t);
    const words = time(t);
    const half = draw.measureText(words).width / 2;
    draw.textAlign = "center";
    draw.fillRect(at - 0.5, END + 2, 1, 5);
    draw.fillText(words, Math.min(Math.max(at, GUTTER + half - 8), x(end) - half), y - 5);
  }
}
