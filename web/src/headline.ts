/** The state of a stream in a few large words, and what they leave open in a line below. */

import {
  probabilityOf,
  silentFor,
  speaking,
  speechMissing,
  spoken_s,
  type View,
} from "./view";
import type { Change, Decision } from "voxwatch-client";
import { anyOf, clock, duration, probability, sentence, voiceName } from "./words";

export type Tone = "match" | "alert" | "unsure" | "unknown" | "waiting" | "off";
export type Icon =
  | "check"
  | "cross"
  | "question"
  | "person"
  | "swap"
  | "ear"
  | "clock"
  | "plug"
  | "mute"
  | "flag";

export interface Headline {
  tone: Tone;
  icon: Icon;
  title: string;
  /** Set apart from the title: only this part changes while the state stays. */
  countdown?: { missing_s: number; needed_s: number };
  detail: string;
}

/** How the page is connected to what it shows. */
export interface Link {
  source: "none" | "microphone" | "watch";
  phase:
    | "idle"
    | "connecting"
    | "live"
    | "waiting"
    | "finishing"
    | "ended"
    | "failed";
  retryIn_s: number;
  /** Tries that failed since the connection was last there. */
  tries: number;
  kept_s: number;
  /** Why it failed, in words. */
  problem: string;
  /** Why no sound comes just now, in words; null: it comes. */
  interruption: Words | null;
}

/** What is so, and what can be done. */
export interface Words {
  title: string;
  advice: string;
}

/** Nothing is shown, and nothing is wrong. */
export const NO_LINK: Link = {
  source: "none",
  phase: "idle",
  retryIn_s: 0,
  tries: 0,
  kept_s: 0,
  problem: "",
  interruption: null,
};

export function headline(view: View, link: Link): Headline {
  const told = view.takeover && !view.stalled ? takeover(view, view.takeover) : state(view);
  return linkHeadline(view, link) ?? told;
}

function linkHeadline(view: View, link: Link): Headline | null {
  if (link.source === "none") {
    if (link.phase === "waiting") return trying(link);
    if (link.phase === "failed") return refused(link);
    return quiet("Waiting for sound", "Use this microphone, or watch a stream of this server.");
  }
  switch (link.phase) {
    case "live":
      return link.interruption && interrupted(link.interruption);
    case "finishing":
      return null;
    case "waiting":
      return trying(link);
    case "failed":
      return { tone: "off", icon: "plug", title: "Cannot go on", detail: link.problem };
    case "ended":
      return ended(view);
    default:
      return link.tries > 0 ? trying(link) : quiet("Connecting", "One moment.");
  }
}

/** What was decided is not said of a moment in which nothing is heard. */
function interrupted({ title, advice }: Words): Headline {
  return { tone: "off", icon: "mute", title, detail: advice };
}

function refused({ problem }: Link): Headline {
  return { tone: "off", icon: "plug", title: "The server does not let this page in", detail: problem };
}

/** Why a page is not let in, where `setting` would let it in. */
export function notLetIn(setting: string): string {
  return `Its configuration does not know this address. Set ${setting} there, and start it again.`;
}

function trying(link: Link): Headline {
  const kept = link.kept_s >= 1 ? ` ${duration(link.kept_s)} of sound are kept to be sent.` : "";
  const wait = Math.ceil(link.retryIn_s);
  const next = wait > 0 ? `Next try in ${wait} s.` : "Trying now.";
  return { tone: "off", icon: "plug", title: "Disconnected – trying again", detail: next + kept };
}

/** Nobody is to take an end without a match, or with another voice, for one that is in order. */
function ended(view: View): Headline {
  const line: Headline = { tone: "waiting", icon: "flag", title: "Ended", detail: ending(view) };
  if (view.mode === "changes" || !view.stream) return line;
  const matched = view.segments.some(({ state }) => state === "match");
  if (matched || (view.summary?.match_s ?? 0) > 0) {
    const last = view.takeover ? "changed" : view.decision?.state;
    if (last !== "changed" && last !== "mismatch" && last !== "unknown") return line;
    return { ...line, tone: "unsure", title: "Ended – with another voice" };
  }
  const refused = view.decision?.state === "mismatch" || view.decision?.state === "unknown";
  const who = view.claims.length > 0 ? `${anyOf(view.claims)} was never matched` : "nobody was recognised";
  return { ...line, tone: refused ? "alert" : "unsure", title: `Ended – ${who}` };
}

