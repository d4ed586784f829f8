import { describe, expect, it, vi } from "vitest";
import { MicrophoneError, type MicrophoneProblem } from "../src/errors.js";
import { better, Microphone } from "../src/microphone/microphone.js";
import { faultOf, type Fault, type Recording, type RecordingOptions } from "../src/microphone/recording.js";

// What an audio worklet has and a page has not.
vi.stubGlobal("sampleRate", 16_000);
vi.stubGlobal("AudioWorkletProcessor", class {});
vi.stubGlobal("registerProcessor", () => undefined);
const { ChannelChoice } = await import("../src/microphone/capture.js");

const RATE = 16_000;
const BLOCK = 128;

/** `seconds` of a tone through the choice, in blocks; what came out of it. */
function heard(choice: InstanceType<typeof ChannelChoice>, seconds: number, gains: number[], from = 0): number[] {
  const found: number[] = [];
  for (let block = from; block < from + (seconds * RATE) / BLOCK; block += 1) {
    const tone = Float32Array.from({ length: BLOCK }, (_, i) => Math.sin((block * BLOCK + i) / 5));
    const channels = gains.map((gain) => tone.map((sample) => gain * sample));
    found.push(...choice.choose(channels)!);
  }
  return found;
}

function power(samples: number[]): number {
  return samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
}

describe("the choice of a channel", () => {
  it("hears a microphone whose second channel is inverted", () => {
    expect(power(heard(new ChannelChoice(RATE), 1, [0.5, -0.5]))).toBeCloseTo(0.125, 2);
  });

  it("leaves a channel that gives nothing", () => {
    expect(power(heard(new ChannelChoice(RATE), 1, [0, 0.5]))).toBeCloseTo(0.125, 2);
  });

  it("stays with a channel while another is hardly louder", () => {
    const choice = new ChannelChoice(RATE);
    heard(choice, 1, [0.3, 0.2]);
    expect(power(heard(choice, 1, [0.3, 0.5]))).toBeCloseTo(0.045, 2);
  });

  it("takes what there is of one channel, and nothing of none", () => {
    const one = Float32Array.of(0.1, 0.2);
    expect(new ChannelChoice(RATE).choose([one])).toBe(one);
    expect(new ChannelChoice(RATE).choose([])).toBeUndefined();
  });
});

describe("what the browser says of a recording", () => {
  const track = { readyState: "live", muted: false } as const;

  it.each<[string, Partial<MediaStreamTrack>, Fault | null]>([
    ["running", {}, null],
    ["suspended", {}, "paused"],
    ["interrupted", {}, "paused"],
    ["running", { muted: true }, "muted"],
    ["running", { readyState: "ended" }, "unplugged"],
    ["interrupted", { readyState: "ended", muted: true }, "unplugged"],
  ])("a context that is %s with %o: %s", (context, changes, fault) => {
    expect(faultOf(context, { ...track, ...changes })).toBe(fault);
  });
});

/** A browser with one microphone, and everything that became of it. */
class Browser {
  fault: Fault | null = null;
  refuses: MicrophoneProblem | null = null;
  awake = true;
  rate = 48_000;
  opened: RecordingOptions[] = [];
  closed = 0;
  freed = 0;
  said: (Fault | null)[] = [];
  ends: MicrophoneProblem[] = [];
  rates: number[] = [];
  pieces = 0;
  occasions: { look(): void; moved(): void } = { look: () => {}, moved: () => {} };
  listening = true;

  readonly open = (options: RecordingOptions): Promise<Recording> => {
    if (this.refuses) return Promise.reject(new MicrophoneError(this.refuses));
    this.opened.push(options);
    return Promise.resolve({
      sampleRate: this.rate,
      label: "Headset",
      deviceId: "headset",
      groupId: "headset",
      fault: () => this.fault,
      free: () => {
        this.freed += 1;
      },
      wake: () => Promise.resolve(this.awake),
      close: () => {
        this.closed += 1;
      },
    });
  };

  start(device: string | null = null): Promise<Microphone> {
    return Microphone.open(
      {
        device,
        onSound: () => (this.pieces += 1),
        onFault: (fault) => this.said.push(fault),
        onRate: (rate) => this.rates.push(rate),
        onEnd: (problem) => this.ends.push(problem),
      },
      this.open,
      (look, moved) => {
        this.occasions = { look, moved };
        return () => (this.listening = false);
      },
    );
  }

  piece(): void {
    this.opened.at(-1)!.onSound(new Int16Array(1600));
  }

  /** So many looks, with a piece of sound before each where sound comes. */
  async look(times = 1, sound = false): Promise<void> {
    for (let i = 0; i < times; i += 1) {
      if (sound) this.piece();
      this.occasions.look();
      await settle();
    }
  }

  async happens(): Promise<void> {
    this.occasions.moved();
    await settle();
  }
}

async function settle(): Promise<void> {
  for (let i = 0; i < 8; i += 1) await Promise.resolve();
}

