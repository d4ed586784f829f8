/** A microphone's level, before anything is sent. */

/** dB below full scale of a peak of 0..127; what is under one step counts as -60. */
export function decibels(peak: number): number {
  return 20 * Math.log10(Math.max(peak, 0.13) / 127);
}

/** What the highest peak (0..127) of the last seconds says of the microphone. */
export function levelWords(peak: number): string {
  const level = decibels(peak);
  if (level < -45) return "Say a sentence. If the bar stays empty, choose another microphone.";
  if (level < -26) return "Quiet: come closer, or raise the input level.";
  return peak >= 126 ? "Too loud: the sound is cut off." : "Good.";
}
