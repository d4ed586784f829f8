/** What a monitor does when its connection breaks. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSocket, settled, voxwatch } from "./fake_socket.js";

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});

afterEach(() => {
  vi.useRealTimers();
});

describe("a monitor", () => {
  it("is connected again, and begins with the streams as they are then", async () => {
    const monitor = voxwatch().monitor({ stream: "5eed", levels: true });
    await settled();
    expect(FakeSocket.last.url).toBe("wss://h.example/voice/v1/monitor?stream=5eed&levels=1");
    FakeSocket.last.open();
    FakeSocket.last.say({ type: "ready", seq: 0, t: 0, server: "x", streams: [{ stream: "5eed" }] });
    expect(monitor.phase).toBe("live");
    FakeSocket.last.break();
    expect(monitor.phase).toBe("waiting");
    await vi.advanceTimersByTimeAsync(1000);
    FakeSocket.last.say({ type: "ready", seq: 0, t: 0, server: "x", streams: [] });
    monitor.close();
    const counts: number[] = [];
    for await (const message of monitor) if (message.type === "ready") counts.push(message.streams.length);
    expect(counts).toEqual([1, 0]);
  });

  it("that is taken for lost is made again, and hears no more of the old one", async () => {
    const monitor = voxwatch().monitor();
    await settled();
    const old = FakeSocket.last;
    monitor.renew(); // it is not there yet
    expect(monitor.phase).toBe("connecting");
    old.open();
    old.say({ type: "ready", seq: 0, t: 0, server: "x", streams: [] });
    monitor.renew();
    expect([monitor.phase, old.readyState]).toEqual(["waiting", 3]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(FakeSocket.last).not.toBe(old);
    FakeSocket.last.open();
    FakeSocket.last.say({ type: "ready", seq: 0, t: 0, server: "x", streams: [] });
    old.break(); // its end comes late
    expect(monitor.phase).toBe("live");
    monitor.close();
  });

  it("fails with the server's last word, where that stays the last", async () => {
    const monitor = voxwatch().monitor({ patience_s: 0 });
    await settled();
    FakeSocket.last.open();
    FakeSocket.last.say({ type: "error", seq: 0, t: 0, code: "idle", message: "say something" });
    FakeSocket.last.break();
    expect(monitor.failure).toMatchObject({ code: "idle", message: "say something" });
  });
});
