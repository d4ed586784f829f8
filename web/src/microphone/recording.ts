/**
 * One opening of a microphone in the browser, unprocessed: what a browser "improves" changes
 * the voice.
 */

import captureUrl from "./capture?worker&url";

export type MicrophoneProblem =
  | "insecure"
  | "denied"
  | "missing"
  | "busy"
  | "unsupported"
  | "suspended";

export class MicrophoneError extends Error {
  constructor(readonly problem: MicrophoneProblem) {
    super(problem);
  }
}

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

export interface RecordingOptions {
  /** Null: the browser's default. One that is not there gives way to another. */
  device: string | null;
  /** The rate wished for; null: the browser's own. */
  sampleRate: number | null;
  /** Pieces of 100 ms. */
  onSound(samples: Int16Array<ArrayBuffer>): void;
  /** What `fault` says may be another. */
  onMoved(): void;
}

export type OpenRecording = (options: RecordingOptions) => Promise<Recording>;

// Where a browser runs a microphone only at its own rate and does not say which.
const USUAL_RATES_HZ = [48000, 44100, 16000, 8000];
const WAKE_MS = 500;

/** Open a microphone. Rejects with a `MicrophoneError`. */
export async function openRecording(options: RecordingOptions): Promise<Recording> {
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
    return await record(stream, first, options);
  } catch (error) {
    stream.getTracks().forEach((track) => track.stop());
    throw error;
  }
}

/**
 * Firefox connects a microphone only to a context of the microphone's own rate, which a headset
 * changes when it is opened: contexts of other rates follow until one fits.
 */
async function record(
  stream: MediaStream,
  first: AudioContext,
  options: RecordingOptions,
): Promise<Recording> {
  const own = stream.getAudioTracks()[0]?.getSettings().sampleRate ?? null;
  const others = [null, own, ...USUAL_RATES_HZ];
  let context = first;
  for (const rate of others) {
    try {
      const source = context.createMediaStreamSource(stream);
      return await started(stream, context, source, options);
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
  options: RecordingOptions,
): Promise<Recording> {
  await context.audioWorklet.addModule(captureUrl);
  if (!(await awake(context))) throw new MicrophoneError("suspended");
  const capture = new AudioWorkletNode(context, "capture", {
    numberOfOutputs: 0,
    channelCountMode: "max", // all channels: the capture chooses one
  });
  capture.port.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    options.onSound(new Int16Array(event.data));
  };
  source.connect(capture);
  return recordingOf(stream, context, source, capture, options);
}

function recordingOf(
  stream: MediaStream,
  context: AudioContext,
  source: MediaStreamAudioSourceNode,
  capture: AudioWorkletNode,
  { onMoved }: RecordingOptions,
): Recording {
  const track = stream.getAudioTracks()[0]!;
  const { deviceId = "", groupId = "" } = track.getSettings();
  for (const kind of ["ended", "mute", "unmute"]) track.addEventListener(kind, onMoved);
  context.onstatechange = onMoved;
  const free = (): void => {
    capture.port.onmessage = null;
    source.disconnect();
    stream.getTracks().forEach((t) => t.stop());
  };
  return {
    sampleRate: context.sampleRate,
    label: track.label,
    deviceId,
    groupId,
    fault: () => faultOf(context.state, track),
    free,
    wake: () => awake(context),
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
async function awake(context: AudioContext): Promise<boolean> {
  const late = new Promise((resolve) => window.setTimeout(resolve, WAKE_MS));
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
