/** Times of day, and how long ago, in words. */

/** Seconds since 1970 as a time of day here: "14:32:05". */
export function timeOfDay(at: number): string {
  return new Date(1000 * at).toTimeString().slice(0, 8);
}

/** With its day: "2 December, 14:32". */
export function dateAndTime(at: number): string {
  const when = new Date(1000 * at);
  const day = when.toLocaleDateString("en-GB", { day: "numeric", month: "long" });
  return `${day}, ${when.toTimeString().slice(0, 5)}`;
}

/** "12 s", "4 min", "1 h 5 min": without the seconds that would make a page restless. */
export function roughly(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 60) return `${whole} s`;
  const minutes = Math.floor(whole / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
