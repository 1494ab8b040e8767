// Loads content scripts, which are classic scripts, into this program.

import { readFileSync } from "node:fs";
import { runInThisContext } from "node:vm";

/** @param {...string} names @returns {any} their common object */
export function loadContent(...names) {
  globalThis.antifake ??= {};
  for (const name of names) {
    const file = new URL(`../../../extension/content/${name}.js`, import.meta.url);
    runInThisContext(readFileSync(file, "utf8"), { filename: file.pathname });
  }
  return globalThis.antifake;
}
