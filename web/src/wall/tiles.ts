/** The tiles, each made once and moved, so that what is looked at and the focus stay. */

import { el, h, say, show } from "../dom";
import { badge } from "./badge";
import { lookOf } from "./kinds";
import type { Placed } from "./order";
import { nameOf } from "./seat";
import { allowedWords, shortWords, tileWords, whenWords } from "./words";

export interface TileActions {
  open(key: string): void;
  acknowledge(key: string): void;
}

interface Tile {
  item: HTMLLIElement;
  open: HTMLButtonElement;
  acknowledge: HTMLButtonElement;
  moment: HTMLElement;
  ago: HTMLElement;
  drawn: string;
}

export class Tiles {
  private readonly tiles = new Map<string, Tile>();
  private readonly needing = el("needing");
  private readonly others = el("others");
  /** The one that Tab comes to. */
  private current = "";

  constructor(private readonly actions: TileActions) {
    for (const list of [this.needing, this.others]) {
      list.addEventListener("focusin", (event) => this.reached(event));
      list.addEventListener("keydown", (event) => this.key(event));
    }
  }

  /** `now` in seconds since 1970; `opened`: the key of the candidate beside the wall. */
  draw(needing: readonly Placed[], others: readonly Placed[], opened: string, now: number): void {
    const shown = new Set([...needing, ...others].map(({ seat }) => seat.key));
    for (const [key, { item }] of this.tiles) {
      if (shown.has(key)) continue;
      item.remove();
      this.tiles.delete(key);
    }
    if (!shown.has(this.current)) this.current = (needing[0] ?? others[0])?.seat.key ?? "";
    const focused = document.activeElement as HTMLElement | null;
    this.fill(this.needing, needing, opened, now);
    this.fill(this.others, others, opened, now);
    // An element that is moved loses the focus.
    if (focused?.isConnected && document.activeElement !== focused) focused.focus({ preventScroll: true });
  }

  /** The key of the tile that has the focus, or "". */
  get focused(): string {
    const active = document.activeElement as HTMLElement | null;
    return active?.closest<HTMLElement>(".tile")?.dataset.key ?? "";
  }

  focus(key: string): void {
    this.tiles.get(key)?.open.focus();
  }

  focusFirst(): void {
    document.querySelector<HTMLElement>("#needing .open, #others .open")?.focus();
  }

  private fill(list: HTMLElement, placed: readonly Placed[], opened: string, now: number): void {
    placed.forEach((one, i) => {
      const tile = this.tiles.get(one.seat.key) ?? this.make(one.seat.key);
      this.write(tile, one, opened, now);
      if (list.children[i] !== tile.item) list.insertBefore(tile.item, list.children[i] ?? null);
    });
    show(list, placed.length > 0);
  }

  private make(key: string): Tile {
    const [moment, ago] = [h("span", { class: "moment" }), h("span", { class: "ago" })];
    const open = h("button", { type: "button", class: "open" });
    const acknowledge = h("button", { type: "button", class: "small acknowledge" }, "Acknowledge");
    open.onclick = () => this.actions.open(key);
    acknowledge.onclick = () => this.actions.acknowledge(key);
    const item = h("li", { class: "tile", "data-key": key }, open, acknowledge);
    const tile: Tile = { item, open, acknowledge, moment, ago, drawn: "" };
    this.tiles.set(key, tile);
    return tile;
  }

  private write(tile: Tile, placed: Placed, opened: string, now: number): void {
    const { seat, status } = placed;
    const { key } = seat;
    const index = key === this.current ? 0 : -1;
    tile.open.tabIndex = tile.acknowledge.tabIndex = index;
    tile.open.setAttribute("aria-expanded", String(key === opened));
    tile.item.classList.toggle("speaking", seat.live?.speaking ?? false);
    const { incident, unseen } = status;
    const when = incident && whenWords(incident, now);
    say(tile.moment, when?.moment ?? "");
    say(tile.ago, when?.ago ?? "");
    const name = nameOf(seat);
    const words = [name, tileWords(placed), String(unseen.length), incident?.reason ?? ""];
    const drawn = [status.kind, ...words, seat.number, ...seat.accommodations].join("\n");
    if (drawn === tile.drawn) return;
    tile.drawn = drawn;
    this.rewrite(tile, placed);
  }

