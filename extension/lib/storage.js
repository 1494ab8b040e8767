// What the extension remembers on disk: the connection, the settings and the sites.
//
// It is all in storage.local, which content scripts may not read: the token is in it.

/**
 * @typedef {object} Connection
 * @property {number} port Where antifake answered last.
 * @property {string} token
 * @property {number} tokenId
 * @property {string[]} scopes
 * @property {string} name What this browser is called in antifake.
 *
 * @typedef {object} Settings
 * @property {boolean} menuOnPicturesOnly The menu entry appears on pictures and videos only.
 * @property {"ask"|"yes"|"no"} linked Whether a linked picture file is checked instead.
 * @property {"host"|"address"|"no"} sendPage What the history learns about the page.
 * @property {boolean} sendTitle Whether the title of the page is in the name of a picture.
 * @property {number|null} port Where antifake is, if it is not on one of its usual ports.
 *
 * @typedef {"auto"|"never"} SiteMode Without a mode a site is checked when the person asks.
 */

/** @type {Settings} */
export const DEFAULTS = {
  menuOnPicturesOnly: false,
  linked: "ask",
  sendPage: "host",
  sendTitle: false,
  port: null,
};

/** @type {Record<keyof Settings, (value: any) => boolean>} */
const ALLOWED = {
  menuOnPicturesOnly: (value) => typeof value === "boolean",
  linked: (value) => ["ask", "yes", "no"].includes(value),
  sendPage: (value) => ["host", "address", "no"].includes(value),
  sendTitle: (value) => typeof value === "boolean",
  port: (value) => value === null || (Number.isInteger(value) && value > 0 && value < 65536),
};

/** Keeps content scripts out of the storage, where the browser can. */
export async function closeStorage() {
  await chrome.storage.local.setAccessLevel?.({ accessLevel: "TRUSTED_CONTEXTS" });
}

/** @returns {Promise<Connection|null>} */
export async function loadConnection() {
  const { connection } = await chrome.storage.local.get("connection");
  return isConnection(connection) ? connection : null;
}

/** @param {Connection} connection */
export async function saveConnection(connection) {
  await chrome.storage.local.set({ connection });
}

export async function forgetConnection() {
  await chrome.storage.local.remove("connection");
}

/** @returns {Promise<Settings>} */
export async function loadSettings() {
  const { settings } = await chrome.storage.local.get("settings");
  return { ...DEFAULTS, ...allowed(settings) };
}

/** Changes some settings. @param {Partial<Settings>} changes */
export async function saveSettings(changes) {
  const settings = { ...(await loadSettings()), ...allowed(changes) };
  await chrome.storage.local.set({ settings });
}

/** @returns {Promise<Record<string, SiteMode>>} */
export async function loadSites() {
  const { sites } = await chrome.storage.local.get("sites");
  const known = Object.entries(sites ?? {}).filter(([, mode]) => ["auto", "never"].includes(mode));
  return Object.fromEntries(known);
}

/** @param {string} host @returns {Promise<SiteMode|null>} Null: only when the person asks. */
export async function siteMode(host) {
  const sites = await loadSites();
  return Object.hasOwn(sites, host) ? sites[host] : null;
}

/** @param {string} host @param {SiteMode|null} mode */
export async function setSite(host, mode) {
  const { [host]: _, ...others } = await loadSites();
  await chrome.storage.local.set({ sites: mode === null ? others : { ...others, [host]: mode } });
}

/**
 * The name under which a site is remembered: the host of its address, or null if it has none.
 *
 * @param {string|undefined} url
 * @returns {string|null}
 */
export function siteOf(url) {
  const parsed = URL.canParse(url ?? "") ? new URL(url ?? "") : null;
  return parsed && ["http:", "https:"].includes(parsed.protocol) ? parsed.hostname : null;
}

/** @param {unknown} value @returns {value is Connection} */
function isConnection(value) {
  const { port, token, tokenId, scopes } = /** @type {Partial<Connection>} */ (value ?? {});
  return (
    Number.isInteger(port) &&
    typeof token === "string" &&
    Number.isInteger(tokenId) &&
    Array.isArray(scopes)
  );
}

/** The known settings that have an allowed value. @param {unknown} settings */
function allowed(settings) {
  const given = Object.entries(/** @type {Record<string, unknown>} */ (settings ?? {}));
  return /** @type {Partial<Settings>} */ (
    Object.fromEntries(
      given.filter(
        ([name, value]) =>
          Object.hasOwn(ALLOWED, name) && ALLOWED[/** @type {keyof Settings} */ (name)](value),
      ),
    )
  );
}
