// Both voices once more, to the desk that records them: by WHEP they go between browser and pillar, around the desk.

import { send } from "./api.js";
import { gathered } from "./gathering.js";

export class Copy {
  #peer = null; #own = null;

  /** The browser sends what it hears of the place (`place`, a track), and what is said there (see `say`). Raises Refused. */
  async start(path, place, said) {
    this.stop();
    const peer = new RTCPeerConnection();
    this.#peer = peer;
    peer.addTransceiver(place, { direction: "sendonly" });
    this.#own = peer.addTransceiver(said ?? "audio", { direction: "sendonly" }).sender;
    await peer.setLocalDescription(await peer.createOffer());
    await gathered(peer);
    if (peer !== this.#peer) return; // stopped meanwhile
    const answer = await send("POST", path, peer.localDescription.sdp, "application/sdp");
    const sdp = await answer.text();
    if (peer === this.#peer) await peer.setRemoteDescription({ type: "answer", sdp });
  }

  /** What is said there now; null: nothing. */
  say(track) {
    this.#own?.replaceTrack(track).catch(() => {});
  }

  stop() {
    this.#peer?.close();
    [this.#peer, this.#own] = [null, null];
  }
}
