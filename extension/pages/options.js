// The options, in a tab: the connection, what is checked and sent, the permissions, and what to know.

import { words } from "../lib/words.js";
import { showConnection } from "./connection.js";
import { byId, translate } from "./elements.js";
import { showPermissions } from "./permissions.js";
import { showSettings } from "./settings.js";
import { showShortcut } from "./shortcut.js";
import { showSites } from "./sites.js";

async function show() {
  translate();
  byId("version").textContent = words("options_version", chrome.runtime.getManifest().version);
  await Promise.all([
    showSettings(byId("checking"), byId("sent")),
    showSites(byId("sites")),
    showPermissions(byId("permissions")),
    showShortcut(byId("shortcut")),
    showConnection(byId("connection"), byId("told")),
  ]);
}

show();
