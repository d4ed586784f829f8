import { describe, expect, it } from "vitest";
import type { Action, Rules } from "../src/actions.js";
import { StreamConnection } from "../src/connection.js";
import { KEEP_S } from "../src/outgoing.js";
import { waitBefore } from "../src/hope.js";
import { ready } from "./messages.js";

const RATE = 1000; // samples a second: 2000 bytes

/** The server's side of a connection: what reached it. */
class Wire {
  readonly connection: StreamConnection;
  texts: Record<string, unknown>[] = [];
  bytes: number[] = [];
  others: Action[] = [];
  made = 0;

  constructor(rules: Partial<Rules> = {}) {
    const start = { sample_rate: RATE, claim: ["Alice"] };
    this.connection = new StreamConnection(start, { random: () => 0, ...rules });
  }

  do(actions: Action[]): void {
    for (const action of actions) {
      if (action.do !== "send") this.others.push(action);
      else if (typeof action.data === "string") this.texts.push(JSON.parse(action.data));
      else this.bytes.push(...action.data);
    }
  }

  open(now: number): void {
    this.do(this.connection.connect(now));
    this.do(this.connection.opened(now));
  }

  ready(now: number, of: Parameters<typeof ready>[0] = {}): void {
    this.do(this.connection.received(JSON.stringify(ready(of)), now));
  }

  event(seq: number, now = 0, t = 0): void {
    const event = { type: "vad", seq, t, speech: true, at: 0 };
    this.do(this.connection.received(JSON.stringify(event), now));
  }

  error(code: string, now = 0): void {
    const error = { type: "error", seq: 0, t: 0, code, message: code };
    this.do(this.connection.received(JSON.stringify(error), now));
    this.do(this.connection.closed(now));
  }

  /** Sound of so many bytes, whose values count up. */
  sound(bytes: number, room = true): void {
    const piece = Uint8Array.from({ length: bytes }, (_, i) => (this.made + i) % 251);
    this.made += bytes;
    this.do(this.connection.sound(piece, room));
  }

  kinds(): string[] {
    return this.others.map((action) => action.do);
  }
}

function counted(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => (from + i) % 251);
}

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
    wire.ready(5, { session: "other" });
    expect(wire.bytes).toEqual(counted(400, 600));
    expect(wire.connection).toMatchObject({ restarts: 1, made_s: 0.1, unsent_s: 0 });
    expect(wire.others.findLast((a) => a.do === "begin")).toEqual({ do: "begin", kept_s: 0.1, why: "gone" });
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

describe("what is asked for in a stream", () => {
  const type = ({ type }: Record<string, unknown>): unknown => type;

  it("is sent at its place in the sound, and not before", () => {
    const wire = new Wire();
    wire.open(0);
    wire.sound(200);
    wire.do(wire.connection.ask({ type: "turn" }, true));
    wire.sound(200);
    expect(wire.texts.map(type)).toEqual(["start"]);
    const sent: (string | number)[] = [];
    for (const action of wire.connection.received(JSON.stringify(ready()), 0)) {
      if (action.do !== "send") continue;
      sent.push(typeof action.data === "string" ? JSON.parse(action.data).type : action.data.length);
    }
    expect(sent).toEqual([200, "turn", 200]);
  });

  it("is said again where the server may not have had it, and not where it has", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.do(wire.connection.ask({ type: "mute", on: true }, true));
    wire.sound(4000);
    wire.do(wire.connection.ask({ type: "turn" }, true));
    wire.do(wire.connection.closed(1));
    wire.texts = [];
    wire.open(2);
    wire.ready(2, { resumed: true, received_bytes: 3000 });
    expect(wire.texts.map(type)).toEqual(["start", "turn"]);
    expect(wire.bytes).toEqual([...counted(0, 4000), ...counted(3000, 4000)]);
  });

  it("holds in a session that follows: it is still muted", () => {
    const wire = new Wire();
    wire.open(0);
    wire.ready(0);
    wire.do(wire.connection.ask({ type: "mute", on: true }, true));
    wire.sound(4000);
    wire.event(1, 0, 2);
    wire.do(wire.connection.ask({ type: "turn" }, true));
    wire.sound(2000);
    wire.do(wire.connection.closed(1));
    wire.open(2);
    wire.error("unknown-session", 2);
    wire.do(wire.connection.opened(2));
    wire.texts = [];
    wire.ready(2, { session: "other" });
    expect(wire.texts).toEqual([{ type: "mute", on: true }]);
  });

  it("keeps its place when sound before it was let go", () => {
    const wire = new Wire();
    wire.open(0);
    for (let i = 0; i < KEEP_S; i += 1) wire.sound(2000);
    wire.do(wire.connection.ask({ type: "turn" }, true));
    for (let i = 0; i < 2; i += 1) wire.sound(2000);
    let before = 0;
    for (const action of wire.connection.received(JSON.stringify(ready()), 0)) {
      if (action.do !== "send") continue;
      if (typeof action.data === "string") break;
      before += action.data.length;
    }
    expect(before).toBe(2000 * (KEEP_S - 2));
  });
});

