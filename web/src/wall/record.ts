/** What the record holds of a stream, as it is read page by page. No DOM, no clock. */

import type { Act } from "../incidents";
import { noted } from "../notes";
import { reduce } from "../state";
import { roughly } from "../times";
import { emptyView, sigmoid, type Trace, type View } from "../view";
import type { Bounds, ExpectedRate, Judgement, Message, Mode, Model } from "voxwatch-client";

interface At {
  /** Seconds since 1970, and seconds of media. */
  at: number;
  t: number;
}

interface Terms extends At {
  mode: Mode;
  claims: string[];
  bounds: Bounds;
  expected_rates: ExpectedRate[];
}

/** What the candidate had said of whether sound may be kept. */
export type ClipsAnswer = "agreed" | "refused" | "unanswered";

export type Entry =
  | (Terms & { kind: "started"; label?: string; model: Model; clips?: ClipsAnswer | null })
  | (Terms & { kind: "claimed" })
  | (At & { kind: "told"; event: Message })
  | (At & { kind: "scores"; speaker?: string; evidence?: number | null; llr: number })
  | (At & { kind: "connection"; state: "dropped" | "resumed"; why?: string })
  | (At & { kind: "waited" })
  | (At & { kind: "suspended"; since: number; until: number })
  | (At & Act & { kind: "acted" })
  | (At & { kind: "clip"; incident: string })
  | (At & { kind: "missing"; count: number; since: number; until: number; why: string })
  | (At & { kind: "ended"; code: number; why: string });

/** The answer to a `history` request. */
export interface Page {
  entries: Entry[];
  /** The number of the last entry that it looked at. */
  after: number;
  /** There is more by now. */
  more: boolean;
  /** Incidents of which there is sound now; earlier servers do not say. */
  clips?: string[];
}

const NAMES = ["speaker", "from", "to"]; // fields of events that name a voiceprint
// They are not made as the sound comes: people act later, and who waits hears none.
const UNHEARD: readonly Entry["kind"][] = ["waited", "suspended", "acted", "clip", "missing"];
const SCORED_EACH_S = 1; // of the scores that are kept
const LATE_S = 1; // Sound that came less late than this is dated by when it came.

export class StreamRecord {
  /** The stream from its first second. */
  view: View = { ...emptyView(), hop_s: SCORED_EACH_S };
  /** The number of the last entry. */
  after = 0;
  /** Everything was read once. */
  complete = false;
  startedAt: number | null = null;
  endedAt: number | null = null;
  /** Who a score without a speaker is of. */
  private claimed = "";
  /** Null where no sound is kept. */
  clipsAnswer: ClipsAnswer | null = null;
  notes: Act[] = [];
  verdicts: (Act & { verdict: Judgement })[] = [];
  /** Incidents of which there was sound, and whether it is there still. */
  readonly clips = new Map<string, boolean>();
  missing: { count: number; since: number; until: number }[] = [];
  /** Media times, rising, with their times of day: when the sound was said, where that is known. */
  private readonly moments: At[] = [];
  /** Until which media time sound came at once, and when that was. */
  private late: At = { at: 0, t: 0 };

  /** What the voiceprint of the candidate is called, and names that it had. */
  private readonly own = new Set<string>();

  /** `candidate`: as whom people know the owner of the one voiceprint that is claimed; "": nobody. */
  constructor(
    readonly stream: string,
    private readonly candidate = "",
  ) {}

  take(page: Page): void {
    for (const entry of page.entries) this.read(entry);
    for (const id of page.clips ? this.clips.keys() : []) this.clips.set(id, page.clips!.includes(id));
    this.after = page.after;
    if (!page.more) this.complete = true;
  }

