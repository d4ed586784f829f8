/** How tokens are shown, and what the server says where none is. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { ConnectionFailed, ServerError } from "../src/index.js";
import { FakeSocket, settled, voxwatch } from "./fake_socket.js";

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a token", () => {
  it("of a function is fetched anew for each connection", async () => {
    let calls = 0;
    const stream = voxwatch((role) => `${role}-${(calls += 1)}`).stream();
    await settled();
    expect(FakeSocket.last.url).toBe("wss://h.example/voice/v1/stream?token=stream-1");
    FakeSocket.last.break();
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.last.url).toBe("wss://h.example/voice/v1/stream?token=stream-2");
    stream.close();
  });

  it("that never comes is told as such, once it is waited for no longer", async () => {
    const stream = voxwatch(() => new Promise<string>(() => undefined)).stream({ patience_s: 0 });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(stream.failure).toBeInstanceOf(ConnectionFailed);
    expect(stream.failure!.message).toContain("no token came");
    expect(FakeSocket.all).toEqual([]);
  });

  /** The socket is refused, and the server answers whoever asks for a token in its place. */
  async function refused(role: string, answer: object): Promise<void> {
    FakeSocket.last.break();
    await settled();
    const control = FakeSocket.last;
    expect(control.url).toBe("wss://h.example/voice/v1/control");
    control.open();
    await settled();
    expect(JSON.parse(control.sent[0] as string)).toEqual({ id: 1, type: "url_token", role });
    control.say({ id: 1, ...answer });
    await settled();
  }
  const message = "this needs a token with the role";
  const no = { ok: false, error: { code: "unauthorised", message } };

  it.each([undefined, () => ""])("that is lacking ends a stream by the server's words", async (token) => {
    const stream = voxwatch(token).stream();
    await settled();
    await refused("stream", no);
    expect(stream.failure).toBeInstanceOf(ServerError);
    expect(stream.failure).toMatchObject({ code: "unauthorised", message });
    expect(FakeSocket.last.readyState).toBe(3);
  });

  it("that is lacking ends a monitor and an enrolment likewise", async () => {
    const monitor = voxwatch().monitor();
    await settled();
    await refused("monitor", no);
    expect(monitor.failure).toMatchObject({ code: "unauthorised", message });
    const enrolment = voxwatch().enroll({ name: "Anna", consent: "2026-11" });
    await settled();
    await refused("enrol", no);
    expect(enrolment.failure).toMatchObject({ code: "unauthorised", message });
  });

  it("that nobody asks for was not why: it is tried again", async () => {
    const stream = voxwatch().stream();
    await settled();
    await refused("stream", { ok: true, result: { token: "once" } });
    expect(stream.phase).toBe("waiting");
    stream.close();
  });

  it("that is lacking is no longer of interest to who has left meanwhile", async () => {
    const stream = voxwatch().stream();
    await settled();
    FakeSocket.last.break();
    await settled();
    stream.close();
    FakeSocket.last.break();
    await settled();
    expect(stream.failure).toBeNull();
    expect(stream.phase).toBe("ended");
  });

  it("that cannot be had is tried again, and told in the end", async () => {
    const failing = voxwatch(() => Promise.reject(new Error("signed out")));
    const stream = failing.stream({ patience_s: 2 });
    await settled();
    expect(stream.phase).toBe("waiting");
    await vi.advanceTimersByTimeAsync(5000);
    expect(stream.failure).toBeInstanceOf(ConnectionFailed);
    expect(stream.failure!.message).toContain("signed out");
  });

  it("of the configuration is shown on a control connection, and never in an address", async () => {
    const stream = voxwatch("long secret").stream();
    await settled();
    const control = FakeSocket.last;
    control.open();
    await settled();
    expect(JSON.parse(control.sent[0] as string)).toEqual({ id: 1, type: "authenticate", token: "long secret" });
    control.say({ id: 1, ok: true, result: {} });
    await settled();
    expect(JSON.parse(control.sent[1] as string)).toEqual({ id: 2, type: "url_token", role: "stream" });
    control.say({ id: 2, ok: true, result: { token: "once" } });
    await settled();
    expect(control.readyState).toBe(3);
    expect(FakeSocket.all.map(({ url }) => url)).toEqual([
      "wss://h.example/voice/v1/control",
      "wss://h.example/voice/v1/stream?token=once",
    ]);
    stream.close();
  });

  it("that the server does not know ends it at once", async () => {
    const stream = voxwatch("wrong").stream();
    await settled();
    FakeSocket.last.open();
    await settled();
    FakeSocket.last.say({ id: 1, ok: false, error: { code: "unauthorised", message: "not known" } });
    await settled();
    expect(stream.failure).toMatchObject({ code: "unauthorised", message: "not known" });
  });
});