  private rewrite(tile: Tile, placed: Placed): void {
    const { seat, status } = placed;
    const { incident, unseen, kind } = status;
    tile.item.dataset.tone = lookOf(kind).tone;
    tile.item.dataset.kind = kind;
    tile.item.classList.toggle("seen", incident !== null && unseen.length === 0);
    const name = nameOf(seat);
    tile.acknowledge.setAttribute("aria-label", `Acknowledge: ${name}`);
    show(tile.acknowledge, unseen.length > 0);
    const number = seat.number && seat.number !== name ? h("span", { class: "number" }, seat.number) : null;
    const bars = h("span", { class: "bars" }, h("i"), h("i"), h("i"));
    const rest = unseen.length - 1;
    const more = rest > 0 ? h("span", { class: "more" }, `+${rest}`, h("span", { class: "hidden" }, " more")) : null;
    const allowed = incident ? h("span", { class: "allowed" }, allowedWords(seat.accommodations)) : null;
    tile.open.replaceChildren(
      badge(kind),
      h(
        "span",
        { class: "words" },
        h("span", { class: "who" }, h("b", {}, name), bars),
        h("span", { class: "word" }, unseen.length > 0 ? tileWords(placed) : shortWords(placed)),
        h("span", { class: "when", hidden: incident ? null : "" }, tile.moment, tile.ago),
        more,
        h("span", { class: "facts" }, number, allowed),
      ),
    );
  }

  private reached(event: FocusEvent): void {
    const key = (event.target as HTMLElement).closest<HTMLElement>(".tile")?.dataset.key;
    if (!key || key === this.current) return;
    this.index(this.current, -1);
    this.current = key;
    this.index(key, 0);
  }

  private index(key: string, index: number): void {
    const tile = this.tiles.get(key);
    if (tile) tile.open.tabIndex = tile.acknowledge.tabIndex = index;
  }

  private key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const all = [...document.querySelectorAll<HTMLElement>("#needing .open, #others .open")];
    const item = (event.target as HTMLElement).closest(".tile");
    const at = all.findIndex((open) => open.parentElement === item);
    const next = neighbour(all, at, event.key);
    if (!next) return;
    event.preventDefault();
    next.focus();
    next.scrollIntoView({ block: "nearest" });
  }
}

/** The tile that an arrow leads to: as they stand in rows. */
function neighbour(all: readonly HTMLElement[], at: number, key: string): HTMLElement | undefined {
  switch (key) {
    case "ArrowRight":
      return all[at + 1];
    case "ArrowLeft":
      return all[at - 1];
    case "Home":
      return all[0];
    case "End":
      return all.at(-1);
    case "ArrowDown":
      return inNextRow(all.slice(at), 1);
    case "ArrowUp":
      return inNextRow(all.slice(0, at + 1).reverse(), -1);
    default:
      return undefined;
  }
}

/** Of those after the first, the one of the next row that is nearest to it sideways. */
function inNextRow(all: readonly HTMLElement[], way: 1 | -1): HTMLElement | undefined {
  const boxes = all.map((one) => one.getBoundingClientRect());
  const own = boxes[0];
  const first = boxes.find((box) => own && way * (box.top - own.top) > 1);
  if (!own || !first) return undefined;
  const away = (i: number): number => Math.abs(boxes[i]!.left - own.left);
  const row = all.flatMap((_, i) => (Math.abs(boxes[i]!.top - first.top) < 1 ? [i] : []));
  const best = row.reduce((a, b) => (away(b) < away(a) ? b : a), row[0]!);
  return all[best];
}
