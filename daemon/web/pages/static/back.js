// Lets a remembered browser in, and shows the page that it wanted; else how to open it.

import { comeBack } from "./remembered.js";

const TRIED = "antifake.back";
const AGAIN_MS = 10_000;

document.documentElement.classList.add("js");
// A browser that does not keep the cookie would reload for ever.
const isAgain = Date.now() - Number(sessionStorage.getItem(TRIED)) < AGAIN_MS;
sessionStorage.setItem(TRIED, Date.now());
if (!isAgain && (await comeBack())) location.reload();
else document.documentElement.classList.remove("js");
