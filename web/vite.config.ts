import { defineConfig } from "vitest/config";

const server = "http://127.0.0.1:8765";

export default defineConfig({
  base: "./", // the page also works below a path of a reverse proxy
  build: {
    target: "es2022",
    assetsInlineLimit: 0, // data: addresses would need a wider content security policy
    rollupOptions: { input: ["index.html", "candidate.html", "monitor.html"] },
  },
  server: {
    // `npm run dev` beside `voxwatch serve`. The Origin must be the server's own.
    fs: { allow: [".", "../clients/js"] }, // the client, which is a package of its own
    proxy: { "/v1": { target: server, ws: true, changeOrigin: true, headers: { origin: server } } },
  },
  test: { include: ["test/**/*.test.ts"] },
});
