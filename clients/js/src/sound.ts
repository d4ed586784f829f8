/** Where the sound of a stream or an enrolment comes from, and in which form it may be pushed. */

import { MicrophoneError, VoxwatchError } from "./errors.js";
import type { SoundEncoding } from "./messages.js";
import { Microphone } from "./microphone/microphone.js";
import { openStream, type Fault, type Recording } from "./microphone/recording.js";

const LOOK_MS = 250;

export interface MicrophoneSource {
  /** Of `navigator.mediaDevices.enumerateDevices()`; null or left out: the browser's default. */
  device?: string | null;
}

/** A microphone of the browser, a stream that the page has, or neither: PCM is pushed by `send`. */
export type Source = "microphone" | MicrophoneSource | MediaStream;

/** Bytes as they are, the samples of a typed array, or a `Blob`, as a MediaRecorder gives them. */
export type Pcm = ArrayBuffer | ArrayBufferView<ArrayBuffer> | Blob;

type Bytes = Uint8Array<ArrayBuffer>;

export interface SourceListener {
  /** The sound begins, in 16 bit, one channel and at this rate. */
  begin(sampleRate: number): void;
  sound(samples: Int16Array<ArrayBuffer>): void;
  /** Why no sound comes; null: it comes again. */
  fault(fault: Fault | null): void;
  rate(sampleRate: number): void;
  /** No more comes; null: as when a call is over. */
  end(error: MicrophoneError | null): void;
}

/** A source that was opened. */
export interface Opened {
  stop(): void;
  /** Open it anew, where that may help. */
  reopen(): void;
}

/** Open a source. Rejects with a `MicrophoneError`. */
export function openSource(
  source: Source,
  worklet: string | URL | null,
  listener: SourceListener,
): Promise<Opened> {
  if (typeof MediaStream !== "undefined" && source instanceof MediaStream) {
    return fromStream(source, worklet, listener);
  }
  const microphone = source === "microphone" ? {} : (source as MicrophoneSource);
  return fromMicrophone(microphone, worklet, listener);
}

async function fromMicrophone(
  { device = null }: MicrophoneSource,
  worklet: string | URL | null,
  listener: SourceListener,
): Promise<Opened> {
  const microphone = await Microphone.open({
    device,
    worklet,
    onSound: (samples) => listener.sound(samples),
    onFault: (fault) => listener.fault(fault),
    onRate: (sampleRate) => listener.rate(sampleRate),
    onEnd: (problem) => listener.end(new MicrophoneError(problem)),
  });
  listener.begin(microphone.sampleRate);
  return microphone;
}

async function fromStream(
  stream: MediaStream,
  worklet: string | URL | null,
  listener: SourceListener,
): Promise<Opened> {
  let recording: Recording | null = null;
  let before: Fault | null = null;
  const moved = (): void => {
    const fault = recording?.fault() ?? null;
    if (fault === "unplugged") return listener.end(null);
    if (fault !== before) listener.fault(fault);
    before = fault;
  };
  recording = await openStream(stream, {
    worklet,
    onSound: (samples) => listener.sound(samples),
    onMoved: moved,
  });
  listener.begin(recording.sampleRate);
  const timer = setInterval(moved, LOOK_MS); // a track that the page itself stops does not tell
  const stop = (): void => {
    clearInterval(timer);
    recording.close();
  };
  return { stop, reopen: () => undefined };
}

/**
 * The bytes of sound that was pushed; of a `Blob` they come later. Throws where they can not be
 * what was declared.
 */
export function bytesOf(pcm: Pcm, encoding: SoundEncoding): Bytes | Promise<Bytes> {
  if (pcm instanceof Blob) return pcm.arrayBuffer().then((bytes) => new Uint8Array(bytes));
  if (pcm instanceof Float32Array && encoding !== "pcm_f32le") {
    const message = `Float32Array is not ${encoding}: open with encoding "pcm_f32le"`;
    throw new VoxwatchError("bad-sound", message);
  }
  if (pcm instanceof Int16Array && encoding !== "pcm_s16le") {
    const message = `Int16Array is not ${encoding}: open with encoding "pcm_s16le"`;
    throw new VoxwatchError("bad-sound", message);
  }
  // Copied: whoever pushes it may use its memory again.
  if (pcm instanceof ArrayBuffer) return new Uint8Array(pcm.slice(0));
  if (!ArrayBuffer.isView(pcm)) {
    throw new VoxwatchError("bad-sound", "push an ArrayBuffer, a typed array or a Blob");
  }
  return new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength).slice();
}
