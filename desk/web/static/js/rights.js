// What the role of whoever is logged in may do: desk/web/roles.py says it, `/api/me` brings it here.

import { setAttribute } from "./dom.js";
import { t } from "./i18n.js";
import { store } from "./store.js";

const AUDITOR = "auditor";

/** `request`: as in the table of desk/web/roles.py. */
export const may = (request) => (store.me?.may ?? []).includes(request);

const FEED = "GET /api/feed";

/** Whether somebody is known here who may see no calls yet: the second factor that this desk wants is not set up. */
export const isHalfIn = () => Boolean(store.me) && store.me.name !== null && !may(FEED);

/** Why not, in words; "": it may, or nobody is logged in. */
export function mayNot(request) {
  if (!store.me?.role || may(request)) return "";
  return t(store.me.role === AUDITOR ? "refusal.role-auditor" : "refusal.role-chief");
}

/** `node` can be pressed if the role may do `request` and it is not `off` for another reason; else it says why not. */
export function gate(node, request, off = false) {
  const why = mayNot(request);
  node.disabled = Boolean(off || !may(request));
  setAttribute(node, "title", why || null);
  return node;
}
