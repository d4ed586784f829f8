/** What is said in place of a step: that something is over, or cannot be, and what to do about it. */

import { ending } from "./hearing";
import { fill } from "./language";
import type { Notice } from "./screens";

export const AWAY: Notice = {
  icon: "plug",
  title: (w) => w.notice.awayTitle,
  text: (w) => w.notice.awayText,
};
export const NO_LINK: Notice = {
  icon: "alert",
  title: (w) => w.notice.noLinkTitle,
  text: (w) => w.notice.noLinkText,
};
/** Who is not enrolled and may not enrol by the link. */
export const UNKNOWN: Notice = {
  icon: "person",
  title: (w) => w.notice.unknownTitle,
  text: (w) => w.notice.unknownText,
};
/** The server is being told that a consent is taken back. */
export const TELLING: Notice = {
  icon: "clock",
  title: (w) => w.notice.tellingTitle,
  text: (w) => w.notice.tellingText,
};
export const OVER: Notice = {
  icon: "flag",
  title: (w) => w.notice.overTitle,
  text: (w) => w.notice.overText,
};

/** The stream ended by an error, after which it may go on unless the link holds no more. */
export function broken(code: string, run: () => void): Notice {
  const told: Pick<Notice, "title" | "text"> = ending(code) ?? {
    title: (w) => w.notice.failedTitle,
    text: (w) => fill(w.notice.failedText, { code }),
  };
  if (code === "unauthorised" || code === "link-expired") return { icon: "alert", ...told };
  return { icon: "alert", ...told, button: (w) => w.notice.goOnHere, run };
}

/** Whoever has left may come back. */
export function finished(run: () => void): Notice {
  return {
    icon: "flag",
    title: (w) => w.notice.finishedTitle,
    text: (w) => w.notice.finishedText,
    button: (w) => w.notice.comeBack,
    run,
  };
}

/** The consent is taken back; null: they may not agree anew here. */
export function withdrawn(anew: (() => void) | null): Notice {
  const again: Partial<Notice> = anew ? { button: (w) => w.notice.changedMind, run: anew } : {};
  return {
    icon: "flag",
    title: (w) => w.notice.withdrawnTitle,
    text: (w) => w.notice.withdrawnText,
    ...again,
  };
}

/** The server was not reached when a consent was taken back. */
export function unreached(run: () => void): Notice {
  return {
    icon: "alert",
    title: (w) => w.notice.unreachedTitle,
    text: (w) => w.notice.unreachedText,
    button: (w) => w.agree.withdraw,
    run,
  };
}
