import { describe, expect, it } from "vitest";
import { StreamConnection } from "../src/connection.js";
import { waitBefore } from "../src/hope.js";
import { KEEP_S } from "../src/outgoing.js";
import { counted, RATE, Wire } from "./wire.js";

describe("a stream", () => {
  it("starts with its format and claim, and sends what was recorded before it was ready", () => {
    const wire = new Wire();
    wire.open(0);
    wire.sound(200);
    expect(wire.texts).toEqual([
      { type: "start", encoding: "pcm_s16le", channels: 1, claim: ["Alice"], sample_rate: RATE },
    ]);
    expect(wire.bytes).toEqual([]);
    wire.ready(0);
    expect(wire.connection.phase).toBe("live");
    expect(wire.bytes).toEqual(counted(0, 200));
  });

  it("resumes where the server's ear ended, and asks for what it has not heard", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(400);
    wire.event(1);
    wire.event(2);
    wire.do(wire.connection.closed(1));
    expect(wire.connection.phase).toBe("waiting");
    wire.sound(200);
    wire.bytes = [];
    wire.do(wire.connection.tick(5));
    wire.do(wire.connection.opened(5));
    expect(wire.texts.at(-1)).toMatchObject({ session: "secret", resume_from: 3 });
    wire.ready(5, { seq: 2, resumed: true, received_bytes: 300 });
    expect(wire.bytes).toEqual(counted(300, 600));
    expect(wire.connection).toMatchObject({ reconnects: 1, restarts: 0, lost_s: 0 });
  });

  it("delivers no event twice", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.event(1);
    wire.event(1);
    wire.event(2);
    expect(wire.kinds()).toEqual(["open", "begin", "deliver", "deliver", "deliver"]);
  });

  it("begins anew with what was never sent, when the server has lost the session", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(400);
    wire.do(wire.connection.closed(1));
    wire.sound(200);
    wire.do(wire.connection.tick(5));
    wire.do(wire.connection.opened(5));
    wire.bytes = [];
    wire.error("unknown-session", 5);
    expect(wire.connection.phase).toBe("connecting");
    wire.do(wire.connection.opened(5));
    expect(wire.texts.at(-1)).not.toHaveProperty("session");
    expect(wire.texts.at(-1), "so little is no more than a piece").not.toHaveProperty("kept_s");
    wire.ready(5, { session: "other" });
    expect(wire.bytes).toEqual(counted(400, 600));
    expect(wire.connection).toMatchObject({ restarts: 1, made_s: 0.1, unsent_s: 0 });
    expect(wire.others.findLast((a) => a.do === "begin")).toEqual({ do: "begin", kept_s: 0.1, why: "gone" });
  });

  it("says how much of its sound was said before its session, and not of one that goes on", () => {
    const wire = new Wire();
    wire.sound(4000); // while the token is on its way
    wire.open(0);
    expect(wire.texts.at(-1)).toMatchObject({ type: "start", kept_s: 2 });
    wire.ready(0);
    wire.do(wire.connection.closed(1));
    wire.sound(6000);
    wire.do(wire.connection.tick(5));
    wire.do(wire.connection.opened(5));
    expect(wire.texts.at(-1)).toHaveProperty("session");
    expect(wire.texts.at(-1)).not.toHaveProperty("kept_s");
    wire.error("unknown-session", 5);
    wire.do(wire.connection.opened(5));
    expect(wire.texts.at(-1)).toMatchObject({ type: "start", kept_s: 3 });
  });

  it.each([
    [{ live: false }, { lossless: false }],
    [{}, { lossless: true }],
  ])("says nothing of when a file was said: %o, %o", (start, rules) => {
    const file = new StreamConnection({ sample_rate: RATE, ...start }, rules);
    file.sound(new Uint8Array(8000), true);
    file.connect(0);
    expect(JSON.stringify(file.opened(0))).not.toContain("kept_s");
  });

  it("keeps half a minute of sound, and tells what it had to let go", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(1000);
    wire.do(wire.connection.closed(1));
    for (let i = 0; i < 2 * KEEP_S + 8; i += 1) wire.sound(1000);
    expect(wire.connection.lost_s).toBe(4);
    wire.bytes = [];
    wire.do(wire.connection.tick(99));
    wire.do(wire.connection.opened(99));
    wire.ready(99, { seq: 0, resumed: true, received_bytes: 1000 });
    expect(wire.bytes).toEqual(counted(9000, 69000));
    expect(wire.connection.made_s).toBe(30.5);
  });

  it("holds sound back while the socket is full", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(200, false);
    expect(wire.bytes).toEqual([]);
    expect(wire.connection.unsent_s).toBe(0.1);
    wire.sound(200);
    expect(wire.bytes).toEqual(counted(0, 400));
  });

  it("gives up a connection that is silent though it is sent sound", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    for (let s = 1; s <= 15; s += 1) {
      wire.sound(2 * RATE);
      wire.do(wire.connection.tick(s));
    }
    expect(wire.kinds()).not.toContain("close");
    wire.sound(2 * RATE);
    wire.do(wire.connection.tick(16));
    expect(wire.kinds()).toContain("close");
  });

  it("knows how much sound the server has not answered, and would be sent again", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(4 * 2 * RATE);
    wire.event(1, 4, 4);
    expect(wire.connection).toMatchObject({ unanswered_s: 0, unsent_s: 0, kept_s: 0.5 });
    for (let s = 0; s < 9; s += 1) wire.sound(2 * RATE); // a socket takes it, and nobody hears it
    expect(wire.connection).toMatchObject({ unanswered_s: 9, unsent_s: 0, kept_s: 9.5 });
    wire.do(wire.connection.closed(13));
    expect(wire.connection.kept_s).toBe(9.5);
    wire.bytes = [];
    wire.do(wire.connection.tick(20));
    wire.do(wire.connection.opened(20));
    wire.ready(20, { seq: 1, resumed: true, received_bytes: 4 * 2 * RATE });
    expect(wire.bytes.length).toBe(9 * 2 * RATE);
    expect(wire.connection.unanswered_s).toBe(0);
    for (let s = 0; s < 40; s += 1) wire.sound(2 * RATE);
    expect(wire.connection.kept_s).toBe(KEEP_S);
  });

  it("stays with its session for as long as the microphone is interrupted", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(400);
    for (let s = 0; s <= 1800; s += 1) wire.do(wire.connection.tick(s));
    expect(wire.kinds()).toEqual(["open", "begin", "deliver"]);
    const alive = wire.texts.filter(({ type }) => type === "keepalive").length;
    expect(alive).toBeGreaterThanOrEqual(1800 / 60); // the server leaves after a minute of nothing
    expect(alive).toBeLessThanOrEqual(1800 / 5);
    wire.sound(400);
    expect(wire.bytes).toEqual(counted(0, 800));
  });

  it("says no keepalive while sound is sent", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    for (let s = 1; s <= 30; s += 1) {
      wire.sound(200);
      wire.event(s, s);
      wire.do(wire.connection.tick(s));
    }
    expect(wire.texts.map(({ type }) => type)).toEqual(["start"]);
  });

  it("begins one session more when the microphone has another rate", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(400);
    wire.do(wire.connection.retune(RATE));
    expect(wire.kinds()).not.toContain("close");
    wire.do(wire.connection.retune(2 * RATE));
    expect(wire.texts.at(-1)).toEqual({ type: "close" });
    expect(wire.kinds()).toContain("close");
    wire.do(wire.connection.closed(1));
    wire.sound(400);
    wire.do(wire.connection.tick(2));
    wire.do(wire.connection.opened(2));
    expect(wire.texts.at(-1)).toMatchObject({ type: "start", sample_rate: 2 * RATE });
    expect(wire.texts.at(-1)).not.toHaveProperty("session");
    wire.bytes = [];
    wire.ready(2, { session: "other" });
    expect(wire.bytes).toEqual(counted(400, 800));
    expect(wire.others.findLast((a) => a.do === "begin")).toMatchObject({ why: "rate" });
    expect(wire.connection).toMatchObject({ restarts: 1, made_s: 0.1 });
  });

  it("does not try again what would fail again", () => {
    const wire = new Wire();
    wire.open(0);
    wire.error("unknown-speaker");
    expect(wire.connection.phase).toBe("failed");
    expect(wire.connection.error?.code).toBe("unknown-speaker");
  });

  it("tries again when the server is only busy", () => {
    const wire = new Wire();
    wire.open(0);
    wire.error("overloaded", 3);
    expect(wire.connection).toMatchObject({ phase: "waiting", retryAt: 3.5 });
  });

  it("starts a new session after a server that stopped has summed up", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    const summary = { type: "summary", seq: 1, t: 1, received_s: 1, speech_s: 1, match_s: 0 };
    wire.do(wire.connection.received(JSON.stringify(summary), 1));
    wire.do(wire.connection.closed(1));
    expect(wire.connection.phase).toBe("waiting");
    wire.do(wire.connection.tick(9));
    wire.do(wire.connection.opened(9));
    expect(wire.texts.at(-1)).not.toHaveProperty("session");
  });

  it("ends after everything was sent and answered", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.sound(200, false);
    wire.do(wire.connection.finish(1));
    expect(wire.bytes).toEqual(counted(0, 200));
    expect(wire.texts.at(-1)).toEqual({ type: "finalize" });
    wire.sound(200);
    expect(wire.bytes).toHaveLength(200);
    wire.do(wire.connection.closed(2));
    expect(wire.connection.phase).toBe("ended");
  });

  it("asks another question at once, and again when it has to start anew", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.do(wire.connection.configure({ claim: ["Bob"], false_accept: 0.02 }, true));
    expect(wire.texts.at(-1)).toEqual({ type: "configure", claim: ["Bob"], false_accept: 0.02 });
    wire.do(wire.connection.closed(1));
    wire.open(2);
    expect(wire.texts.at(-1)).toMatchObject({ claim: ["Bob"], false_accept: 0.02 });
  });

  it("goes back to the network at once when there is one", () => {
    const wire = new Wire();
    wire.open(0);
    wire.do(wire.connection.closed(1));
    wire.do(wire.connection.hurry(1.1));
    expect(wire.connection.phase).toBe("connecting");
  });
});

it("fails once it had no connection for too long", () => {
  const wire = new Wire({ patience_s: 3 });
  wire.open(0);
  for (const now of [0, 2.9]) {
    wire.do(wire.connection.closed(now));
    expect(wire.connection.phase).toBe("waiting");
    wire.do(wire.connection.connect(now));
  }
  wire.do(wire.connection.closed(3));
  expect(wire.connection.phase).toBe("failed");
});

it("tries again when the server said that it may help", () => {
  const wire = new Wire();
  wire.open(0);
  const error = { type: "error", seq: 0, t: 0, code: "overloaded", message: "", retry_s: 20 };
  wire.do(wire.connection.received(JSON.stringify(error), 1));
  wire.do(wire.connection.closed(1));
  expect(wire.connection.retryAt).toBe(21);
});

it("waits longer each time, within bounds, and never all at once", () => {
  expect([0, 1, 2, 9].map((tries) => waitBefore(tries, 0))).toEqual([0.5, 1, 2, 5]);
  expect(waitBefore(9, 1)).toBe(3.75);
});
