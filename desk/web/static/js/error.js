// In place of a page: the refusal again, in the language that this browser chose at the desk. The server had only what
// browsers ask for (desk/web/error_page.py), and where it serves nobody at all, its words stay.

import { setText } from "./dom.js";
import { has, onLanguage, preferred, t, use } from "./i18n.js";
import { whyNot } from "./words.js";

const id = (name) => document.getElementById(name);
const refused = JSON.parse(document.body.dataset.refused);

function show() {
  const isCoded = has(`refusal.${refused.code}`) || has(`way-failed.${refused.code}`);
  const ofStatus = has(`http.${refused.status}`) ? t(`http.${refused.status}`) : t("http.other", refused);
  setText(id("refused"), isCoded ? whyNot(refused) : ofStatus);
  setText(id("refused-desk"), t("wall.desk"));
}

onLanguage(show);
use(preferred()).catch(() => {});
