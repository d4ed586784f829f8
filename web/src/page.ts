/** Everything on the page, drawn from the source that is shown and what is known of the server. */

import { el, say, show } from "./dom";
import { headline, type Link } from "./headline";
import { question } from "./report";
import type { Server } from "./server";
import type { Source, Transport } from "./source";
import { MicrophoneSource } from "./sources/microphone";
import { emptyView, spoken_s, type View } from "./view";
import { updateEvents } from "./views/events";
import { updateFacts } from "./views/facts";
import { Hero } from "./views/hero";
import { noteClaims, updateClaims, updatePeople, type PeopleActions } from "./views/people";
import { Scope } from "./views/scope";
import { updateMeter, updateSound } from "./views/sound";
import { nameOf, updateStreams } from "./views/streams";
import type { Threshold } from "./views/threshold";
import { Waveform } from "./waveform";

export interface PageState {
  server: Server;
  source: Source | null;
  link: Link;
  /** The microphone is on. */
  listening: boolean;
  /** The stream that is watched. */
  watched: string | null;
  /** Whichever stream is live is to be watched. */
  following: boolean;
  claim: string;
  /** The false-accept target asked for; null: as the server is set up. */
  target: number | null;
  problem: string;
}

export interface PageActions extends PeopleActions {
  watch(stream: string): void;
}

const TARGET = 0.01; // until the server has said its own
const MISS = 0.05;
const A_SENTENCE_S = 3; // of speech: what rates are told for until somebody has spoken
const NO_VIEW = emptyView();
const NO_SOUND = new Waveform(1);
const NO_TRANSPORT: Transport = {
  latency_s: null,
  unsent_s: 0,
  lost_s: 0,
  reconnects: 0,
  restarts: 0,
  sampleRate: null,
};

export class Page {
  readonly scope = new Scope();
  private readonly hero = new Hero();
  private drawnProfiles: unknown = null;

  constructor(
    private readonly threshold: Threshold,
    private readonly actions: PageActions,
  ) {}

  draw(state: PageState): void {
    const { source, link, server } = state;
    const view = source?.view ?? NO_VIEW;
    // First, while nothing is written: it asks for sizes, and would have the page laid out anew.
    this.scope.update(view, source?.waveform ?? NO_SOUND);
    this.hero.update(headline(view, link), questionWords(state, view));
    updateEvents(view);
    updateSound(view.quality);
    updateMeter(el("meter-bar"), source?.peak ?? 0);
    updateFacts(view, source?.transport ?? NO_TRANSPORT, server.status?.version ?? "");
    this.drawServer(state, view);
    this.drawThreshold(state, view);
    drawActions(state);
  }

  private drawServer(state: PageState, view: View): void {
    const { server, watched } = state;
    const there = connected(state);
    el("connection").dataset.light = there ? "good" : "bad";
    say(el("connection-words"), there ? "Connected" : "Not connected");
    const own = state.listening ? view.stream : null;
    updateStreams(server.streams, watched, own, this.actions.watch);
    const listed = server.may("enrol") || server.may("admin");
    updateClaims(server.profiles, state.claim, listed || server.status === null);
    say(el("people-empty"), nobodyWords(server.status !== null, listed));
    say(el("streams-empty"), noStreamWords(server.status !== null, server.may("monitor")));
    noteClaims(watched ? "For your own microphone. A watched stream keeps its question." : "");
    if (this.drawnProfiles === server.profiles) return;
    this.drawnProfiles = server.profiles;
    updatePeople(server.profiles, this.actions);
  }

  private drawThreshold({ server, watched, target }: PageState, view: View): void {
    const bounds = view.bounds ?? server.status?.bounds;
    const fixed = watched !== null;
    const asked = fixed ? bounds?.false_accept : (target ?? bounds?.false_accept);
    const own = view.expectedRates.length > 0;
    const rates = own ? view.expectedRates : (server.status?.expected_rates ?? []);
    const speech_s = own ? Math.max(A_SENTENCE_S, Math.floor(spoken_s(view))) : A_SENTENCE_S;
    this.threshold.update(asked ?? TARGET, bounds?.miss ?? MISS, { rates, speech_s, own }, fixed);
  }
}

/** As the headline has it: a source's own connection is the one that counts while it is made. */
function connected({ server, link }: PageState): boolean {
  if (link.phase === "live" || link.phase === "finishing") return true;
  const trying = link.phase === "waiting" || (link.phase === "connecting" && link.tries > 0);
  return server.connected && !trying;
}

/** A list that may not be seen is not called empty. */
function nobodyWords(known: boolean, listed: boolean): string {
  if (!known || listed) return "Nobody is enrolled yet. It takes 20 s of speech.";
  return "This token may not see who is enrolled: that takes the role enrol or admin.";
}

function noStreamWords(known: boolean, listed: boolean): string {
  if (!known || listed) return "No stream is live just now.";
  return "This token may not see the streams of others: that takes the role monitor.";
}

function drawActions(state: PageState): void {
  const { link, listening, watched } = state;
  el("microphone").classList.toggle("primary", !listening);
  say(el("microphone-words"), listening ? "Stop listening" : "Use this microphone");
  show(el("unwatch"), watched !== null);
  say(el("source-words"), sourceWords(state));
  const problem = state.problem || (link.phase === "failed" ? link.problem : "");
  say(el("problem"), problem);
  show(el("problem"), problem !== "");
}

function questionWords({ source, link }: PageState, view: View): string {
  if (!source || !view.stream || link.phase === "connecting") return "";
  const name = source.kind === "watch" ? `${nameOf(view)} · ` : "";
  return `${name}${question(view)}`;
}

function sourceWords({ source, link, listening, following }: PageState): string {
  if (source instanceof MicrophoneSource && listening) {
    if (link.interruption) return "Waiting for the microphone.";
    return `Listening to ${source.label || "the microphone"}.`;
  }
  if (source?.kind === "watch") return `Watching ${nameOf(source.view)}.`;
  if (following) return "The first stream that starts is shown.";
  return link.phase === "ended" ? "Sound is no longer sent." : "";
}
