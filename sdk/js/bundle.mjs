// Builds what is loaded without a bundler: a module for pages, a script for service workers, and a CommonJS file for
// mini-programs.
import { build } from "esbuild";

const shared = { bundle: true, target: "es2020", legalComments: "none", logLevel: "warning" };
await Promise.all([
  build({ ...shared, entryPoints: ["src/browser/index.ts"], outfile: "dist/bundle/browser.js", format: "esm", minify: true }),
  build({ ...shared, entryPoints: ["src/browser/script.ts"], outfile: "dist/bundle/worker.js", format: "iife", minify: true }),
  build({ ...shared, entryPoints: ["src/miniprogram/index.ts"], outfile: "dist/bundle/miniprogram.js", format: "cjs", target: "es2018" }),
]);
