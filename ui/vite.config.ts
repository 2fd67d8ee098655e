import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** The page is served by Netra itself: absolute paths, hashed assets, nothing inlined (the Content-Security-Policy forbids it). */
export default defineConfig({
  plugins: [react()],
  build: {
    outDir: process.env.NETRA_UI_OUT ?? "../src/netra/_ui",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    reportCompressedSize: false,
  },
  server: {
    port: 5173,
    proxy: {
      "/api": "http://127.0.0.1:8000",
      "/ws": { target: "ws://127.0.0.1:8000", ws: true },
    },
  },
});
