import { describe, expect, it } from "vitest";
import { KEEP_S } from "../src/outgoing.js";
import { ready } from "./messages.js";
import { counted, Wire } from "./wire.js";

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