function ending(view: View): string {
  const summary = view.summary;
  if (!summary) return "The stream is over.";
  const matched = view.mode === "changes" ? "" : `, ${duration(summary.match_s)} of it a match`;
  return `${duration(summary.received_s)} of sound, ${duration(summary.speech_s)} of speech${matched}.`;
}

function quiet(title: string, detail: string): Headline {
  return { tone: "waiting", icon: "ear", title, detail };
}

function takeover(view: View, change: Change): Headline {
  const at = clock(change.at);
  const before = change.from ? `Until then it was ${voiceName(change.from)}. ` : "";
  const decision = view.decision;
  const later = decision && decision.since >= change.at ? decision : null;
  return {
    tone: "alert",
    icon: "swap",
    title: `Another voice took over at ${at}`,
    detail: (before + afterwards(view, later) + pause(view)).trim(),
  };
}

function afterwards(view: View, decision: Decision | null): string {
  switch (decision?.state) {
    case "mismatch":
      return `The voice since then is not ${anyOf(asked(view, decision))}.`;
    case "unknown":
      return "The voice since then is nobody enrolled.";
    case "uncertain":
      return `Who speaks since then is not sure yet. ${outlook(decision)}`;
    default:
      return view.mode === "changes" ? "Nobody is enrolled: voices are only compared." : "";
  }
}

function state(view: View): Headline {
  if (view.stalled) {
    const detail = view.media
      ? "Who speaks now is not known. It goes on when sound is back."
      : "None has come since the stream began. Is the microphone on, and does the sender send?";
    return { tone: "off", icon: "plug", title: "No sound comes", detail };
  }
  const silent = silentFor(view);
  const decision = view.decision;
  if (!decision && silent === null && spoken_s(view) === 0) {
    return quiet("Waiting for sound", "Nobody has spoken yet. Say something.");
  }
  if (view.mode === "changes") {
    const detail = "Nobody is enrolled: only changes of voice are told." + pause(view);
    return { tone: "waiting", icon: "ear", title: "Same voice so far", detail };
  }
  if (!decision || decision.state === "insufficient") return insufficient(view);
  return judged(view, decision);
}

function insufficient(view: View): Headline {
  const missing_s = speechMissing(view);
  return {
    tone: "waiting",
    icon: "clock",
    title: "Not enough speech yet",
    countdown: { missing_s, needed_s: view.decide_s },
    detail: speaking(view) ? "Keep talking." : "Only speech counts, not silence. Keep talking.",
  };
}

function judged(view: View, decision: Decision): Headline {
  const since = `Since ${clock(decision.since)}`;
  const detail = `${since}.${likelihood(view)}${pause(view)}`;
  const named = decision.speaker ?? anyOf(view.claims);
  switch (decision.state) {
    case "match":
      return { tone: "match", icon: "check", title: `Match – ${named}`, detail };
    case "mismatch":
      return { tone: "alert", icon: "cross", title: `Not ${anyOf(asked(view, decision))}`, detail };
    case "unknown":
      return { tone: "unknown", icon: "person", title: "Unknown voice", detail };
    default: {
      const who = decision.speaker ? ` It may be ${decision.speaker}.` : "";
      const more = `${since}.${who} ${outlook(decision)}${pause(view)}`;
      return { tone: "unsure", icon: "question", title: "Unsure", detail: more };
    }
  }
}

/** What keeps it open and what helps; earlier servers do not say. */
function outlook(decision: Decision): string {
  return decision.advice ? sentence(decision.advice) : "More speech will tell.";
}

/** Whom a decision is about. */
function asked(view: View, decision: Decision): readonly string[] {
  if (view.claims.length > 0 || !decision.speaker) return view.claims;
  return [decision.speaker];
}

function likelihood(view: View): string {
  const score = view.lastScore;
  if (!score || view.media - score.t > 5) return "";
  return ` ${probability(probabilityOf(view, score))} likely to be ${score.speaker}.`;
}

function pause(view: View): string {
  const silent = silentFor(view) ?? 0;
  return silent > 3 ? ` Silent for ${duration(silent)}.` : "";
}

/** What changed, for those who listen to the page: without figures that run. */
export function spoken(line: Headline): string {
  return line.countdown ? `${line.title}. Keep talking.` : `${line.title}.`;
}
