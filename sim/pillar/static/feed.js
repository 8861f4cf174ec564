// The connection to the pillar behind the page: what it shows comes in, what somebody does to it goes out.

const AGAIN_MS = [250, 500, 1000, 2000];

/** Keeps a connection to the feed. `on.message(object)`, `on.connected(true or false)`. Returns send(object). */
export function connect(on) {
  let socket = null;
  let failures = 0;

  function open() {
    const url = new URL("feed", location.href);
    url.protocol = url.protocol.replace("http", "ws");
    socket = new WebSocket(url);
    socket.addEventListener("open", () => { failures = 0; on.connected(true); });
    socket.addEventListener("message", (event) => on.message(JSON.parse(event.data)));
    socket.addEventListener("close", () => {
      on.connected(false);
      setTimeout(open, AGAIN_MS[Math.min(failures++, AGAIN_MS.length - 1)]);
    });
  }

  open();
  return (message) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(message));
  };
}
