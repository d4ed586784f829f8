import { defineConfig } from "vitest/config";

// No test is about how long it takes: on a busy machine anything takes long.
export default defineConfig({ test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 } });
