/** The few things the views need of the DOM. */

/** The element of index.html with this id. */
export function el<T extends Element = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found as unknown as T;
}

type Child = Node | string | null;

/** A new element, with attributes (null: none) and children. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Record<string, string | null> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** A text in which `backticks` set off what is typed. */
export function prose(text: string): (string | HTMLElement)[] {
  return text.split(/`([^`]+)`/).map((part, i) => (i % 2 ? h("code", {}, part) : part));
}

/** Set a text only when it differs: live regions speak whenever they are written to. */
export function say(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function show(element: HTMLElement, shown: boolean): void {
  if (element.hidden === shown) element.hidden = !shown;
}

/** Rows of a description list, rewritten only where a value differs. */
export function rows(list: HTMLElement, facts: readonly (readonly [string, string])[]): void {
  if (list.children.length !== facts.length) {
    list.replaceChildren(...facts.map(([name]) => h("div", {}, h("dt", {}, name), h("dd"))));
  }
  facts.forEach(([name, value], i) => {
    const row = list.children[i]!;
    say(row.children[0]!, name);
    say(row.children[1]!, value);
  });
}

/** Let a file be saved. */
export function save(name: string, value: unknown): void {
  const blob = new Blob([JSON.stringify(value, null, 2) + "\n"], { type: "application/json" });
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** Let the browser keep a file of the server, or, `shown`, open it in a tab of its own. */
export function fetchFile(address: string, shown = false): void {
  const how = shown ? { target: "_blank", rel: "noopener" } : { download: "" };
  h("a", { href: address, ...how }).click();
}

/** A value kept by the browser; storage may be forbidden, and then nothing is kept. */
export function kept(storage: "localStorage" | "sessionStorage", key: string): string | null {
  try {
    return window[storage].getItem(`voxwatch-${key}`);
  } catch {
    return null;
  }
}

export function keep(
  storage: "localStorage" | "sessionStorage",
  key: string,
  value: string | null,
): void {
  try {
    if (value === null) window[storage].removeItem(`voxwatch-${key}`);
    else window[storage].setItem(`voxwatch-${key}`, value);
  } catch {
    // Forbidden storage costs a remembered choice, nothing else.
  }
}
