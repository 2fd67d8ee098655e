import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const server = process.env.NETRA_SERVER_URL ?? "http://127.0.0.1:8000"; // `netra dev` says where it is

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
    rolldownOptions: {
      output: {
        // What changes at different times is cached apart: the framework, the text tools, the page itself.
        codeSplitting: {
          groups: [
            { name: "react", test: /node_modules\/(react|react-dom|scheduler)\// },
            {
              name: "text",
              test: /node_modules\/(markdown-it|linkify-it|mdurl|uc\.micro|entities|punycode\.js|highlight\.js|dompurify)\//,
            },
          ],
        },
      },
    },
  },
  server: {
    port: 5173,
    // The server sees the address that the browser sees, and so takes this page for its own: it refuses those of others.
    proxy: {
      "/api": { target: server, changeOrigin: false },
      "/ops/report": { target: server, changeOrigin: false },
      "/ws": { target: server.replace(/^http/, "ws"), changeOrigin: false, ws: true },
    },
  },
});
