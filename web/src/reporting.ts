/** Gives the visitor a report: the server's, or the page's own. */

import { fetchFile, save } from "./dom";
import { report } from "./report";
import type { Server } from "./server";
import type { View } from "./view";
import { print } from "./views/printout";
import { toast } from "./views/toast";

/** The server's, from its record; the page's own of what it saw, where there is none. */
export async function give(view: View | null, server: Server, form: "zip" | "html"): Promise<void> {
  if (!view) toast("There is nothing to report yet.");
  else if (!server.recorded || !view.stream) giveOwn(view, form);
  else {
    const of = `v1/records/${encodeURIComponent(view.stream)}/report.${form}`;
    try {
      fetchFile(await server.report(of), form === "html");
    } catch {
      toast("The server cannot be reached just now.");
    }
  }
}

function giveOwn(view: View, form: "zip" | "html"): void {
  const own = report(view, new Date());
  if (form === "html") print(own);
  else save("voxwatch-report.json", own);
}
