/**
 * All candidates and how each stands, from what the server tells. No DOM, no clock.
 *
 * A seat is a candidate of an exam with all of their streams, or one stream that is of no exam.
 */

import { isUnseen, type Act, type Incident } from "../incidents";
import { streamStates, type MonitorMessage, type State, type StreamState } from "voxwatch-client";
import { anyOf } from "../words";
import { urgency, type Standing } from "./kinds";

const LEFT = 60; // seats without an exam that are kept after their end, newest last

/** A line of an exam's roster, as the server tells it. */
export interface RosterLine {
  candidate: string;
  number: string;
  name: string;
  accommodations: readonly string[];
  /** Seconds since 1970 at which they took their consent back; earlier servers do not say. */
  withdrawn_at?: number | null;
  /** Seconds since 1970 at which they first opened their link; earlier servers do not say. */
  opened_at?: number | null;
  /** Whether there is a voiceprint of theirs that serves. */
  enrolled?: boolean;
}

/** A recorded stream of an exam, as the server tells it. Times in seconds since 1970. */
export interface RecordedStream {
  stream: string;
  label: string;
  candidate: string | null;
  started_at: number;
}

export interface Seat {
  key: string;
  label: string;
  /** By which the examiner knows the candidate; "" without a roster. */
  number: string;
  exam: string | null;
  claims: readonly string[];
  accommodations: readonly string[];
  /** They took their consent back. */
  withdrawn: boolean;
  /** They have not opened their link. */
  unopened: boolean;
  enrolled: boolean;
  /** Oldest first; none: not here yet. */
  streams: string[];
  /** Of the newest stream; null once it is over. */
  live: Live | null;
  incidents: Map<string, Incident>;
}

export interface Live {
  state: State | null;
  speaking: boolean;
  stalled: boolean;
  /** Seconds since 1970 at which the candidate's link ends it; null without a link. */
  link_expires_at: number | null;
}

/** What a tile shows. */
export interface Status {
  /** Of kinds.ts. */
  kind: string;
  /** What it is about; null while nothing is. */
  incident: Incident | null;
  /** Incidents that nobody has acknowledged. */
  unseen: Incident[];
}

export interface Wanted {
  exam: string;
  search: string;
  /** Of kinds.ts; "": any. */
  kind: string;
}

export class Board {
  private readonly seats = new Map<string, Seat>();
  private readonly byStream = new Map<string, Seat>();
  private readonly names = new Intl.Collator(undefined, { numeric: true });

  /** All streams that are live, as they stand. */
  list(entries: readonly StreamState[]): void {
    const live = new Set(entries.map(({ stream }) => stream));
    for (const [stream, seat] of this.byStream) {
      if (!live.has(stream) && seat.streams.at(-1) === stream) seat.live = null;
    }
    for (const entry of entries) this.opened(entry);
    this.forget();
  }

  enrol(exam: string, roster: readonly RosterLine[]): void {
    for (const line of roster) {
      const seat = this.seat(line.candidate);
      const { number, accommodations } = line;
      const withdrawn = typeof line.withdrawn_at === "number";
      const [unopened, enrolled] = [line.opened_at === null, line.enrolled ?? true];
      const facts = { withdrawn, unopened, enrolled, label: line.name };
      Object.assign(seat, { exam, number, accommodations, ...facts });
    }
  }

  /** Who has been there before: `recorded` is oldest first. */
  remember(exam: string, recorded: readonly RecordedStream[]): void {
    const newest = new Map(this.all("").map((seat) => [seat, seat.streams.at(-1)]));
    for (const { stream, candidate, label } of recorded) {
      const seat = this.open(stream, candidate, exam);
      if (seat.label === "") seat.label = label;
    }
    const began = new Map(recorded.map(({ stream, started_at }) => [stream, started_at]));
    const time = (stream: string): number => began.get(stream) ?? Number.MAX_VALUE;
    for (const seat of this.all(exam)) {
      seat.streams.sort((a, b) => time(a) - time(b));
      if (seat.streams.at(-1) !== newest.get(seat)) seat.live = null;
    }
  }

