// Gets the bytes of a picture: by its address, from what the page gave, or as a copy of the screen.

import { DaemonError } from "../lib/daemon.js";
import { canSayReferrer, withReferrer } from "./referrer.js";

/**
 * @typedef {import("../lib/messages.js").Picture} Picture
 * @typedef {import("../lib/messages.js").Rect} Rect
 */

const MOST_BYTES = 32 * 1024 * 1024;
const ENOUGH_TO_TELL = 16;

/**
 * The bytes behind an address.
 *
 * @param {string} url http(s) or data.
 * @param {object} how
 * @param {boolean} how.withCookies
 * @param {boolean} how.mayBeLocal Whether an address of this computer or network may be asked.
 * @param {string|null} how.referrer What may be said about the page, if the picture is refused.
 * @param {number} how.ms
 * @returns {Promise<Uint8Array>} Throws DaemonError: gone, too-large or not-a-picture.
 */
export async function fromAddress(url, how) {
  if (/^data:/i.test(url)) {
    return pictureOf(ofData(url));
  }
  if (!how.mayBeLocal && isLocal(url)) {
    throw new DaemonError("gone");
  }
  const response = await answered(url, how);
  if (!response.ok || response.body === null || (!how.mayBeLocal && isLocal(response.url))) {
    await response.body?.cancel();
    throw new DaemonError("gone");
  }
  return read(response);
}

/**
 * Asks for a picture; a second time with the page it is on, if it was refused.
 *
 * @param {string} url
 * @param {{withCookies: boolean, referrer: string|null, ms: number}} how
 */
async function answered(url, { withCookies, referrer, ms }) {
  const signal = AbortSignal.timeout(ms);
  const response = await fetched(url, withCookies, signal);
  if (![401, 403].includes(response.status) || referrer === null || !canSayReferrer()) {
    return response;
  }
  await response.body?.cancel();
  return (await withReferrer(url, referrer, () => fetched(url, withCookies, signal))) ?? response;
}

/** What a content script gave. @param {string} base64 @returns {Uint8Array} Throws DaemonError. */
export function fromBase64(base64) {
  try {
    return pictureOf(Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)));
  } catch (error) {
    throw error instanceof DaemonError ? error : new DaemonError("gone");
  }
}

/**
 * A copy of what a tab shows.
 *
 * @param {number} tabId
 * @param {Rect|null} rect In CSS pixels of the viewport.
 * @param {number} ratio Pixels of the screen for one of CSS.
 * @returns {Promise<Uint8Array>} A PNG. Throws DaemonError: gone.
 */
