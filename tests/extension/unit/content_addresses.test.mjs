// Addresses of pictures in srcset, CSS and links.

import assert from "node:assert/strict";
import { test } from "node:test";

import { loadContent } from "./content.mjs";

const { addresses } = loadContent("addresses");
const BASE = "https://site.test/news/page.html?x=1#top";

test("a srcset is split as HTML says", () => {
  const cases = [
    ["a.png", [["a.png", null, 1]]],
    [
      "a.png 1x, b.png 2x",
      [
        ["a.png", null, 1],
        ["b.png", null, 2],
      ],
    ],
    [
      "a.png 320w,b.png 640w",
      [
        ["a.png", 320, null],
        ["b.png", 640, null],
      ],
    ],
    [
      "a.png, b.png 1.5x",
      [
        ["a.png", null, 1],
        ["b.png", null, 1.5],
      ],
    ],
    [" , a,b.png 2x ,", [["a,b.png", null, 2]]],
    [
      "w_1,h_2/a.png 1x, w_3,h_4/a.png 2x",
      [
        ["w_1,h_2/a.png", null, 1],
        ["w_3,h_4/a.png", null, 2],
      ],
    ],
    [
      "data:image/png;base64,AA= 1x, b.png 2x",
      [
        ["data:image/png;base64,AA=", null, 1],
        ["b.png", null, 2],
      ],
    ],
    ["a.png 320w 200h", [["a.png", 320, null]]],
    ["a.png 0w, b.png -1x, c.png 2q, d.png wide", []],
    ["a.png (1x, 2x) 3x, b.png", [["b.png", null, 1]]],
    [
      "\n\ta.png\n1x\n,\nb.png\n2x\n",
      [
        ["a.png", null, 1],
        ["b.png", null, 2],
      ],
    ],
    ["", []],
    [",,, ,", []],
  ];
  for (const [text, expected] of cases) {
    const found = addresses.parseSrcset(text);
    assert.deepEqual(
      found.map((one) => [one.url, one.width, one.density]),
      expected,
      text,
    );
  }
});

test("a srcset of a hostile page ends", () => {
  const start = performance.now();
  addresses.parseSrcset("(".repeat(200_000));
  addresses.parseSrcset(`a.png ${"(".repeat(200_000)}`);
  addresses.parseSrcset(", ".repeat(200_000));
  addresses.fromCss(`url("${"\\".repeat(200_001)}`, 1, BASE);
  addresses.fromCss('url("'.repeat(50_000), 1, BASE);
  assert.ok(performance.now() - start < 2000);
});

test("the largest rendition is of the same srcset", () => {
  const at = (name) => `https://site.test/news/${name}`;
  const widths = "s.png 320w, l.png 1600w, m.png 800w";
  assert.equal(addresses.largest(widths, at("s.png"), BASE), at("l.png"));
  assert.equal(addresses.largest(widths, at("l.png"), BASE), null);
  assert.equal(addresses.largest("a.png, b.png 2x, c.png 3x", at("a.png"), BASE), at("c.png"));
  assert.equal(addresses.largest(widths, at("other.png"), BASE), null);
  assert.equal(addresses.largest("s.png 320w, javascript:1 900w", at("s.png"), BASE), null);
});

test("the first picture of a background is found", () => {
  const cases = [
    ["none", null],
    ['url("/a.png")', "https://site.test/a.png"],
    ['linear-gradient(red, rgb(1, 2, 3)), url("/a.png"), url("/b.png")', "https://site.test/a.png"],
    ['url("/a(1),b.png")', "https://site.test/a(1),b.png"],
    ['url("/a\\"b.png")', "https://site.test/a%22b.png"],
    ['url("data:image/svg+xml,<svg a=\\"x\\">")', 'data:image/svg+xml,<svg a="x">'],
    ['image-set(url("/1.png") 1dppx, url("/2.png") 2dppx)', "https://site.test/1.png"],
    ['"some text"', null],
    ["counter(item)", null],
    ['url("javascript:alert(1)")', null],
    ['url("chrome-extension://x/y.png")', null],
  ];
  for (const [value, expected] of cases) {
    assert.equal(addresses.fromCss(value, 1, BASE)?.url ?? null, expected, value);
  }
});

test("an image set gives what is shown and the largest one", () => {
  const value =
    'image-set(url("/1.avif") 1dppx type("image/avif"), url("/3.avif") 3x, url("/2.avif") 192dpi)';
  const at = (n) => `https://site.test/${n}.avif`;
  assert.deepEqual(addresses.fromCss(value, 1, BASE), { url: at(1), larger: at(3) });
  assert.deepEqual(addresses.fromCss(value, 2, BASE), { url: at(2), larger: at(3) });
  assert.deepEqual(addresses.fromCss(value, 4, BASE), { url: at(3), larger: null });
});

test("only links to picture files count", () => {
  const cases = {
    "/full/lake.jpg": true,
    "/full/LAKE.JPEG?width=10#top": true,
    "//cdn.test/a.webp": true,
    "/wiki/File:Lake.jpg": false,
    "/wiki/Datei%3ALake.jpg": false,
    "/lake": false,
    "/lake.html": false,
    "/lake.jpg/comments": false,
    "/show?file=lake.jpg": false,
    "javascript:'a.jpg'": false,
    "data:image/png;base64,AA.png": false,
    "mailto:a@b.png": false,
    "https://[broken/a.jpg": false,
  };
  for (const [href, isPicture] of Object.entries(cases)) {
    assert.equal(addresses.pictureLink(href, BASE) !== null, isPicture, href);
  }
});
