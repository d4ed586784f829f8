/** What a stream does with its sockets, tokens and readers. The rules are in connection.test.ts. */

import { afterEach, beforeEach, describe, expect, expectTypeOf, it, vi } from "vitest";
import { ConnectionFailed, ServerError, Voxwatch } from "../src/index.js";
import type { Decision, Stream, StreamMessage, Unknown } from "../src/index.js";
import { FakeSocket, settled, voxwatch } from "./fake_socket.js";
import { ready } from "./messages.js";

const vad = (seq: number): object => ({ type: "vad", seq, t: seq, speech: true, at: seq });

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});

afterEach(() => {
  vi.useRealTimers();
});

/** A stream that is live. */
async function live(options: Parameters<Voxwatch["stream"]>[0] = {}): Promise<Stream> {
  const stream = voxwatch().stream(options);
  await settled();
  FakeSocket.last.open();
  FakeSocket.last.say(ready());
  return stream;
}

async function all(stream: AsyncIterable<StreamMessage>): Promise<StreamMessage[]> {
  const found: StreamMessage[] = [];
  for await (const message of stream) found.push(message);
  return found;
}

describe("a stream", () => {
  it("tells listeners by type, and readers all of it, from the first on", async () => {
    const stream = await live();
    const heard: unknown[] = [];
    const off = stream.on("vad", ({ at }) => heard.push(at));
    stream.on("unknown", ({ kind, fields }) => heard.push([kind, fields.mood]));
    FakeSocket.last.say(vad(1));
    off();
    FakeSocket.last.say(vad(2));
    FakeSocket.last.say({ type: "mood", seq: 3, t: 3, mood: "grave" });
    stream.close();
    expect(heard).toEqual([1, ["mood", "grave"]]);
    const told = await all(stream);
    expect(told.map(({ type, seq }) => [type, seq])).toEqual([
      ["ready", 0],
      ["vad", 1],
      ["vad", 2],
      ["unknown", 3],
    ]);
  });

  it("has its types narrowed by the type of a message", () => {
    const narrowed = (message: StreamMessage): void => {
      if (message.type === "decision") expectTypeOf(message).toEqualTypeOf<Decision>();
      if (message.type === "unknown") expectTypeOf(message).toEqualTypeOf<Unknown>();
    };
    expectTypeOf(narrowed).parameter(0).toEqualTypeOf<StreamMessage>();
    expectTypeOf<Decision["state"]>().toEqualTypeOf<
      "insufficient" | "match" | "mismatch" | "uncertain" | "unknown"
    >();
  });

  it("goes on when a listener throws, which is told as an error of the program", async () => {
    const stream = await live();
    const heard: number[] = [];
    stream.on("vad", () => {
      throw new Error("in the page");
    });
    stream.on("vad", ({ seq }) => heard.push(seq));
    const thrown: (() => void)[] = [];
    vi.stubGlobal("queueMicrotask", (run: () => void) => thrown.push(run));
    FakeSocket.last.say(vad(1));
    vi.unstubAllGlobals();
    expect(thrown[0]).toThrow("in the page");
    expect(heard).toEqual([1]);
    stream.close();
  });

  it("keeps the newest 4,096 messages for nobody, and ends who reads and falls behind", async () => {
    const idle = await live();
    for (let seq = 1; seq <= 5000; seq += 1) FakeSocket.last.say(vad(seq));
    idle.close();
    const kept = await all(idle);
    expect([kept.length, kept[0]!.seq]).toEqual([4096, 5000 - 4095]);

    const slow = await live();
    const reader = slow[Symbol.asyncIterator]();
    for (let seq = 1; seq <= 5000; seq += 1) FakeSocket.last.say(vad(seq));
    expect(slow.failure).toMatchObject({ code: "slow-reader" });
    await expect(slow.send(new Uint8Array(2))).rejects.toBe(slow.failure);
    let read = 0;
    while (read < 4096 && !(await reader.next()).done) read += 1;
    expect(read).toBe(4096);
    await expect(reader.next()).rejects.toBe(slow.failure);
    await expect(slow.finalize()).rejects.toBe(slow.failure);
  });

  it("has whoever pushes wait for room, in order, and sends nothing of it twice", async () => {
    const stream = await live({ sample_rate: 8000 });
    const done: number[] = [];
    // 16,000 bytes a second: 30 s are held, 10 s are under way.
    for (const n of [1, 2]) void stream.send(new Uint8Array(320_000).fill(n)).then(() => done.push(n));
    stream.turn();
    const summary = stream.finalize();
    await settled();
    expect(done).toEqual([1]);
    for (let t = 10.5, seq = 1; t <= 40.5; t += 10, seq += 1) {
      FakeSocket.last.say({ ...vad(seq), t });
      await settled();
    }
    expect(done).toEqual([1, 2]);
    const sound = FakeSocket.last.sent.filter((one) => typeof one !== "string");
    const values = sound.map((one) => (one as Uint8Array)[0]!);
    expect(sound.reduce((sum, one) => sum + one.length, 0)).toBe(640_000);
    expect(values).toEqual([...values].sort());
    expect(FakeSocket.last.types.slice(-2)).toEqual(["turn", "finalize"]);
    stream.close();
    expect(await summary).toBeNull();
  });

  it("lets the oldest go instead, and waits for nobody, where it cannot wait", async () => {
    const stream = voxwatch().stream({ sample_rate: 8000, overflow: "drop" });
    const lost: number[] = [];
    stream.on("lost", ({ lost_s }) => lost.push(lost_s));
    for (let s = 0; s < 32; s += 1) await stream.send(new Uint8Array(16_000));
    expect(lost).toEqual([1, 1]);
    await expect(stream.send(new Uint8Array(1))).rejects.toMatchObject({ code: "bad-sound" });
    stream.close();
  });

  it("copies what is pushed, and refuses samples that are not what was declared", async () => {
    const stream = await live();
    const samples = Int16Array.of(1, 2);
    const sent = stream.send(samples);
    samples.fill(9);
    await sent;
    expect(FakeSocket.last.sent.at(-1)).toEqual(Uint8Array.of(1, 0, 2, 0));
    await expect(stream.send(new Float32Array(2))).rejects.toThrow('open with encoding "pcm_f32le"');
    stream.close();
  });

  it("takes blobs, as a MediaRecorder gives them, in their order and before the end", async () => {
    for (const overflow of ["wait", "drop"] as const) {
      const stream = await live({ overflow });
      void stream.send(new Blob([Uint8Array.of(1, 2)]));
      void stream.send(Uint8Array.of(3, 4));
      void stream.send(new Blob([Uint8Array.of(5, 6)]));
      void stream.finalize();
      await vi.waitFor(() => expect(FakeSocket.last.types.at(-1)).toBe("finalize"));
      const sound = FakeSocket.last.sent.filter((one) => typeof one !== "string");
      expect(sound.flatMap((one) => [...one])).toEqual([1, 2, 3, 4, 5, 6]);
      stream.close();
    }
  });

  it("refuses what is no sound at all", async () => {
    const stream = await live();
    for (const wrong of ["text", null, [1, 2], {}]) {
      const sent = stream.send(wrong as unknown as ArrayBuffer);
      await expect(sent).rejects.toMatchObject({ code: "bad-sound" });
    }
    stream.close();
  });

  it("ends by the summary, which whoever finalizes is given", async () => {
    const stream = await live();
    const summary = stream.finalize();
    FakeSocket.last.say({ type: "summary", seq: 1, t: 1, received_s: 1 });
    FakeSocket.last.break();
    expect(await summary).toMatchObject({ type: "summary", received_s: 1 });
    await expect(stream.send(new Uint8Array(2))).rejects.toMatchObject({ code: "ended" });
    expect((await all(stream)).map(({ type }) => type)).toEqual(["ready", "summary"]);
  });

  it("says that it leaves, so that its session is not kept", async () => {
    const stream = await live();
    const socket = FakeSocket.last;
    stream.close();
    expect(socket.types).toEqual(["start", "close"]);
    expect(socket.readyState).toBe(3);
    expect(await stream.finalize()).toBeNull();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(FakeSocket.all).toHaveLength(1);
  });

  it("fails with what the server said", async () => {
    const stream = await live({ claim: "bob" });
    FakeSocket.last.say({ type: "error", seq: 0, t: 0, code: "unknown-speaker", message: "enrol bob" });
    FakeSocket.last.break();
    expect(stream.failure).toBeInstanceOf(ServerError);
    expect(stream.failure).toMatchObject({ code: "unknown-speaker", message: "enrol bob" });
  });

  it("fails when nobody answers for as long as it was to be patient", async () => {
    const stream = voxwatch().stream({ patience_s: 0 });
    await settled();
    FakeSocket.last.break(); // the stream's
    await settled();
    FakeSocket.last.break(); // that on which it asks why
    await settled();
    expect(stream.failure).toBeInstanceOf(ConnectionFailed);
    expect(stream.failure!.message).toContain("no server answers at wss://h.example");
  });

  it("fails when another program answers", async () => {
    const stream = voxwatch().stream();
    await settled();
    FakeSocket.last.open();
    FakeSocket.last.onmessage?.({ data: "hello" });
    expect(stream.failure).toMatchObject({ code: "bad-message" });
  });
});

describe("a server", () => {
  it.each(["", "h.example", "ftp://h.example"])("is not at %j, which is told at once", (url) => {
    expect(() => new Voxwatch({ url, WebSocket: FakeSocket })).toThrow("is no address of a server");
  });

  it("needs WebSockets, which are to be passed in where there are none", () => {
    vi.stubGlobal("WebSocket", undefined);
    expect(() => new Voxwatch({ url: "http://h" })).toThrow("npm install ws");
    vi.unstubAllGlobals();
  });
});
