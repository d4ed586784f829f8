/** The browser's microphone, unprocessed: what a browser "improves" changes the voice. */

import captureUrl from "./capture?worker&url";

export type MicrophoneProblem =
  | "insecure"
  | "denied"
  | "missing"
  | "busy"
  | "unsupported"
  | "suspended"
  | "unplugged";

export class MicrophoneError extends Error {
  constructor(readonly problem: MicrophoneProblem) {
    super(problem);
  }
}

export interface Microphone {
  readonly sampleRate: number;
  readonly label: string;
  stop(): void;
}

/** Start listening. `onSound` gets pieces of 100 ms, `onEnd` why the sound ended by itself. */
export async function openMicrophone(
  onSound: (samples: Int16Array<ArrayBuffer>) => void,
  onEnd: (problem: MicrophoneProblem) => void,
): Promise<Microphone> {
  if (!window.isSecureContext) throw new MicrophoneError("insecure");
  if (!navigator.mediaDevices?.getUserMedia || !("AudioWorkletNode" in window)) {
    throw new MicrophoneError("unsupported");
  }
  const context = new AudioContext(); // made first: still within the user's click
  let stream: MediaStream | undefined;
  try {
    stream = await askForSound();
    await context.audioWorklet.addModule(captureUrl);
    await context.resume();
    if (context.state !== "running") throw new MicrophoneError("suspended");
  } catch (error) {
    stream?.getTracks().forEach((track) => track.stop());
    void context.close();
    throw error;
  }
  const source = context.createMediaStreamSource(stream);
  const capture = new AudioWorkletNode(context, "capture", {
    numberOfOutputs: 0,
    channelCount: 1,
    channelCountMode: "explicit", // several channels are mixed down to one
  });
  capture.port.onmessage = (event: MessageEvent<ArrayBuffer>) => {
    onSound(new Int16Array(event.data));
  };
  source.connect(capture);
  const track = stream.getAudioTracks()[0];
  track?.addEventListener("ended", () => onEnd("unplugged"));
  return {
    sampleRate: context.sampleRate,
    label: track?.label ?? "",
    stop() {
      capture.port.onmessage = null;
      source.disconnect();
      stream.getTracks().forEach((t) => t.stop());
      void context.close();
    },
  };
}

async function askForSound(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
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
