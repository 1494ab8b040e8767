// The small part of a browser that the extension's modules use, in memory.

import { readFileSync } from "node:fs";

const ENGLISH = JSON.parse(
  readFileSync(new URL("../../../extension/_locales/en/messages.json", import.meta.url), "utf8"),
);

export const ID = "abcdefghijklmnopabcdefghijklmnop";
export const ORIGIN = `chrome-extension://${ID}`;

/** A place of storage, as chrome.storage has several. */
function storage() {
  const kept = new Map();
  const copy = (value) => structuredClone(value);
  return {
    kept,
    async get(wanted) {
      const keys = wanted === null ? [...kept.keys()] : [wanted].flat();
      return Object.fromEntries(
        keys.filter((key) => kept.has(key)).map((key) => [key, copy(kept.get(key))]),
      );
    },
    async set(values) {
      for (const [key, value] of Object.entries(values)) {
        kept.set(key, copy(value));
      }
    },
    async remove(keys) {
      for (const key of [keys].flat()) {
        kept.delete(key);
      }
    },
    async setAccessLevel({ accessLevel }) {
      kept.set("(access)", accessLevel);
    },
  };
}

/** An event of the browser, with what was registered for it. */
function event() {
  const listeners = [];
  return { listeners, addListener: (listener) => listeners.push(listener) };
}

/**
 * Puts a new browser in place of the one before.
 *
 * @param {{origins?: string[], messages?: Record<string, {message: string}>}} [about]
 */
export function browser({ origins = ["http://127.0.0.1/*"], messages = ENGLISH } = {}) {
  const done = [];
  const note = (name) =>
    async function noted(...values) {
      done.push([name, ...values]);
    };
  const chrome = {
    done,
    runtime: {
      id: ID,
      getURL: (path) => `${ORIGIN}/${path}`,
      getManifest: () => ({ optional_permissions: ["declarativeNetRequestWithHostAccess"] }),
      getPlatformInfo: async () => ({ os: "linux" }),
      onInstalled: event(),
      onStartup: event(),
      onMessage: event(),
    },
    i18n: {
      getMessage: (key, values = []) =>
        (messages[key]?.message ?? "").replace(/\$(\d)/g, (_, n) => values[n - 1] ?? ""),
    },
    storage: { local: storage(), session: storage(), onChanged: event() },
    permissions: {
      contains: async ({ origins: wanted }) => wanted.every((one) => origins.includes(one)),
      onAdded: event(),
      onRemoved: event(),
    },
    contextMenus: {
      onClicked: event(),
      removeAll: note("menu.removeAll"),
      create: (item) => done.push(["menu.create", item]),
    },
    commands: { onCommand: event() },
    tabs: {
      onRemoved: event(),
      onUpdated: event(),
      query: async () => [],
      create: note("tabs.create"),
      sendMessage: note("tabs.sendMessage"),
    },
    scripting: {
      executeScript: async ({ files }) => (files ? [] : [{ result: 17 }]),
      getRegisteredContentScripts: async () => [],
      registerContentScripts: note("scripting.register"),
      unregisterContentScripts: note("scripting.unregister"),
    },
    action: {
      setBadgeText: note("badge"),
      setBadgeBackgroundColor: async () => {},
      setTitle: note("title"),
    },
  };
  globalThis.chrome = chrome;
  return chrome;
}
