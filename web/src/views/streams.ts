/** The streams that are live on the server, each one click from being watched. */

import { el, h, show } from "../dom";
import { icon } from "../icons";
import type { StreamState } from "voxwatch-client";
import { anyOf, clock } from "../words";

let drawn = "";

export function updateStreams(
  streams: readonly StreamState[],
  watched: string | null,
  own: string | null,
  watch: (stream: string) => void,
): void {
  const key = JSON.stringify([streams, watched, own]);
  if (key === drawn) return;
  drawn = key;
  const list = el("streams");
  const focused = (document.activeElement as HTMLElement | null)?.dataset.stream;
  list.replaceChildren(...streams.map((stream) => h("li", {}, row(stream, watched, own, watch))));
  // The list is written anew under the reader: stay where they were.
  if (focused) list.querySelector<HTMLElement>(`[data-stream="${CSS.escape(focused)}"]`)?.focus();
  show(el("streams-empty"), streams.length === 0);
}

function row(
  entry: StreamState,
  watched: string | null,
  own: string | null,
  watch: (stream: string) => void,
): HTMLElement {
  const mine = entry.stream === own;
  const button = h(
    "button",
    {
      type: "button",
      "aria-pressed": String(entry.stream === watched),
      "data-stream": entry.stream,
      disabled: mine ? "" : null, // shown already
    },
    icon("watch") as unknown as HTMLElement,
    h("span", {}, h("b", {}, mine ? "This page" : nameOf(entry)), h("span", { class: "quiet" }, facts(entry))),
  );
  button.onclick = () => watch(entry.stream);
  return button;
}

export function nameOf(entry: { label: string; stream: string }): string {
  return entry.label || `Stream ${entry.stream.slice(0, 8)}`;
}

function facts(entry: StreamState): string {
  return `${stateWords(entry)} · ${clock(entry.received_s)}`;
}

function stateWords(entry: StreamState): string {
  if (entry.stalled) return "no sound comes";
  switch (entry.state) {
    case "match":
      return `Match – ${entry.speaker ?? anyOf(entry.claims)}`;
    case "mismatch":
      return `Not ${anyOf(entry.claims)}`;
    case "uncertain":
      return "Unsure";
    case "unknown":
      return "Unknown voice";
    default:
      return "Not enough speech yet";
  }
}
