// The list: selecting and labelling pictures, and updates. Rows never move by themselves: new
// pictures are only announced, but those that the user has checked here are shown.

import { json, text } from "./asking.js";
import * as checking from "./checking.js";
import { _, ngettext } from "./i18n.js";
import { listen } from "./keys.js";
import { on } from "./live.js";
import { alike, forget, mark, refreshVerdicts, undo } from "./marking.js";
import { say } from "./toast.js";

const UNREAD = _("It could not be read, so nothing can be said of it.");
const NO_VERDICT = _("There is no verdict to confirm. Say what it is: real, or AI-made.");

sessionStorage.setItem("antifake.list", location.search);
const list = document.getElementById("rows");
const bulk = document.getElementById("bulk");
const all = document.getElementById("pick-all");
const rows = () => [...list.querySelectorAll(".row")];
const boxOf = (row) => row.querySelector(".pick input");
const shownRows = () => rows().filter((row) => !row.closest("details:not([open])"));
const pickedRows = () => rows().filter((row) => boxOf(row).checked);
const hasVerdict = (row) => row.querySelector(".verdict.real, .verdict.made") !== null;
const hereRow = () => document.activeElement?.closest?.(".row");

listen({
  j: () => go(1),
  k: () => go(-1),
  x: () => toggle(hereRow()),
  y: () => sayOf("right"),
  r: () => sayOf("real"),
  a: () => sayOf("fake"),
  u: () => sayOf("unsure"),
  z: undo,
  o: () => hereRow()?.querySelector("a.name").click(),
  "/": () => document.getElementById("q").select(),
  Escape: () => pickAll(false),
});
list.addEventListener("change", count);
all.addEventListener("change", () => pickAll(all.checked));
document.getElementById("pick-none").addEventListener("click", () => pickAll(false));
document.getElementById("forget-picked").addEventListener("click", forgetPicked);
document.addEventListener("antifake:undo", undo);
document.getElementById("sort").addEventListener("change", ({ target }) => target.form.submit());
bulk.addEventListener("click", (event) => {
  const button = event.target.closest("[data-say]");
  if (button) sayOf(button.dataset.say);
});
// What is said of one picture counts for its near-copies, too.
on("correction", () => later("verdicts", 1, () => refreshVerdicts(rows().map((row) => row.dataset.id))));
on("forgotten", ({ ids }) => drop(ids));
on("check", () => later("new", 1, announce));
on("reset", () => announce());
checking.start(renew);
count();

/** Move to the next row (1) or the previous one (-1). */
function go(step) {
  const shown = shownRows();
  const at = shown.indexOf(hereRow());
  const next = at < 0 ? shown[0] : shown[Math.min(Math.max(at + step, 0), shown.length - 1)];
  next?.querySelector("a.name").focus();
  next?.scrollIntoView({ block: "nearest" });
}

function toggle(row) {
  if (!row) return;
  boxOf(row).checked = !boxOf(row).checked;
  count();
}

function pickAll(isPicked) {
  for (const row of isPicked ? shownRows() : rows()) boxOf(row).checked = isPicked;
  count();
}

function count() {
  const n = pickedRows().length;
  bulk.hidden = n === 0;
  document.getElementById("picked").textContent = n ? ngettext("{n} selected", "{n} selected", n) : "";
  for (const row of rows()) row.classList.toggle("picked", boxOf(row).checked);
  all.checked = n > 0 && n >= shownRows().length;
  all.indeterminate = n > 0 && !all.checked;
}

async function sayOf(label) {
  const picked = pickedRows();
  const asked = picked.length ? picked : [hereRow()].filter(Boolean);
  const known = asked.filter((row) => row.dataset.picture && (label !== "right" || hasVerdict(row)));
  if (!asked.length) return say(_("Go to a picture first, with j, or select some."));
  if (!known.length) return say(label === "right" ? NO_VERDICT : UNREAD, { isError: true });
  const isDone = await mark(known.map((row) => row.dataset.id), label);
  if (isDone && picked.length) pickAll(false);
}

async function forgetPicked() {
  const ids = pickedRows().map((row) => row.dataset.id);
  if (await forget(ids)) drop(ids);
}

/** Remove these rows and all others with the same bytes, which were deleted too. */
function drop(ids) {
  const gone = new Set([...ids, ...alike(ids)]);
  for (const row of rows().filter((one) => gone.has(one.dataset.id))) {
    const day = row.closest(".day");
    const copies = row.nextElementSibling?.closest(".near");
    const group = row.closest(".near") ?? copies;
    if (copies && !row.closest(".near")) copies.before(copies.querySelector(".row"));
    row.remove();
    if (group) recount(group);
    if (!day.querySelector(".row")) day.remove();
  }
  for (const given of document.querySelectorAll("#given-rows [data-id]")) {
    if (gone.has(given.dataset.id)) given.remove();
  }
  count();
}

/** Says how many near-copies a group has; without any it goes. */
function recount(group) {
  const n = Number(group.dataset.n) - 1; // of many only the first are here
  if (!group.querySelector(".row")) return group.remove();
  group.dataset.n = String(n);
  const link = group.querySelector(".all-near a");
  if (link) {
    const every = new URL(link.href);
    every.searchParams.set("near", group.previousElementSibling.dataset.id); // its first may be gone
    link.href = every.href;
  }
  group.querySelector("summary").textContent = ngettext("{n} near-copy", "{n} near-copies", n);
}

async function announce() {
  const place = document.getElementById("new");
  const { newest } = list.dataset;
  const { n, is_all: isAll } = await json(`/newer?than=${newest}&${query()}`);
  if (newest !== list.dataset.newest) return; // the list was updated in the meantime
  if (!n) return place.replaceChildren();
  const link = document.createElement("a");
  link.className = "button";
  link.href = `/?${query()}`;
  link.textContent = isAll
    ? ngettext("{n} new – show", "{n} new – show", n)
    : ngettext("{n} or more new – show", "{n} or more new – show", n);
  place.replaceChildren(link);
}

/** Show the current list. The selection is kept. */
async function renew() {
  const parsed = new DOMParser().parseFromString(await text(location.pathname + location.search), "text/html");
  const [now, howMany] = ["rows", "how-many"].map((id) => parsed.getElementById(id));
  const picked = new Set(pickedRows().map((row) => row.dataset.id));
  const at = list.contains(document.activeElement) ? hereRow()?.dataset.id : null;
  list.dataset.newest = now.dataset.newest;
  list.replaceChildren(...now.childNodes);
  for (const row of rows()) boxOf(row).checked = picked.has(row.dataset.id);
  document.getElementById("how-many").textContent = howMany.textContent;
  document.getElementById("pills").replaceChildren(...parsed.getElementById("pills").childNodes);
  all.closest("label").hidden = !rows().length;
  rows().find((row) => row.dataset.id === at)?.querySelector("a.name").focus();
  count();
  await announce();
}

/** Returns the filter of this page as part of an address. */
function query() {
  const wanted = new URLSearchParams(location.search);
  wanted.delete("after");
  return wanted.toString();
}

const waiting = new Map();

/** Collect the events of a short time, and act once. */
function later(name, value, act) {
  if (!waiting.has(name)) {
    waiting.set(name, new Set());
    setTimeout(() => {
      const values = waiting.get(name);
      waiting.delete(name);
      Promise.resolve(act(values)).catch(() => {});
    }, 250);
  }
  waiting.get(name).add(value);
}
