import { describe, expect, it } from "vitest";
import { decode, streamStates } from "../src/decode.js";
import { ServerError } from "../src/errors.js";
import type { StreamMessage } from "../src/messages.js";
import { requestAddress, socketAddress } from "../src/network.js";
import { verifyQuery } from "../src/verify.js";

describe("the decoder", () => {
  it("fills in what an earlier server does not say", () => {
    const text = '{"type":"utterance","seq":1,"t":2,"start":0,"end":1,"state":"match"}';
    expect(decode<StreamMessage>(text)).toMatchObject({ problems: [], background: false, voice: null });
    expect(decode('{"type":"ready","seq":0,"session":"x"}')).toMatchObject({ t: 0, expected_rates: [] });
    expect(streamStates([{ stream: "a" }, 3])).toMatchObject([{ stream: "a", state: null, hop_s: 0.5 }]);
  });

  it("passes on what a later server says, with what any message has", () => {
    const fields = { type: "mood", seq: 7, t: 1.5, stream: "a", mood: "grave" };
    expect(decode(JSON.stringify(fields))).toEqual({
      type: "unknown",
      kind: "mood",
      seq: 7,
      t: 1.5,
      stream: "a",
      fields,
    });
  });

  it.each(["[]", "null", "3", '{"seq":1}', "no"])("refuses %s", (text) => {
    expect(() => decode(text)).toThrow(ServerError);
  });
});

describe("an address", () => {
  it.each([
    ["http://h:8765", "ws://h:8765/v1/stream"],
    ["https://h/vox/", "wss://h/vox/v1/stream"],
    ["wss://h/vox?x=1#y", "wss://h/vox/v1/stream"],
  ])("below %s is %s", (url, expected) => {
    expect(socketAddress(url, "v1/stream")).toBe(expected);
    expect(requestAddress(url, "v1/stream", { a: "b c" })).toBe(
      `${expected.replace("ws", "http")}?a=b+c`,
    );
  });
});

it("what is asked of a recording is its query", () => {
  expect(verifyQuery({ claim: ["a,b", "c"], sample_rate: 8000 })).toEqual({
    claim: '["a,b","c"]',
    sample_rate: "8000",
  });
  expect(verifyQuery({ claim: "alice" })).toEqual({ claim: "alice" });
  expect(verifyQuery({ claim: [] })).toEqual({});
});
