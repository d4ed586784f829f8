/** Addresses: of the server, and what the page's own fragment asks for. */

/** The server of a page, whatever path a proxy put it under. */
export function serverOf(page: string): string {
  return new URL(".", page).href;
}

/** The address of a file beside the page. */
export function fileAddress(page: string, path: string, query: Record<string, string>): string {
  const url = new URL(path, page);
  url.hash = "";
  url.search = new URLSearchParams(query).toString();
  return url.href;
}

export interface Wish {
  /** A stream to watch at once, or "first": whichever there is. */
  watch: string | null;
  token: string | null;
}

/** `#watch=STREAM` or `#watch=first`, `#token=...`. */
export function wishes(fragment: string): Wish {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  return { watch: fields.get("watch") || null, token: fields.get("token") || null };
}

/** The fragment without its secret. */
export function withoutToken(fragment: string): string {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  fields.delete("token");
  const rest = fields.toString();
  return rest ? `#${rest}` : "";
}

/** What the wall shows: an exam ("": all streams) and the candidate who is open ("": nobody). */
export interface Place {
  exam: string;
  open: string;
}

/** `#exam=ID&open=CANDIDATE` */
export function placeOf(fragment: string): Place {
  const fields = new URLSearchParams(fragment.replace(/^#/, ""));
  return { exam: fields.get("exam") ?? "", open: fields.get("open") ?? "" };
}

export function fragmentOf(place: Place): string {
  const fields = new URLSearchParams(Object.entries(place).filter(([, value]) => value !== ""));
  return fields.size > 0 ? `#${fields.toString()}` : "";
}
