/**
 * One opening of a microphone in the browser, unprocessed: what a browser "improves" changes
 * the voice.
 */

import { MicrophoneError, type MicrophoneProblem } from "../errors.js";

/** Why an open microphone gives no sound, as far as the browser says. */
export type Fault =
  | "paused" // the browser's sound stands still: a call, sleep, another program
  | "muted" // by a switch, the system or the browser
  | "unplugged"
  | "busy" // another program has it
  | "stopped"; // nothing comes, and the browser names no reason

export interface Recording {
  readonly sampleRate: number;
  readonly label: string;
  readonly deviceId: string;
  readonly groupId: string;
  /** What the browser says is wrong; null while all is well. */
  fault(): Fault | null;
  /** Let go of the device, but not of the means to notice that the browser's sound runs again. */
  free(): void;
  /** Whether the browser's sound runs, after asking it to. */
  wake(): Promise<boolean>;
  /** Let go of everything. */
  close(): void;
}

export interface StreamRecordingOptions {
  /** Where the worklet lies; null: beside this module. */
  worklet: string | URL | null;
  /** Pieces of 100 ms. */
  onSound(samples: Int16Array<ArrayBuffer>): void;
  /** What `fault` says may be another. */
  onMoved(): void;
}

export interface RecordingOptions extends StreamRecordingOptions {
  /** Null: the browser's default. One that is not there gives way to another. */
  device: string | null;
  /** The rate wished for; null: the browser's own. */
  sampleRate: number | null;
}

export type OpenRecording = (options: RecordingOptions) => Promise<Recording>;

// Where a browser runs a microphone only at its own rate and does not say which.
const USUAL_RATES_HZ = [48000, 44100, 16000, 8000];
const WAKE_MS = 500; // that one which stood still is waited for before the next look
// A new one is given this long: on a busy machine it begins after a second, and to let go of it
// before that and open another would go on for ever.
const START_MS = 5000;
const KINDS = ["ended", "mute", "unmute"]; // of what a track tells

/** Open a microphone. Rejects with a `MicrophoneError`. */
export async function openRecording(options: RecordingOptions): Promise<Recording> {
  if (typeof window === "undefined") throw new MicrophoneError("unsupported");
  if (!window.isSecureContext) throw new MicrophoneError("insecure");
  if (!navigator.mediaDevices?.getUserMedia || !("AudioWorkletNode" in window)) {
    throw new MicrophoneError("unsupported");
  }
  const first = contextOf(options.sampleRate); // made first: still within the user's click
  let stream: MediaStream;
  try {
    stream = await askForSound(options.device);
  } catch (error) {
    void first.close();
    throw error;
  }
  try {
    return await record(stream, first, true, options);
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    throw error;
  }
}

/** Listen to a stream that the page has, and goes on to have. Rejects with a `MicrophoneError`. */
export async function openStream(
  stream: MediaStream,
  options: StreamRecordingOptions,
): Promise<Recording> {
  if (!window.isSecureContext) throw new MicrophoneError("insecure");
  if (stream.getAudioTracks().length === 0) throw new MicrophoneError("missing");
  return record(stream, contextOf(null), false, options);
}

/**
 * Firefox connects a microphone only to a context of the microphone's own rate, which a headset
 * changes when it is opened: contexts of other rates follow until one fits.
 */
async function record(
  stream: MediaStream,
  first: AudioContext,
  own: boolean,
  options: StreamRecordingOptions,
): Promise<Recording> {
  const native = stream.getAudioTracks()[0]?.getSettings().sampleRate ?? null;
  const others = [null, native, ...USUAL_RATES_HZ];
  let context = first;
  for (const rate of others) {
    try {
      const source = context.createMediaStreamSource(stream);
      return await started(stream, context, source, own, options);
    } catch (error) {
      void context.close();
      if (!(error instanceof DOMException && error.name === "NotSupportedError")) throw error;
    }
    context = contextOf(rate);
  }
  void context.close();
  throw new MicrophoneError("unsupported");
}

async function started(
  stream: MediaStream,
  context: AudioContext,
  source: MediaStreamAudioSourceNode,
  own: boolean,
  options: StreamRecordingOptions,
): Promise<Recording> {
  await context.audioWorklet.addModule(options.worklet ?? new URL("./capture.js", import.meta.url));
  if (!(await awake(context, START_MS))) throw new MicrophoneError("suspended");
  const capture = new AudioWorkletNode(context, "capture", {
    numberOfOutputs: 0,
    channelCountMode: "max", // all channels: the capture chooses one
  });
  capture.port.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    options.onSound(new Int16Array(event.data));
  };
  source.connect(capture);
  return recordingOf(stream, context, source, capture, own, options);
}

function recordingOf(
  stream: MediaStream,
  context: AudioContext,
  source: MediaStreamAudioSourceNode,
  capture: AudioWorkletNode,
  own: boolean,
  { onMoved }: StreamRecordingOptions,
): Recording {
  const track = stream.getAudioTracks()[0]!;
  const { deviceId = "", groupId = "" } = track.getSettings();
  for (const kind of KINDS) track.addEventListener(kind, onMoved);
  context.onstatechange = onMoved;
  const free = (): void => {
    capture.port.onmessage = null;
    source.disconnect();
    for (const kind of KINDS) track.removeEventListener(kind, onMoved);
    if (own) stream.getTracks().forEach((t) => t.stop());
  };
  return {
    sampleRate: context.sampleRate,
    label: track.label,
    deviceId,
    groupId,
    fault: () => faultOf(context.state, track),
    free,
    wake: () => awake(context, WAKE_MS),
    close() {
      context.onstatechange = null;
      free();
      if (context.state !== "closed") void context.close();
    },
  };
}

export function faultOf(
  context: string,
  track: Pick<MediaStreamTrack, "readyState" | "muted">,
): Fault | null {
  if (track.readyState === "ended") return "unplugged";
  if (context !== "running") return "paused";
  return track.muted ? "muted" : null;
}

/** During a call `resume` neither succeeds nor fails: it is not waited for. */
async function awake(context: AudioContext, patienceMs: number): Promise<boolean> {
  const late = new Promise((resolve) => setTimeout(resolve, patienceMs));
  await Promise.race([context.resume().catch(() => undefined), late]);
  return context.state === "running";
}

function contextOf(sampleRate: number | null): AudioContext {
  return sampleRate === null ? new AudioContext() : new AudioContext({ sampleRate });
}

async function askForSound(device: string | null): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: {
        echoCancellation: false,
        noiseSuppression: false,
        autoGainControl: false,
        ...(device === null ? {} : { deviceId: device }),
      },
    });
  } catch (error) {
    throw new MicrophoneError(problemOf(error));
  }
}

function problemOf(error: unknown): MicrophoneProblem {
  switch (error instanceof DOMException ? error.name : "") {
    case "NotAllowedError":
    case "SecurityError":
      return "denied";
    case "NotFoundError":
    case "OverconstrainedError":
      return "missing";
    case "NotReadableError":
    case "AbortError":
      return "busy";
    default:
      return "unsupported";
  }
}
