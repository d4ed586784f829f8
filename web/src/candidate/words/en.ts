/** English, of which the other languages are translations. Words in {braces} stand for what is told. */

import { PROMPT } from "../../views/prompt";
import { FAULTS, MICROPHONE } from "../../microphone/words";
import { PROBLEMS, REFUSALS } from "../../words";

function each<K extends string, V>(table: Record<K, V>, words: (of: V) => string): Record<K, string> {
  const entries = Object.entries<V>(table).map(([key, of]) => [key, words(of)]);
  return Object.fromEntries(entries) as Record<K, string>;
}

export const EN = {
  page: {
    title: "Exam",
    language: "Language",
    steps: "Steps",
    footer: "The sound goes to the server of your examiners, and to nobody else.",
    no: "No",
    until: "{name} · until {time}",
  },
  theme: {
    auto: "Theme: system",
    light: "Theme: light",
    dark: "Theme: dark",
  },
  steps: {
    agree: "Agree",
    mic: "Microphone",
    voice: "Your voice",
    heard: "Exam",
  },
  agree: {
    title: "Before you begin",
    lead: "Hello {name}. In this exam your voice is listened to. Read what that means; you can say no.",
    known:
      "Your voice is known already, {name}. In the exam your microphone is listened to, and the voice compared with it.",
    words: "I am {name}, I have read this, and I agree.",
    go: "Go on",
    tick: "Nothing is recorded without your consent: tick the box, or ask your examiners.",
    clips: "May sound be kept as well?",
    clipsYes: "Yes, sound around what is marked may be kept.",
    clipsNo: "No, without sound. I take part all the same.",
    clipsChoose: "Say whether sound may be kept. Either answer lets you go on.",
    clipsLost: "Your answer did not reach the server. Try again.",
    clipsAgreed: "You allowed that sound around what is marked is kept.",
    withdrawClips: "Delete that sound, and keep none",
    clipsGone: "The sound was deleted, and none is kept from now on.",
    kept: "What is kept, and how to say no",
    withdraw: "Take my consent back",
  },
  mic: {
    title: "Your microphone",
    which: "Which one",
    standard: "The browser's default",
    intro: "The test takes ten seconds: first silence, then a sentence of yours.",
    test: "Test the microphone",
    anew: "Begin the test anew",
    again: "Test again",
    quiet: "Be quiet, please: {seconds}",
    speak: "Now say a sentence, as you would in the exam.",
    good: "Your microphone is good.",
    better: "This can be better:",
    go: "Go on",
    asItIs: "Go on as it is",
  },
  trial: {
    dead: "No sound at all comes from this microphone. Is it switched off, or muted at its cable?",
    nothing: "No voice was heard. Come closer, or choose another microphone.",
    loud: "Too loud: the sound is cut off. Move back, or lower its level.",
    faint: "Quiet: come closer, or raise its level.",
    loudEnough: "Your voice is loud enough.",
    noisy: "There is much noise: close windows, or use a headset.",
    quietEnough: "The room is quiet enough.",
  },
  voice: {
    title: "Your voice",
    intro:
      "Once, the server has to get to know your voice. Read the text below aloud, as you usually speak.",
    go: "Start to read",
    takes: "It takes some twenty seconds.",
    listening: "Listening. Start to read.",
    begin: "Start to read.",
    onward: "Keep on reading.",
    half: "Half of it is done.",
    almost: "Almost there.",
    more: "{time} more of speech",
    rate: "The microphone has another rate now. Read once more.",
    lost: "The connection was lost, and half a reading is not kept. Read once more.",
    nothing: "Nothing was stored.",
    prompt: PROMPT,
  },
  heard: {
    title: "You are being heard",
    text: "Nothing more is to be done here. Good luck.",
    lateTitle: "You are being heard, a little late",
    lateText: "Your network is slow: {time} of sound are still to be sent. Stay here.",
    openingTitle: "One moment",
    openingText: "The microphone is opened.",
    connectingTitle: "Connecting",
    connectingText: "One moment.",
    deadTitle: "Your microphone is silent",
    deadText:
      "Sound comes, but nothing is in it: is it muted by a switch or at its cable? Or choose another one below.",
    awayTitle: "The server cannot be reached",
    offlineTitle: "You are offline",
    awayText: "Trying again. {kept} Stay on this page; if it lasts, tell your examiners.",
    kept: "{time} of your sound are kept and sent when it is back.",
    byItself: "It goes on by itself.",
    untilThen: "Until then you are not heard.",
    lost: "You are not heard.",
    linkEnds: "Your link holds until {time}.",
    device: "Microphone",
    open: "Keep this page open. You may use others beside it.",
    finished: "I have finished",
  },
  notice: {
    awayTitle: "The server cannot be reached",
    awayText: "Trying again. Check your network; if it lasts, tell your examiners.",
    noLinkTitle: "This link is not whole",
    noLinkText: "Open it once more as it was sent to you, to its end.",
    unknownTitle: "Your voice is not known here",
    unknownText: "This exam takes those who are enrolled already. Please ask your examiners.",
    failedTitle: "That did not go on",
    failedText: "The server says: {code}.",
    goOnHere: "Go on here",
    takenTitle: "This exam was opened elsewhere",
    takenText:
      "Your link was opened in another tab or on another device, which is heard instead of this one. You may go on here: the other then ends.",
    expiredTitle: "Your link holds no more",
    expiredText:
      "It has expired, was replaced by another, or the exam is over. If yours goes on, ask your examiners for a new one.",
    leaveTitle: "Have you finished?",
    leaveText: "From then on you are not heard any more. You can come back as long as the exam lasts.",
    leaveYes: "I have finished",
    finishedTitle: "You have finished",
    finishedText: "The microphone is off, and you can close this page.",
    comeBack: "Come back to the exam",
    clipsTitle: "Keep no more sound of you?",
    clipsText:
      "Sound of yours from this exam is deleted at once, and none is kept from now on. Your exam goes on as before.",
    clipsYes: "Delete the sound",
    withdrawTitle: "Take your consent back?",
    withdrawText:
      "Your voiceprint, and sound of yours where any was kept, is deleted at once, and you are not heard any more. Tell your examiners, so that they can offer you another way.",
    withdrawYes: "Take it back",
    tellingTitle: "One moment",
    tellingText: "The server is told that you take your consent back.",
    unreachedTitle: "That did not reach the server",
    unreachedText: "You are not heard any more, but your voiceprint is still there. Try again.",
    withdrawnTitle: "You took your consent back",
    withdrawnText:
      "Your voiceprint is deleted, and nothing is compared any more. Please tell your examiners.",
    changedMind: "I have changed my mind",
    overTitle: "The exam is over",
    overText: "Thank you. You can close this page.",
  },
  faultTitle: each(FAULTS, ({ title }) => title),
  faultAdvice: each(FAULTS, ({ advice }) => advice),
  problem: each(PROBLEMS, ({ advice }) => advice),
  microphone: MICROPHONE,
  refusalTitle: {
    ...each(REFUSALS, ({ title }) => title),
    "several-voices": "More than one voice",
    other: "Not usable",
  },
  refusalAdvice: {
    ...each(REFUSALS, ({ advice }) => advice),
    "several-voices": "Read alone, and where nobody else is heard.",
    other: "Read once more.",
  },
  server: {
    unauthorised: "Your link holds no more. Ask your examiners for a new one.",
    "consent-missing": "The text that you agreed to has changed. Load this page anew, read it and agree.",
    "name-taken": "Your voice is known already. Load this page anew.",
    "store-failed": "The server could not save this. Tell your examiners.",
    "engine-failed": "The server's model failed. Tell your examiners.",
    "audio-quota": "You have sent as much sound as you may for now. Tell your examiners.",
    overloaded: "The server is busy. Try again in a moment.",
    idle: "The server heard nothing for a minute. Start again.",
    other: "The server refused this ({code}). Tell your examiners.",
  },
};

type Table = typeof EN;

/** All that the page says, in one language. */
export type Words = { readonly [S in keyof Table]: { readonly [K in keyof Table[S]]: string } };