  /** Seconds since 1970 at which the sound of a media time was said; null where nothing was read. */
  timeOf(t: number): number | null {
    const { moments } = this;
    if (moments.length === 0) return null;
    let [low, high] = [0, moments.length];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (moments[middle]!.t <= t) low = middle;
      else high = middle;
    }
    const { at, t: known } = moments[low]!;
    return at + t - known;
  }

  private read(entry: Entry): void {
    this.note(entry);
    switch (entry.kind) {
      case "started":
        this.startedAt = entry.at;
        this.clipsAnswer = entry.clips ?? null;
        this.terms(entry);
        this.view = { ...this.view, label: entry.label ?? "", model: entry.model };
        return;
      case "claimed":
        this.terms(entry);
        return;
      case "told":
        this.view = reduce(this.view, { ...this.named(entry.event), t: entry.event.t ?? entry.t });
        return;
      case "scores":
        this.score(this.nameOf(entry.speaker ?? this.claimed), entry.t, entry.llr, entry.evidence ?? null);
        return;
      case "connection":
        this.connection(entry);
        return;
      case "suspended":
        this.suspended(entry);
        return;
      case "acted":
        this.acted(entry);
        return;
      case "clip":
        this.clips.set(entry.incident, true);
        return;
      case "missing":
        this.missing.push(entry);
        return;
      case "ended":
        this.endedAt = entry.at;
    }
  }

  /** A moment of both clocks; what is done later is of no media time. */
  private note(entry: Entry): void {
    const { kind, at, t } = entry;
    if (UNHEARD.includes(kind)) return;
    if (t > this.view.media) this.view = { ...this.view, media: t };
    if (kind === "told" && entry.event.type === "stalled") this.catchUp(entry, entry.event.late_s ?? 0);
    const last = this.moments.at(-1);
    if (t < this.late.t) {
      if (!last || t > last.t) this.moments.push({ at: this.late.at - (this.late.t - t), t });
      return;
    }
    // While a connection was lost, the time of day went on and the sound did not.
    const later = last && at >= last.at && (t > last.t || (t === last.t && kind === "connection"));
    if (!last || later) this.moments.push({ at, t });
  }

  /** What follows was kept by the network and came at once: it was said until it came. */
  private catchUp({ at, t }: At, late_s: number): void {
    if (late_s < LATE_S) return;
    this.late = { at, t: t + late_s };
    while ((this.moments.at(-1)?.t ?? -1) >= t) this.moments.pop();
  }

  private terms({ t, mode, claims: asked, bounds, expected_rates }: Terms): void {
    this.claimed = asked.length === 1 ? asked[0]! : "";
    if (this.candidate && asked.length === 1) this.own.add(asked[0]!);
    const claims = asked.map((name) => this.nameOf(name));
    const message = { type: "configured", seq: 0, t, mode, claims, bounds, expected_rates } as const;
    this.view = reduce(this.view, message);
  }

  /** A voiceprint may be called by a number: the candidate is told by name. */
  private nameOf(voiceprint: string): string {
    return this.own.has(voiceprint) ? this.candidate : voiceprint;
  }

  private named(event: Message): Message {
    const names: Record<string, unknown> = {};
    for (const [field, name] of Object.entries(event)) {
      if (NAMES.includes(field) && typeof name === "string") names[field] = this.nameOf(name);
    }
    return { ...event, ...names };
  }

  /** In place: hours of scores are thousands. */
  private score(speaker: string, t: number, llr: number, evidence: number | null): void {
    const trace: Trace = (this.view.traces[speaker] ??= { t: [], llr: [], posterior: [], evidence: [] });
    trace.t.push(t);
    trace.llr.push(llr);
    trace.posterior.push(sigmoid(llr));
    trace.evidence.push(evidence);
  }

  private connection({ t, state }: Entry & { kind: "connection" }): void {
    this.tell(t, state, state === "dropped" ? "The connection was lost" : "The connection is back");
  }

  private suspended({ t, since, until }: Entry & { kind: "suspended" }): void {
    this.tell(t, "suspended", `The server stood still for ${roughly(until - since)}, or its clock jumped`);
  }

  /** A line like that of an error, which is none: no window has failed. */
  private tell(t: number, code: string, message: string): void {
    this.view = noted(this.view, t, "error", { code, message });
  }

  private acted(entry: Act): void {
    if (entry.act === "note") this.notes.push(entry);
    const { verdict } = entry;
    if (entry.act === "verdict" && verdict) this.verdicts.push({ ...entry, verdict });
  }
}
