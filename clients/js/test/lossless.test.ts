import { describe, expect, it } from "vitest";
import { StreamConnection } from "../src/connection.js";
import { KEEP_S } from "../src/outgoing.js";
import { ready } from "./messages.js";
import { counted, RATE, Wire } from "./wire.js";

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
