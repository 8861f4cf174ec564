// The button: held with the mouse, a finger or a key, its contact is closed for as long. Nothing may hold it for ever.

const KEYS = [" ", "Enter"];
const OWN_KEYS = "button, select, input, a, pre, [role=button]:not(#button)";

/** `change(held)` is called when the first finger comes and when the last one goes. */
export function touchable(button, change) {
  const fingers = new Set();

  function put(finger) {
    fingers.add(finger);
    if (fingers.size === 1) change(true);
  }
  function take(finger) {
    if (fingers.delete(finger) && fingers.size === 0) change(false);
  }
  function takeAll() {
    for (const finger of [...fingers]) take(finger);
  }

  button.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    event.preventDefault();
    button.focus({ preventScroll: true });
    button.setPointerCapture(event.pointerId);
    put(event.pointerId);
  });
  for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
    button.addEventListener(end, (event) => take(event.pointerId));
  }
  document.addEventListener("keydown", (event) => {
    if (!KEYS.includes(event.key) || event.target.closest(OWN_KEYS)) return;
    event.preventDefault();
    if (!event.repeat) put(event.key);
  });
  document.addEventListener("keyup", (event) => take(event.key));
  // A finger that trembles holds on: without this, the browser would scroll and take the finger for itself.
  button.addEventListener("touchstart", (event) => event.preventDefault(), { passive: false });
  button.addEventListener("contextmenu", (event) => event.preventDefault());
  window.addEventListener("blur", takeAll);
  window.addEventListener("pagehide", takeAll);
  document.addEventListener("visibilitychange", () => { if (document.hidden) takeAll(); });
}
