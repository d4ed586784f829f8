/** After which errors trying again may help, and when to. */

const FIRST_WAIT_S = 0.5;
const LONGEST_WAIT_S = 5;

/** Codes after which the same request would fail again. */
export const HOPELESS: ReadonlySet<string> = new Set([
  "bad-start",
  "unknown-encoding",
  "encoding-unsupported",
  "bad-rate",
  "bad-parameter",
  "unknown-speaker",
  "unusable-voiceprint",
  "too-many-claims",
  "bad-message",
  "unknown-control",
  "second-start",
  "bad-sound",
  "wrong-format",
  "text-not-utf8",
  "binary-before-start",
  "wrong-frame",
  "taken-over",
  "message-too-big",
  "unauthorised",
  "forbidden-origin",
  "audio-quota",
  "too-many-attempts",
  "stream-too-long",
  "consent-withdrawn",
]);

/** Codes that say: this session cannot be resumed, begin another at once. */
export const SESSION_GONE: ReadonlySet<string> = new Set(["unknown-session", "gap"]);

/** Seconds until the next try: doubling, with up to a quarter of jitter from `random` in 0..1. */
export function waitBefore(tries: number, random: number): number {
  const wait = Math.min(FIRST_WAIT_S * 2 ** tries, LONGEST_WAIT_S);
  return wait * (1 - random / 4);
}
