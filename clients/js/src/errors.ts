/**
 * What can go wrong between a client and its server. Each message says what to do.
 *
 * VoxwatchError
 *   ConnectionFailed  nobody answers, or the connection was lost for good
 *   ServerError       the server said no; `code` is one of wire version 1
 *   MicrophoneError   there is no sound to be had; `problem` says why
 */

export class VoxwatchError extends Error {
  constructor(
    readonly code: string,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** No connection; `cause` is what the network or the token's function said, where it did. */
export class ConnectionFailed extends VoxwatchError {
  constructor(message: string, options?: ErrorOptions) {
    super("connection-failed", message, options);
  }
}

/** The server refused or ended it. */
export class ServerError extends VoxwatchError {
  /** `retry_s`: trying again after so many seconds may help. */
  constructor(
    code: string,
    message: string,
    readonly retry_s: number | null = null,
  ) {
    super(code, message);
  }
}

export type MicrophoneProblem =
  | "insecure"
  | "denied"
  | "missing"
  | "busy"
  | "unsupported"
  | "suspended";

const ADVICE: Record<MicrophoneProblem, string> = {
  insecure: "a browser gives a microphone to pages of https:// and of localhost alone",
  denied: "the microphone was not allowed: allow it beside the page's address and try again",
  missing: "there is no such microphone: connect one and try again",
  busy: "another program has the microphone: end that and try again",
  unsupported: "there is no microphone here: use a newer browser, or push PCM with `send`",
  suspended: "the browser's sound stands still: open the stream in answer to a click",
};

export class MicrophoneError extends VoxwatchError {
  constructor(readonly problem: MicrophoneProblem) {
    super(problem, ADVICE[problem]);
  }
}
