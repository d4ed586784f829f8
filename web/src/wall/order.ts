/** Which seats are shown, and in which order. No DOM, no clock. */

import { urgency } from "./kinds";
import { nameOf, statusOf, type Seat, type Status } from "./seat";

const NAMES = new Intl.Collator(undefined, { numeric: true });

export interface Wanted {
  exam: string;
  search: string;
  /** Of kinds.ts; "": any. */
  kind: string;
}

export interface Placed {
  seat: Seat;
  status: Status;
}

/** Those of `seats` that are wanted, most in need first. */
export function inOrder(seats: readonly Seat[], { search, kind }: Wanted): Placed[] {
  return seats
    .filter((seat) => isFound(seat, search))
    .map((seat) => ({ seat, status: statusOf(seat) }))
    .filter(({ status }) => kind === "" || status.kind === kind)
    .sort(compare);
}

function compare(a: Placed, b: Placed): number {
  const [one, other] = [rankOf(a.status), rankOf(b.status)];
  for (let i = 0; i < one.length; i += 1) {
    if (one[i] !== other[i]) return one[i]! - other[i]!;
  }
  return NAMES.compare(nameOf(a.seat), nameOf(b.seat)) || (a.seat.key < b.seat.key ? -1 : 1);
}

/** States of a moment do not move a tile, or the wall would never be still. */
function rankOf({ kind, incident, unseen }: Status): number[] {
  if (unseen.length > 0 && incident) {
    return [0, urgency(kind), Number(incident.until !== null), -incident.since_at];
  }
  if (incident) return [1, urgency(kind), 0, -incident.since_at];
  return [{ withdrawn: 1, unopened: 3, unenrolled: 4, absent: 5, left: 6 }[kind as string] ?? 2, 0, 0, 0];
}

function isFound(seat: Seat, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [nameOf(seat), seat.number, ...seat.claims].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}
