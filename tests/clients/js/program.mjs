// node program.mjs COMMAND '{"url": ..., ...}': uses the built client and prints JSON lines.

import { readFile } from "node:fs/promises";
import { ConnectionFailed, ServerError, Voxwatch } from "../../../clients/js/dist/index.js";
import { WebSocket as Ws } from "../../../clients/js/node_modules/ws/wrapper.mjs";

const [command, given] = process.argv.slice(2);
const { url, sockets, token, admin, file, piece_s = 0.1, pace_ms = 0, ...asked } = JSON.parse(given);
const say = (line) => console.log(JSON.stringify(line));
const RATE = 16_000;

function voxwatch() {
  const passed = sockets === "ws" ? { WebSocket: Ws } : {};
  if (!admin) return new Voxwatch({ url, token, ...passed });
  // As a page does it whose own server asks for tokens that open one connection each.
  const backend = new Voxwatch({ url: asked.backend ?? url, token: admin, ...passed });
  return new Voxwatch({
    url,
    ...passed,
    token: async (role) => {
      say({ type: "token", role });
      return (await backend.request("url_token", { role })).token;
    },
  });
}

async function pieces() {
  const pcm = await readFile(file);
  const bytes = Math.round(piece_s * RATE) * 2;
  return Array.from({ length: Math.ceil(pcm.length / bytes) }, (_, i) =>
    pcm.subarray(i * bytes, (i + 1) * bytes),
  );
}

const paced = () => new Promise((resolve) => setTimeout(resolve, pace_ms));

const COMMANDS = {
  async stream() {
    const { marks = {}, backend: _, ...options } = asked;
    const stream = voxwatch().stream(options);
    stream.on("begin", (begin) => say({ type: "begin", ...begin }));
    const told = (async () => {
      for await (const message of stream) say(message);
    })();
    told.catch(() => undefined); // thrown below
    for (const [i, piece] of (await pieces()).entries()) {
      // By the number of the piece before which they belong.
      for (const [name, ...values] of marks[i] ?? []) stream[name](...values);
      await stream.send(piece);
      if (pace_ms) await paced();
    }
    const summary = await stream.finalize();
    await told;
    const { reconnects, restarts, lost_s } = stream.connection;
    say({ type: "done", summary, reconnects, restarts, lost_s });
  },

  async enroll() {
    const enrolment = voxwatch().enroll(asked);
    enrolment.on("progress", ({ percent }) => say({ type: "progress", percent }));
    for (const piece of await pieces()) await enrolment.send(piece);
    say({ type: "done", ...(await enrolment.finalize()) });
  },

  async monitor() {
    for await (const message of voxwatch().monitor(asked)) {
      say(message);
      if (message.type === "closed") break;
    }
    process.exit(0);
  },

  async verify() {
    say(await voxwatch().verify(await readFile(file), asked));
  },

  async request() {
    const { type, ...fields } = asked;
    say({ type: "result", result: await voxwatch().request(type, fields) });
  },
};

try {
  await COMMANDS[command]();
} catch (error) {
  const kind = [ConnectionFailed, ServerError].find((one) => error instanceof one);
  if (!kind) throw error;
  say({ type: "failed", kind: kind.name, code: error.code, message: error.message });
}
