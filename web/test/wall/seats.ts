/** Incidents and seats for the tests of the wall. */

import { streamStates } from "voxwatch-client";
import type { Incident } from "../../src/incidents";
import { Board } from "../../src/wall/board";

export function incident(of: Partial<Incident> = {}): Incident {
  return {
    id: "s1-1",
    stream: "s1",
    kind: "takeover",
    since: 60,
    until: null,
    since_at: 1060,
    until_at: null,
    came_at: null,
    evidence: -5,
    speech_s: 4,
    voice: "voice-2",
    share: null,
    count: 1,
    reason: "another voice began",
    note_only: false,
    acknowledged_by: null,
    acknowledged_at: null,
    ...of,
  };
}

export function board(...labels: string[]): Board {
  const found = new Board();
  found.list(
    streamStates(
      labels.map((label, i) => ({ stream: `s${i + 1}`, label, claims: [label], state: "match" })),
    ),
  );
  return found;
}
