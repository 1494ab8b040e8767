// Addresses of pictures in the page's own notations: srcset, CSS images, links.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.addresses) {
    return;
  }

  /** @type {Record<string, number>} units of a resolution in one dppx */
  const PER_DPPX = { dppx: 1, x: 1, dpi: 96, dpcm: 96 / 2.54 };
  const PICTURE_FILE = /\.(?:jpe?g|jpe|jfif|png|apng|gif|webp|avif|bmp|tiff?|hei[cf]|jxl)$/i;

  /** @param {string|null|undefined} text @param {string} base @returns {string|null} */
  function absolute(text, base) {
    if (!text || !text.trim()) {
      return null;
    }
    try {
      const url = new URL(text.trim(), base);
      url.hash = "";
      return /^(?:https?|data|blob):$/.test(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  }

  /** @param {string} text @returns {{width: number|null, density: number|null}|null} */
  function descriptor(text) {
    const parts = text.trim().split(/\s+/).filter(Boolean);
    if (!parts.length) {
      return { width: null, density: 1 };
    }
    let width = null;
    let density = null;
    for (const part of parts) {
      const value = Number(part.slice(0, -1));
      if (!(value > 0)) {
        return null;
      }
      if (part.endsWith("w")) {
        width = value;
      } else if (part.endsWith("x")) {
        density = value;
      } else if (!part.endsWith("h")) {
        return null;
      }
    }
    return width || density ? { width, density } : null;
  }

  /**
   * Splits a srcset as HTML says: an address may hold commas, but not end with one.
   * @param {string} text
   * @returns {{url: string, width: number|null, density: number|null}[]}
   */
  function parseSrcset(text) {
    const candidates = [];
    let rest = text;
    for (;;) {
      rest = rest.replace(/^[\s,]+/, "");
      const url = /^\S+/.exec(rest)?.[0];
      if (!url) {
        return candidates;
      }
      rest = rest.slice(url.length);
      let words = "";
      if (!url.endsWith(",")) {
        words = /^(?:\([^)]*\)|[^,(])*/.exec(rest)?.[0] ?? "";
        rest = rest.slice(words.length);
      }
      const size = descriptor(words);
      if (size) {
        candidates.push({ url: url.replace(/,+$/, ""), ...size });
      }
    }
  }

  /**
   * @param {string} srcset
   * @param {string} shown the absolute address of the candidate that the browser chose
   * @param {string} base
   * @returns {string|null} the largest candidate of the same srcset, null if `shown` is the largest
   */
  function largest(srcset, shown, base) {
    const all = parseSrcset(srcset).map((one) => ({ ...one, url: absolute(one.url, base) }));
    const chosen = all.find((one) => one.url === shown);
    if (!chosen) {
      return null;
    }
    /** @param {{width: number|null, density: number|null}} one */
    const size = (one) => (chosen.width ? one.width : one.density) ?? 0;
    let best = chosen;
    for (const one of all) {
      if (one.url && size(one) > size(best)) {
        best = one;
      }
    }
    return best === chosen ? null : best.url;
  }

  /** @param {string} text @param {string} shown @param {string} base @returns {boolean} */
  function holds(text, shown, base) {
    return parseSrcset(text).some((one) => absolute(one.url, base) === shown);
  }

  /** @param {string} value @returns {string[]} the layers of a CSS value, split at outer commas */
  function layers(value) {
    const parts = [""];
    let depth = 0;
    for (const token of value.match(/"(?:[^"\\]|\\.)*"|[(),]|[^"(),]+/gs) ?? []) {
      if (token === "(") {
        depth += 1;
      }
      if (token === ")") {
        depth -= 1;
      }
      if (token === "," && !depth) {
        parts.push("");
      } else {
        parts[parts.length - 1] += token;
      }
    }
    return parts.map((part) => part.trim());
  }

  /** @param {string} text the inside of a CSS string @returns {string} */
  function unescape(text) {
    return text.replace(/\\(?:([0-9a-f]{1,6})\s?|(.))/gis, (_, code, sign) =>
      code ? String.fromCodePoint(Math.min(parseInt(code, 16), 0x10ffff)) : sign,
    );
  }

  /** @param {string} layer @returns {{url: string, density: number}[]} */
  function renditions(layer) {
    const found = [];
    const shape = /(?:url\()?"((?:[^"\\]|\\.)*)"\)?([^,]*)/gs;
    for (const [, text, after] of layer.replace(/type\("[^"]*"\)/g, "").matchAll(shape)) {
      const [, value, unit] = /([\d.]+)(dppx|x|dpi|dpcm)/.exec(after) ?? [null, "1", "x"];
      const per = PER_DPPX[unit];
      found.push({ url: unescape(text), density: Number(value) / per });
    }
    return found;
  }

  /**
   * @param {string} value a computed background-image, content or border-image-source
   * @param {number} ratio device pixels per CSS pixel
   * @param {string} base
   * @returns {{url: string, larger: string|null}|null} of the topmost layer that is a picture
   */
  function fromCss(value, ratio, base) {
    if (!value || value === "none" || !value.includes('"')) {
      return null;
    }
    for (const layer of layers(value)) {
      if (!/url\(|image-set\(/.test(layer)) {
        continue;
      }
      const all = renditions(layer)
        .map((one) => ({ url: absolute(one.url, base) ?? "", density: one.density }))
        .filter((one) => one.url)
        .sort((one, two) => one.density - two.density);
      if (!all.length) {
        continue;
      }
      const chosen = all.find((one) => one.density >= ratio) ?? all[all.length - 1];
      const best = all[all.length - 1];
      return { url: chosen.url, larger: best.url === chosen.url ? null : best.url };
    }
    return null;
  }

  /**
   * @param {string|null} href
   * @param {string} base
   * @returns {string|null} the address that a link leads to, if it is one of a picture file
   */
  function pictureLink(href, base) {
    const address = absolute(href, base);
    if (!address || !/^https?:/.test(address)) {
      return null;
    }
    const name = new URL(address).pathname.split("/").pop() ?? "";
    // "File:Name.jpg" is the page of a wiki about the picture.
    return PICTURE_FILE.test(name) && !/:|%3a/i.test(name) ? address : null;
  }

  antifake.addresses = Object.freeze({
    absolute,
    parseSrcset,
    largest,
    holds,
    fromCss,
    pictureLink,
  });
})();
