/** What an enrolment does with its socket and with what is pushed. */

import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { VoxwatchError } from "../src/index.js";
import { FakeSocket, settled, voxwatch } from "./fake_socket.js";

beforeEach(() => {
  vi.useFakeTimers();
  FakeSocket.all = [];
});

afterEach(() => {
  vi.useRealTimers();
});

describe("an enrolment", () => {
  it("keeps what was pushed before it was ready, and is kept with who was enrolled", async () => {
    const enrolment = voxwatch().enroll({ name: "Anna", consent: "2026-11" });
    await enrolment.send(Uint8Array.of(1, 0));
    await settled();
    FakeSocket.last.open();
    const done = enrolment.finalize();
    FakeSocket.last.say({ type: "ready", seq: 0, t: 0, needed_s: 20, min_s: 10 });
    expect(FakeSocket.last.types).toEqual(["start", 2, "finalize"]);
    FakeSocket.last.say({ type: "enrolled", seq: 1, t: 1, name: "Anna", prototypes: 1 });
    expect(await done).toMatchObject({ name: "Anna", like_voices: [] });
    expect(enrolment.over).toBe(true);
  });

  it("that was refused says why, and one whose connection was lost to begin again", async () => {
    const refused = voxwatch().enroll({ name: "Anna", consent: "2026-11" });
    await settled();
    FakeSocket.last.open();
    FakeSocket.last.say({ type: "refused", seq: 1, t: 1, code: "noisy", message: "close the window" });
    await expect(refused.finalize()).rejects.toMatchObject({ code: "noisy", message: "close the window" });
    expect(refused.failure).toBeNull();

    const lost = voxwatch().enroll({ name: "Anna", consent: "2026-11" });
    await settled();
    FakeSocket.last.open();
    FakeSocket.last.break();
    expect(lost.failure).toBeInstanceOf(VoxwatchError);
    await expect(lost.finalize()).rejects.toThrow("begin again");
  });
});
