// The last script on sites that are marked on their own. There the browser puts the scripts in by
// itself, so no message of the worker starts the marks.
"use strict";

globalThis.antifake.marks.start();
