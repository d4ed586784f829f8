/** The client of voxwatch: is this still the same voice? */

export { Voxwatch, type Token, type VoxwatchOptions } from "./voxwatch.js";
export { Stream } from "./stream.js";
export type { StreamEvents, StreamOptions } from "./stream_options.js";
export { Monitor, type MonitorOptions } from "./monitor.js";
export { Enrolment, type EnrollOptions, type EnrolmentEvents } from "./enrolment.js";
export { Control, type ControlListener, type ExpiringToken, type Profile, type Status } from "./control.js";
export { Channel, type ByType, type ChannelEvents } from "./channel.js";
export type { Phase, Why } from "./actions.js";
export type { StreamConnection } from "./connection.js";
export type { MicrophoneSource, Pcm, Source } from "./sound.js";
export type { VerifyOptions, WholeRecording } from "./verify.js";
export { streamStates, type Message } from "./decode.js";
export {
  ConnectionFailed,
  MicrophoneError,
  ServerError,
  VoxwatchError,
  type MicrophoneProblem,
} from "./errors.js";
export { now, socketAddress, type Role, type Socket, type SocketConstructor } from "./network.js";
export { Microphone, type MicrophoneOptions } from "./microphone/microphone.js";
export { RateCheck } from "./microphone/rate_check.js";
export type { Fault } from "./microphone/recording.js";
export * from "./messages.js";
