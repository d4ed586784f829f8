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
  const links = [...linkWords(seats, now), ...unopenedWords(seats, endOf, now), ...expiredWords(seats, endOf, now)];
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
  const unopened = seats.filter((seat) => seat.unopened && seat.streams.length === 0);
  const due = endingEarly(unopened, endOf, now + LINK_WARNED_S);
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

/**
 * Links by which somebody was here of late, and can come no more though the exam goes on. Of an exam that
 * a platform runs each link ends with its learner's own sitting, so that it is told for a while only.
 */
function expiredWords(seats: readonly Seat[], endOf: EndOf, now: number): string[] {
  const left = seats.filter((seat) => !seat.live && !seat.unopened && (endOf(seat.exam ?? "") ?? 0) > now);
  const gone = endingEarly(left, endOf, now).filter(({ at }) => now - at <= LINK_WARNED_S);
  if (gone.length === 0) return [];
  const whose = namesOf(gone.map(({ seat }) => seat));
  const [links, them] = gone.length === 1 ? ["link", "it"] : ["links", "them"];
  return [`The candidate ${links} of ${whose} expired before the exam's end, and nobody is heard by ${them}: give them a later one, unless they have finished.`];
}

/** Whose link ends by then, and before their exam; the first to end comes first. */
function endingEarly(seats: readonly Seat[], endOf: EndOf, by: number): { seat: Seat; at: number }[] {
  return seats
    .flatMap((seat) => {
      const [at, end] = [seat.link_expires_at, endOf(seat.exam ?? "")];
      return at !== null && end !== null && at < end && at <= by ? [{ seat, at }] : [];
    })
    .sort((a, b) => a.at - b.at);
}

function namesOf(seats: readonly Seat[]): string {
  const names = seats.slice(0, NAMED).map(nameOf);
  const rest = seats.length - names.length;
  return [...names, ...(rest > 0 ? [`${rest} more`] : [])].join(", ");
}