describe("a stream that may lose no sound", () => {
  function opened(): Wire {
    const wire = new Wire({ lossless: true });
    wire.open(0);
    wire.ready(0);
    return wire;
  }

  it("has so much under way as it can send again, and goes on as the server takes it", () => {
    const wire = opened();
    for (let i = 0; i < KEEP_S; i += 1) wire.sound(2000);
    expect(wire.bytes).toHaveLength(20_000);
    expect(wire.connection.room).toBe(0);
    wire.event(1, 1, 8.5);
    expect(wire.bytes).toHaveLength(36_000);
    expect(wire.connection.room).toBe(16_000);
  });

  it("sends again what the server did not take, up to its end", () => {
    const wire = opened();
    for (let i = 0; i < KEEP_S; i += 1) wire.sound(2000);
    wire.event(1, 1, 8.5);
    wire.do(wire.connection.finish(1));
    expect(wire.texts.map(({ type }) => type)).toEqual(["start"]); // there is more to send first
    wire.do(wire.connection.closed(2));
    expect(wire.connection.phase).toBe("waiting");
    wire.bytes = [];
    wire.open(3);
    wire.ready(3, { resumed: true, seq: 1, received_bytes: 17_000 });
    wire.event(2, 3, 26);
    wire.event(3, 3, 30);
    expect(wire.bytes).toEqual(counted(17_000, 60_000));
    expect(wire.texts.at(-1)).toEqual({ type: "finalize" });
    const summary = { type: "summary", seq: 4, t: 30, received_s: 30 };
    wire.do(wire.connection.received(JSON.stringify(summary), 4));
    wire.do(wire.connection.closed(4));
    expect(wire.connection.phase).toBe("ended");
  });

  it("begins anew with what the old server may not have judged", () => {
    const wire = opened();
    for (let i = 0; i < 5; i += 1) wire.sound(2000);
    wire.event(1, 1, 2.5);
    wire.do(wire.connection.closed(2));
    wire.open(3);
    wire.error("unknown-session", 3);
    wire.bytes = [];
    wire.do(wire.connection.opened(3));
    wire.ready(3, { session: "other" });
    expect(wire.bytes).toEqual(counted(4000, 10_000));
    expect(wire.others.findLast((a) => a.do === "begin")).toEqual({ do: "begin", kept_s: 3, why: "gone" });
  });

  it("leaves a server that says nothing to what it was sent", () => {
    const wire = opened();
    for (let i = 0; i < 5; i += 1) wire.sound(2000);
    wire.do(wire.connection.tick(15));
    expect(wire.kinds()).not.toContain("close");
    wire.do(wire.connection.tick(16));
    expect(wire.kinds()).toContain("close");
  });
});

it("goes on with a container only in its own session, by the bytes that are told to be taken", () => {
  const start = { sample_rate: RATE, encoding: "opus" } as const;
  const connection = new StreamConnection(start, { lossless: true, random: () => 0 });
  connection.connect(0);
  connection.opened(0);
  connection.received(JSON.stringify(ready()), 0);
  connection.sound(new Uint8Array(4000), true);
  const { room } = connection;
  connection.received('{"type":"quality","seq":1,"t":2}', 0);
  expect(connection.room).toBe(room);
  connection.received('{"type":"received","seq":2,"t":2,"received_bytes":4000}', 0);
  expect(connection.room).toBe(room + 4000);
  connection.closed(1);
  expect(connection.phase).toBe("waiting");
  connection.connect(2);
  connection.opened(2);
  connection.received('{"type":"error","seq":0,"t":0,"code":"unknown-session","message":""}', 2);
  connection.closed(2);
  expect(connection.phase).toBe("failed");
  expect(connection.error?.message).toContain("begin another recording");
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