describe("a microphone", () => {
  it("lets go of the device in an interruption, and comes back at the very sign of its end", async () => {
    const browser = new Browser();
    await browser.start();
    browser.fault = "paused";
    browser.awake = false;
    await browser.happens();
    expect(browser.said).toEqual(["paused"]);
    expect([browser.freed, browser.closed]).toEqual([1, 0]);
    await browser.look(20);
    expect(browser.opened).toHaveLength(1);
    browser.fault = null;
    browser.awake = true;
    await browser.happens();
    expect(browser.said).toEqual(["paused", null]);
    expect(browser.opened.map(({ sampleRate }) => sampleRate)).toEqual([null, 48_000]);
    expect(browser.closed).toBe(1); // the old one
    browser.piece();
    expect(browser.pieces).toBe(1);
  });

  it("comes back by looking, within a second, where no sign is given", async () => {
    const browser = new Browser();
    await browser.start();
    browser.fault = "paused";
    browser.awake = false;
    await browser.look(10);
    browser.fault = null;
    browser.awake = true;
    await browser.look(4); // a second of looks
    expect(browser.said).toEqual(["paused", null]);
  });

  it("waits for a muted one without letting go, and drops its zeros", async () => {
    const browser = new Browser();
    await browser.start();
    browser.fault = "muted";
    await browser.look(30, true);
    expect(browser.pieces).toBe(1); // the one before it was known
    expect([browser.freed, browser.closed, browser.opened.length]).toEqual([0, 0, 1]);
    browser.fault = null;
    await browser.happens();
    expect(browser.said).toEqual(["muted", null]);
  });

  it("looks for one that was unplugged until it is there", async () => {
    const browser = new Browser();
    await browser.start("headset");
    browser.fault = "unplugged";
    browser.refuses = "missing";
    await browser.happens();
    expect(browser.closed).toBe(1);
    await browser.look(40);
    browser.fault = browser.refuses = null;
    await browser.happens();
    expect(browser.said).toEqual(["unplugged", null]);
    expect(browser.opened.at(-1)!.device).toBe("headset");
  });

  it("says that another program has it, and ends where it is no longer allowed", async () => {
    const browser = new Browser();
    await browser.start();
    browser.fault = "unplugged";
    browser.refuses = "busy";
    await browser.happens();
    expect(browser.said).toEqual(["unplugged", "busy"]);
    browser.refuses = "denied";
    await browser.happens();
    expect(browser.ends).toEqual(["denied"]);
    expect(browser.listening).toBe(false);
  });

  it("opens again what gives nothing, and not what is slow to begin", async () => {
    const browser = new Browser();
    await browser.start();
    await browser.look(12);
    expect(browser.said).toEqual([]);
    await browser.look(1, true);
    await browser.look(7);
    expect(browser.said).toEqual([]);
    await browser.look(1);
    expect(browser.said).toEqual(["stopped", null]);
    expect(browser.opened).toHaveLength(2);
  });

  it("is the one that was chosen last, even while another was being opened", async () => {
    const browser = new Browser();
    const microphone = await browser.start();
    microphone.choose("first");
    microphone.choose("second");
    await settle();
    await browser.look();
    expect(browser.opened.map(({ device }) => device)).toEqual([null, "first", "second"]);
    expect(browser.closed).toBe(2);
    browser.piece();
    expect(browser.pieces).toBe(1);
  });

  it("is opened anew on demand, at the rate of the session", async () => {
    const browser = new Browser();
    const microphone = await browser.start();
    microphone.reopen();
    await settle();
    expect(browser.opened.map(({ sampleRate }) => sampleRate)).toEqual([null, 48_000]);
    expect(browser.closed).toBe(1);
    expect(browser.said).toEqual([]);
    browser.piece();
    expect(browser.pieces).toBe(1);
  });

  it("tells another rate once, when it comes back with one", async () => {
    const browser = new Browser();
    const microphone = await browser.start();
    browser.fault = "unplugged";
    browser.refuses = "missing";
    await browser.happens();
    browser.fault = browser.refuses = null;
    browser.rate = 16_000;
    await browser.happens();
    expect(browser.rates).toEqual([16_000]);
    expect(microphone.sampleRate).toBe(16_000);
  });

  it("opens nothing more once it was stopped", async () => {
    const browser = new Browser();
    const microphone = await browser.start();
    browser.fault = "unplugged";
    browser.refuses = "missing";
    await browser.happens();
    microphone.stop();
    browser.fault = browser.refuses = null;
    await browser.look(20);
    expect(browser.opened).toHaveLength(1);
  });
});

describe("the microphones of a browser", () => {
  const input = (deviceId: string, groupId = deviceId) => ({
    kind: "audioinput" as const,
    deviceId,
    groupId,
  });

  it("change for the chosen one when it is there again", () => {
    const present = { deviceId: "a", groupId: "a" };
    expect(better([input("a"), input("b")], "b", present)).toBe(true);
    expect(better([input("a")], "b", present)).toBe(false);
    expect(better([input("a"), input("b")], "a", present)).toBe(false);
  });

  it("change with the default, where the browser says which that is", () => {
    const present = { deviceId: "default", groupId: "a" };
    expect(better([input("default", "b"), input("a"), input("b")], null, present)).toBe(true);
    expect(better([input("default", "a"), input("a"), input("b")], null, present)).toBe(false);
    expect(better([input("a"), input("b")], null, present)).toBe(false);
  });
});
