// The bytes of a picture that only the page itself can reach: blob: addresses, pictures of its own
// origin, canvases and frames of a video.
"use strict";

(() => {
  const antifake = globalThis.antifake;
  if (antifake.bytes) {
    return;
  }
  const { dom } = antifake;

  const MOST_BYTES = 32 * 1024 * 1024;
  const FETCH_S = 15;
  const drawn = dom.method(CanvasRenderingContext2D.prototype, "drawImage");

  /** @param {string|null} url @returns {boolean} this frame may read it */
  function isReachable(url) {
    if (!url) {
      return false;
    }
    return /^(?:blob|data):/.test(url) || new URL(url).origin === window.location.origin;
  }

  /** @param {Response} response @returns {Promise<Blob|null>} null if it is too large */
  async function readBody(response) {
    const reader = response.body?.getReader();
    if (!reader) {
      return null;
    }
    const parts = [];
    for (let total = 0; ;) {
      const { done, value } = await reader.read();
      if (done) {
        return new Blob(parts);
      }
      total += value.byteLength;
      if (total > MOST_BYTES) {
        await reader.cancel();
        return null;
      }
      parts.push(value);
    }
  }

  /** @param {string|null} url @returns {Promise<Blob|null>} */
  async function fetched(url) {
    if (!url || !isReachable(url)) {
      return null;
    }
    try {
      const signal = AbortSignal.timeout(FETCH_S * 1000);
      const response = await fetch(url, { credentials: "same-origin", signal });
      return response.ok ? await readBody(response) : null;
    } catch {
      return null;
    }
  }

  /** @param {HTMLCanvasElement} canvas @returns {boolean} nothing was ever drawn on it */
  function isBlank(canvas) {
    const small = dom.create("canvas");
    small.width = small.height = 16;
    const context = /** @type {CanvasRenderingContext2D} */ (small.getContext("2d"));
    drawn(context, canvas, 0, 0, 16, 16);
    return context.getImageData(0, 0, 16, 16).data.every((value) => value === 0);
  }

  /** @param {Found} found @returns {Promise<Blob|null>} a copy of its pixels, if they are clean */
  async function copied(found) {
    const { element, kind, natural } = found;
    if (!natural || kind === "background" || kind === "svg" || kind === "poster") {
      return null;
    }
    const still = await found.still;
    if (!still && !antifake.pictures.isUnchanged(found)) {
      return null;
    }
    const canvas = dom.create("canvas");
    canvas.width = natural.width;
    canvas.height = natural.height;
    drawn(canvas.getContext("2d"), still ?? element, 0, 0, natural.width, natural.height);
    if (isBlank(canvas)) {
      return null;
    }
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }

  /** @param {Blob} blob @returns {Promise<string>} */
  function base64(blob) {
    return new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.onload = () => resolve(String(reader.result).replace(/^[^,]*,/, ""));
      reader.onerror = () => reject(reader.error);
      reader.readAsDataURL(blob);
    });
  }

  /**
   * @param {Found} found
   * @param {"page"|"canvas"} way
   * @returns {Promise<{base64: string, isLarger: boolean}|null>} the bytes, and whether they are of
   *   the larger rendition; null if this way does not lead to the picture
   */
  async function get(found, way) {
    try {
      const larger = way === "page" ? await fetched(found.larger) : null;
      const blob = larger ?? (way === "page" ? await fetched(found.url) : await copied(found));
      return blob && blob.size && blob.size <= MOST_BYTES
        ? { base64: await base64(blob), isLarger: larger !== null }
        : null;
    } catch {
      // The page's policy, a server or a tainted canvas forbids it: the next way is tried.
      return null;
    }
  }

  antifake.bytes = Object.freeze({ get });
})();
