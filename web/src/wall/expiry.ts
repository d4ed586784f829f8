/** What will expire, for the top of the wall: tokens within days, links of candidates within minutes. */

import type { ExpiringToken } from "voxwatch-client";
import { dateAndTime, roughly, timeOfDay } from "../times";
import { nameOf, type Seat } from "./seat";

const LINK_WARNED_S = 30 * 60;
const NAMED = 3; // candidates; of more the number is told

/** When an exam is to end, in seconds since 1970; null: it has, or that is not known. */
export type EndOf = (exam: string) => number | null;

/** A line each, what ends first comes first. `now` in seconds since 1970. */
export function expiryWords(
  tokens: readonly ExpiringToken[],
  seats: readonly Seat[],
  endOf: EndOf,
  now: number,
): string[] {
  const links = [...linkWords(seats, now), ...unopenedWords(seats, endOf, now)];
  return [...links, ...tokens.map((token) => tokenWords(token, now))];
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
  const whose = namesOf(due.map(({ seat }) => seat));
  const links = due.length === 1 ? "The candidate link of" : "Candidate links expire soon, of";
  const verb = due.length === 1 ? " expires" : ": the first";
  const left = roughly(first.at - now);
  return [`${links} ${whose}${verb} at ${timeOfDay(first.at)}, in ${left}. Then nothing more is heard: give them a later one.`];
}

/** Links that nobody has opened, and that hold no longer than to some time before the exam ends. */
function unopenedWords(seats: readonly Seat[], endOf: EndOf, now: number): string[] {
  const due = seats
    .flatMap((seat) => {
      const at = seat.unopened && seat.streams.length === 0 ? seat.link_expires_at : null;
      const end = endOf(seat.exam ?? "");
      return at !== null && end !== null && at < end ? [{ seat, at }] : [];
    })
    .filter(({ at }) => at - now <= LINK_WARNED_S)
    .sort((a, b) => a.at - b.at);
  const first = due[0];
  if (!first) return [];
  const whose = namesOf(due.map(({ seat }) => seat));
  const over = first.at <= now;
  const verb = over ? "expired" : "expires";
  const when = over ? `at ${timeOfDay(first.at)}` : `at ${timeOfDay(first.at)}, in ${roughly(first.at - now)}`;
  if (due.length === 1) {
    return [`The candidate link of ${whose} ${verb} ${when}, and was not opened: give them a later one.`];
  }
  return [`Candidate links that were not opened expire before the exam ends, of ${whose}: the first ${verb} ${when}. Give them later ones.`];
}

function namesOf(seats: readonly Seat[]): string {
  const names = seats.slice(0, NAMED).map(nameOf);
  const rest = seats.length - names.length;
  return [...names, ...(rest > 0 ? [`${rest} more`] : [])].join(", ");
}
