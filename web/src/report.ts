/** A session report: who spoke when, as data that can be kept or printed. */

import { spoken_s, type Segment, type View } from "./view";
import { anyOf } from "./words";

export interface ReportLine {
  start_s: number;
  end_s: number;
  state: string;
  speaker: string | null;
}

/** What is told of one session. */
export interface SessionReport {
  stream: string;
  label: string;
  question: string;
  model: { name: string; version: string; sha256: string } | null;
  bounds: View["bounds"];
  received_s: number;
  speech_s: number;
  timeline: ReportLine[];
  changes: { at_s: number; detected_at_s: number; from: string | null; to: string | null }[];
  utterances: {
    start_s: number;
    end_s: number;
    speech_s: number;
    state: string;
    speaker: string | null;
    llr: number | null;
    evidence: number | null;
    reason: string;
  }[];
  lost: { dropped: number; failed_windows: number };
}

export interface Report extends SessionReport {
  format: "voxwatch-report-1";
  made_at: string;
  /** Sessions before it that a restart of the server ended, oldest first, each with its own time. */
  earlier: SessionReport[];
}

export function report(view: View, madeAt: Date): Report {
  return {
    format: "voxwatch-report-1",
    made_at: madeAt.toISOString(),
    ...session(view),
    earlier: view.earlier.map(session),
  };
}

function session(view: View): SessionReport {
  const model = view.model;
  return {
    stream: view.stream,
    label: view.label,
    question: question(view),
    model: model && { name: model.name, version: model.version, sha256: model.sha256 },
    bounds: view.bounds,
    received_s: round(view.summary?.received_s ?? view.media),
    speech_s: round(view.summary?.speech_s ?? spoken_s(view)),
    timeline: view.segments.map((segment) => line(segment, view.media)),
    changes: view.changes.map((c) => ({
      at_s: round(c.at),
      detected_at_s: round(c.detected_at),
      from: c.from,
      to: c.to,
    })),
    utterances: view.utterances.map((u) => ({
      start_s: round(u.start),
      end_s: round(u.end),
      speech_s: round(u.speech_s),
      state: u.state,
      speaker: u.speaker,
      llr: u.llr === null ? null : round(u.llr),
      evidence: (u.evidence ?? null) === null ? null : round(u.evidence!),
      reason: u.reason ?? "",
    })),
    lost: { dropped: view.lags.dropped, failed_windows: view.failures },
  };
}

export function question(view: View): string {
  if (view.mode === "verify") return `Is it ${anyOf(view.claims)}?`;
  return view.mode === "identify" ? "Who is it?" : "Does the voice change?";
}

function line(segment: Segment, media: number): ReportLine {
  return {
    start_s: round(segment.start),
    end_s: round(segment.end ?? Math.max(media, segment.start)),
    state: segment.state,
    speaker: segment.speaker,
  };
}

function round(seconds: number): number {
  return Math.round(100 * seconds) / 100;
}
