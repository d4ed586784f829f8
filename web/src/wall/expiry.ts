/** What will expire, for the top of the wall: tokens within days, links of candidates within minutes. */

import type { ExpiringToken } from "voxwatch-client";
import { dateAndTime, roughly, timeOfDay } from "../times";
import { nameOf, type Seat } from "./seat";

const LINK_WARNED_S = 30 * 60;
const NAMED = 3; // candidates; of more the number is told

/** A line each, what ends first comes first. `now` in seconds since 1970. */
export function expiryWords(
  tokens: readonly ExpiringToken[],
  seats: readonly Seat[],
  now: number,
): string[] {
  return [...linkWords(seats, now), ...tokens.map((token) => tokenWords(token, now))];
}

function tokenWords({ name, own, expires_at }: ExpiringToken, now: number): string {
  const which = own ? "Your token" : `The token "${name}"`;
  const at = dateAndTime(expires_at);
  if (expires_at <= now) return `${which} expired on ${at}: whoever used it is shut out.`;
  const what = own ? "Ask for another one: this page ends with it." : "Give whoever has it another one.";
  return `${which} expires on ${at}. ${what}`;
}

function linkWords(seats: readonly Seat[], now: number): string[] {
  const due = seats
    .flatMap((seat) => (seat.live?.link_expires_at ? [{ seat, at: seat.live.link_expires_at }] : []))
    .filter(({ at }) => at - now <= LINK_WARNED_S)
    .sort((a, b) => a.at - b.at);
  const first = due[0];
  if (!first) return [];
  const names = due.slice(0, NAMED).map(({ seat }) => nameOf(seat));
  const rest = due.length - names.length;
  const whose = [...names, ...(rest > 0 ? [`${rest} more`] : [])].join(", ");
  const links = due.length === 1 ? "The candidate link of" : "Candidate links expire soon, of";
  const verb = due.length === 1 ? " expires" : ": the first";
  const left = roughly(first.at - now);
  return [`${links} ${whose}${verb} at ${timeOfDay(first.at)}, in ${left}. Then nothing more is heard: give them a later one.`];
}