  /** Whether the message is a new incident that calls for somebody; then it is that. */
  told(message: MonitorMessage): Incident | null {
    if (message.type === "ready") this.list(message.streams);
    const { stream } = message;
    if (!stream) return null;
    if (message.type === "incident") return this.happened({ ...message, stream });
    if (message.type === "opened") this.opened(streamStates([message])[0]!);
    const seat = this.byStream.get(stream);
    const live = seat?.streams.at(-1) === stream ? seat.live : null;
    if (!seat || !live) return null;
    switch (message.type) {
      case "decision":
        live.state = message.state;
        break;
      case "vad":
        live.speaking = message.speech;
        break;
      case "stalled":
        Object.assign(live, { stalled: message.stalled, speaking: false });
        break;
      case "configured":
        Object.assign(seat, { claims: message.claims });
        break;
      case "closed":
        seat.live = null;
        this.forget();
    }
    return null;
  }

  /** Take an incident in, new or changed. */
  happened(incident: Incident): Incident | null {
    const seat =
      this.byStream.get(incident.stream) ??
      this.open(incident.stream, incident.candidate ?? null, incident.exam ?? null);
    if (seat.label === "" && incident.label) seat.label = incident.label;
    const before = seat.incidents.get(incident.id);
    seat.incidents.set(incident.id, incident);
    const worse = !before || (before.note_only && !incident.note_only);
    return worse && isUnseen(incident) ? incident : null;
  }

  acknowledged(stream: string, act: Act): void {
    const seat = this.byStream.get(stream);
    const incident = seat?.incidents.get(act.incident ?? "");
    if (act.act !== "acknowledge" || !seat || !incident || incident.acknowledged_at !== null) return;
    seat.incidents.set(incident.id, {
      ...incident,
      acknowledged_by: act.who,
      acknowledged_at: act.at,
    });
  }

  get(key: string): Seat | null {
    return this.seats.get(key) ?? null;
  }

  of(stream: string): Seat | null {
    return this.byStream.get(stream) ?? null;
  }

  /** Exams that streams are part of. */
  exams(): string[] {
    return [...new Set([...this.seats.values()].flatMap(({ exam }) => exam ?? []))];
  }

  /** Those of an exam, or all. */
  all(exam: string): Seat[] {
    const seats = [...this.seats.values()];
    return exam ? seats.filter((seat) => seat.exam === exam) : seats;
  }

  /** Those wanted, most in need first: whom somebody has to look at, and the others. */
  sorted(wanted: Wanted): { needing: Placed[]; others: Placed[] } {
    const placed = this.all(wanted.exam)
      .filter((seat) => found(seat, wanted.search))
      .map((seat) => ({ seat, status: statusOf(seat) }))
      .filter(({ status }) => wanted.kind === "" || status.kind === wanted.kind)
      .sort((a, b) => this.compare(a, b));
    return {
      needing: placed.filter(({ status }) => status.unseen.length > 0),
      others: placed.filter(({ status }) => status.unseen.length === 0),
    };
  }

  private compare(a: Placed, b: Placed): number {
    const [one, other] = [rankOf(a.status), rankOf(b.status)];
    for (let i = 0; i < one.length; i += 1) {
      if (one[i] !== other[i]) return one[i]! - other[i]!;
    }
    return this.names.compare(nameOf(a.seat), nameOf(b.seat)) || (a.seat.key < b.seat.key ? -1 : 1);
  }

  private opened(entry: StreamState): void {
    const { stream, label, claims, exam, candidate, accommodations } = entry;
    const seat = this.open(stream, candidate, exam);
    if (seat.streams.at(-1) !== stream) return; // an older one of a candidate who came anew
    const { state, speaking, stalled, link_expires_at } = entry;
    Object.assign(seat, { claims, live: { state, speaking, stalled, link_expires_at } });
    if (label) seat.label = label;
    if (accommodations.length > 0) seat.accommodations = accommodations;
  }

