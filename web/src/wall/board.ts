/** All seats, from what the server tells. No DOM, no clock. */

import { isUnseen, type Act, type Incident } from "../incidents";
import { streamStates, type MonitorMessage, type StreamState } from "voxwatch-client";
import { inOrder, type Placed, type Wanted } from "./order";
import { emptySeat, statusOf, type Seat } from "./seat";

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
  /** Seconds since 1970 until which the link holds that was given out; earlier servers do not say. */
  link_expires_at?: number | null;
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

export class Board {
  private readonly seats = new Map<string, Seat>();
  private readonly byStream = new Map<string, Seat>();

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
      const link_expires_at = line.link_expires_at ?? null;
      const facts = { withdrawn, unopened, link_expires_at, enrolled, label: line.name };
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

  /** Those wanted: whom somebody has to look at, and the others. */
  sorted(wanted: Wanted): { needing: Placed[]; others: Placed[] } {
    const placed = inOrder(this.all(wanted.exam), wanted);
    return {
      needing: placed.filter(({ status }) => status.unseen.length > 0),
      others: placed.filter(({ status }) => status.unseen.length === 0),
    };
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
    const seat = emptySeat(key);
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
