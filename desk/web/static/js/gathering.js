// When an offer knows where this browser can be reached.

const GATHER_MS = 400; // host candidates only: there is no server to ask

export function gathered(peer) {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === "complete") resolve(); };
  });
}
