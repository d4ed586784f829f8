/** What is asked of a stream, and what it tells beside the server's messages. */

import type { Why } from "./actions.js";
import type { StartStream } from "./messages.js";
import type { Fault } from "./microphone/recording.js";
import type { Source } from "./sound.js";

export interface StreamOptions extends Omit<StartStream, "session" | "resume_from" | "kept_s"> {
  /** Left out: PCM is pushed by `send`. */
  source?: Source;
  /**
   * What becomes of sound that cannot be sent: `send` waits, and none is lost, or the oldest past
   * 30 s is let go, as with a microphone, which does not wait.
   */
  overflow?: "wait" | "drop";
  /** After so long without a connection it has failed. */
  patience_s?: number;
  /** Where the worklet of the package (`voxwatch-client/capture.js`) lies, if not beside it. */
  worklet?: string | URL;
}

export interface StreamEvents {
  /** A session begins, whose media time 0 is `kept_s` before now; `why` it does. */
  begin: { kept_s: number; why: Why };
  /** Sound was let go that had not been sent; it ended `ago_s` before now. */
  lost: { lost_s: number; ago_s: number };
  /** What the source hears: 16 bit, each 0.1 s. */
  sound: Int16Array<ArrayBuffer>;
  /** Why the source gives no sound; null: it does again. */
  fault: Fault | null;
}
