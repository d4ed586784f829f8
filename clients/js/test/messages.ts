/** Messages for the tests, with what does not matter filled in. */

import type { Ready } from "../src/messages.js";

export function ready(of: Partial<Ready> = {}): Ready {
  return {
    type: "ready",
    seq: 0,
    t: 0,
    session: "secret",
    stream: "5eed",
    server: "test",
    model: { name: "none", version: "1", sha256: "", provider: "cpu" },
    mode: "verify",
    claims: ["Alice"],
    window_s: 3,
    hop_s: 0.5,
    first_s: 1,
    decide_s: 1.5,
    bounds: { false_accept: 0.01, miss: 0.05, accept_llr: 4.55, reject_llr: -2.99 },
    expected_rates: [],
    operating_points: null,
    limits: {
      message_bytes: 1 << 20,
      idle_s: 60,
      stream_s: 3600,
      backlog_s: 10,
      resume_s: 60,
      audio_s_per_client_hour: null,
      attempts_per_hour: null,
    },
    received_bytes: 0,
    resumed: false,
    ...of,
  };
}