export async function fromScreen(tabId, rect, ratio) {
  if (rect === null) {
    throw new DaemonError("gone");
  }
  const bitmap = await capture(tabId);
  const { x, y, width, height } = clipped(rect, ratio, bitmap);
  if (width < 1 || height < 1) {
    throw new DaemonError("gone");
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d")?.drawImage(bitmap, x, y, width, height, 0, 0, width, height);
  const blob = await canvas.convertToBlob({ type: "image/png" });
  return new Uint8Array(await blob.arrayBuffer());
}

/** The part of a rectangle that is inside a picture of the viewport, in whole pixels.
 *
 * @param {Rect} rect
 * @param {number} ratio
 * @param {{width: number, height: number}} size
 * @returns {Rect}
 */
export function clipped(rect, ratio, size) {
  const left = Math.max(0, Math.round(rect.x * ratio));
  const top = Math.max(0, Math.round(rect.y * ratio));
  const right = Math.min(size.width, Math.round((rect.x + rect.width) * ratio));
  const bottom = Math.min(size.height, Math.round((rect.y + rect.height) * ratio));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

/** The pattern of hosts that a permission for an address has, or null if it needs none.
 *
 * @param {string} url
 * @returns {string|null}
 */
export function patternOf(url) {
  const { protocol, hostname } = new URL(url);
  return ["http:", "https:"].includes(protocol) ? `${protocol}//${hostname}/*` : null;
}

/** Whether the extension may ask this address. @param {string} url @returns {Promise<boolean>} */
export async function mayFetch(url) {
  const pattern = patternOf(url);
  return pattern === null
    ? /^data:/i.test(url)
    : chrome.permissions.contains({ origins: [pattern] });
}

/** Whether an address is of this computer or of a private network, as far as its name tells.
 *
 * @param {string} url
 * @returns {boolean}
 */
export function isLocal(url) {
  const host = new URL(url).hostname.replace(/\.$/, "");
  if (host.startsWith("[")) {
    return isLocalV6(host.slice(1, -1));
  }
  const numbers = host.split(".").map(Number);
  if (numbers.length === 4 && numbers.every((one) => Number.isInteger(one))) {
    return isLocalV4(numbers);
  }
  const isPrivateName = /(^|\.)(localhost|local|internal|lan|home|intranet|home\.arpa)$/.test(host);
  return isPrivateName || !host.includes(".");
}

/** @param {number[]} numbers */
function isLocalV4([a, b]) {
  return (
    [0, 10, 127].includes(a) ||
    (a === 100 && b >= 64 && b < 128) ||
    (a === 169 && b === 254) ||
    (a === 172 && b >= 16 && b < 32) ||
    (a === 192 && b === 168) ||
    a >= 224
  );
}

/** @param {string} address As URL writes it: lower case, shortened. */
function isLocalV6(address) {
  const mapped = /^(?:::ffff:|64:ff9b::)([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(address);
  if (mapped) {
    const [high, low] = mapped.slice(1).map((part) => Number.parseInt(part, 16));
    return isLocalV4([high >> 8, high & 255, low >> 8, low & 255]);
  }
  return address === "::" || address === "::1" || /^(f[cd]|fe[89ab]|ff)/.test(address);
}

/**
 * The bytes if they are a picture of a kind that antifake reads.
 *
 * @param {Uint8Array} bytes
 * @returns {Uint8Array} Throws DaemonError: too-large or not-a-picture.
 */
export function pictureOf(bytes) {
  if (bytes.length > MOST_BYTES) {
    throw new DaemonError("too-large");
  }
  if (!isPicture(bytes)) {
    throw new DaemonError("not-a-picture");
  }
  return bytes;
}

/** Whether bytes start as a picture does. @param {Uint8Array} bytes */
export function isPicture(bytes) {
  const start = String.fromCharCode(...bytes.subarray(0, 16));
  return (
    /^(\xff\xd8\xff|\x89PNG\r\n|GIF8[79]a|BM|II\*\0|MM\0\*)/.test(start) ||
    /^RIFF[^]{4}WEBP/.test(start) ||
    /^[^]{4}ftyp(avif|avis|heic|heix|heim|heis|hevc|mif1|msf1)/.test(start)
  );
}

/** @param {string} url @returns {Uint8Array} Throws DaemonError. */
function ofData(url) {
  const [, isBase64, payload] = /^data:[^,]*?(;\s*base64\s*)?,([^]*)$/i.exec(url) ?? [];
  if (payload === undefined) {
    throw new DaemonError("gone");
  }
  const text = unescaped(payload);
  try {
    const plain = isBase64 ? atob(text) : text;
    return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
  } catch {
    throw new DaemonError("gone");
  }
}

/** Percent escapes as bytes, one letter each. @param {string} text */
function unescaped(text) {
  return text.replace(/%([0-9a-f]{2})/gi, (_, digits) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  );
}

/** @param {string} url @param {boolean} withCookies @param {AbortSignal} signal */
async function fetched(url, withCookies, signal) {
  try {
    return await fetch(url, {
      credentials: withCookies ? "include" : "omit",
      headers: { Accept: "image/avif,image/webp,image/png,image/jpeg,image/*;q=0.8" },
      signal,
      referrerPolicy: "no-referrer",
    });
  } catch {
    throw new DaemonError("gone");
  }
}

/** Reads a picture and stops as soon as it is none, or too large. @param {Response} response */
async function read(response) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (response.body).getReader();
  /** @type {Uint8Array[]} */
  const chunks = [];
  let length = 0;
  let isKnown = false;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        break;
      }
      chunks.push(value);
      length += value.length;
      if (length > MOST_BYTES) {
        throw new DaemonError("too-large");
      }
      if (!isKnown && length >= ENOUGH_TO_TELL) {
        pictureOf(joined(chunks, length));
        isKnown = true;
      }
    }
  } catch (error) {
    await reader.cancel().catch(() => {});
    throw error instanceof DaemonError ? error : new DaemonError("gone");
  }
  return pictureOf(joined(chunks, length));
}

/** @param {Uint8Array[]} chunks @param {number} length */
function joined(chunks, length) {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}

/** What the tab shows, if it is the one that is seen. @param {number} tabId */
async function capture(tabId) {
  try {
    const tab = await chrome.tabs.get(tabId);
    const shot = await chrome.tabs.captureVisibleTab(tab.windowId, { format: "png" });
    const after = await chrome.tabs.get(tabId);
    if (!tab.active || !after.active || after.windowId !== tab.windowId) {
      throw new DaemonError("gone");
    }
    return await createImageBitmap(await (await fetch(shot)).blob());
  } catch {
    throw new DaemonError("gone");
  }
}