  private open(stream: string, candidate: string | null, exam: string | null): Seat {
    const known = this.byStream.get(stream);
    if (known) return known;
    const seat = this.seat(candidate ?? stream);
    seat.exam ??= exam;
    seat.streams.push(stream);
    this.byStream.set(stream, seat);
    return seat;
  }

  private seat(key: string): Seat {
    const known = this.seats.get(key);
    if (known) return known;
    const seat: Seat = {
      key,
      label: "",
      number: "",
      exam: null,
      claims: [],
      accommodations: [],
      withdrawn: false,
      unopened: false,
      enrolled: true,
      streams: [],
      live: null,
      incidents: new Map(),
    };
    this.seats.set(key, seat);
    return seat;
  }

  /** Streams of no exam that are over leave in the end, if nobody has to see them. */
  private forget(): void {
    const over = [...this.seats.values()].filter(
      (seat) => seat.exam === null && !seat.live && statusOf(seat).unseen.length === 0,
    );
    for (const seat of over.slice(0, -LEFT)) {
      this.seats.delete(seat.key);
      for (const stream of seat.streams) this.byStream.delete(stream);
    }
  }
}

export interface Placed {
  seat: Seat;
  status: Status;
}

export function nameOf(seat: Seat): string {
  return seat.label || (seat.claims.length > 0 ? anyOf(seat.claims) : `Stream ${seat.key.slice(0, 8)}`);
}

/** Whether what is claimed is the voiceprint of the candidate, whatever that is called. */
export function isOwn(seat: Seat): boolean {
  return seat.exam !== null && seat.label !== "" && seat.claims.length === 1;
}

export function statusOf(seat: Seat): Status {
  const incidents = [...seat.incidents.values()].sort(byNeed);
  const unseen = incidents.filter(isUnseen);
  const lasting = incidents.find(({ until, note_only }) => until === null && !note_only);
  const incident = unseen[0] ?? (seat.live ? lasting : undefined) ?? null;
  return { kind: incident?.kind ?? standing(seat), incident, unseen };
}

/** Most in need first; what goes on before what is over; the newest first. */
export function byNeed(a: Incident, b: Incident): number {
  const over = Number(a.until !== null) - Number(b.until !== null);
  return urgency(a.kind) - urgency(b.kind) || over || b.since_at - a.since_at;
}

function standing(seat: Seat): Standing {
  if (!seat.live && seat.withdrawn) return "withdrawn";
  if (!seat.live) return seat.streams.length > 0 ? "left" : absence(seat);
  if (seat.live.stalled) return "stalled";
  switch (seat.live.state) {
    case "match":
      return "fine";
    case "mismatch":
    case "unknown":
      return "doubt";
    case "uncertain":
      return "unsure";
    default:
      return "listening";
  }
}

/** Why somebody is not here yet, as far as the desk can do something about it. */
function absence(seat: Seat): Standing {
  if (seat.unopened) return "unopened";
  return seat.enrolled ? "absent" : "unenrolled";
}

/** Whether somebody who has not come yet has no voiceprint to be held to. */
export function lacksVoiceprint(seat: Seat): boolean {
  return seat.streams.length === 0 && !seat.enrolled;
}

/** States of a moment do not move a tile, or the wall would never be still. */
function rankOf({ kind, incident, unseen }: Status): number[] {
  if (unseen.length > 0 && incident) {
    return [0, urgency(kind), Number(incident.until !== null), -incident.since_at];
  }
  if (incident) return [1, urgency(kind), 0, -incident.since_at];
  return [{ withdrawn: 1, unopened: 3, unenrolled: 4, absent: 5, left: 6 }[kind as string] ?? 2, 0, 0, 0];
}

function found(seat: Seat, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [nameOf(seat), seat.number, ...seat.claims].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}
