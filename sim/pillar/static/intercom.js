// Standing at the pillar: its loudspeaker is this browser's, and this browser's microphone is its microphone.

const GATHER_MS = 1000; // there is no server to ask, so addresses are known at once

/** Connects. Without a microphone one can still listen. Returns {end()}; rejects when the pillar cannot be reached. */
export async function stand(over) {
  const connection = new RTCPeerConnection({ iceServers: [] });
  const speaker = new Audio();
  let microphone = null;
  let session = null;
  let ended = false;

  function end() {
    if (ended) return;
    ended = true;
    for (const track of microphone?.getTracks() ?? []) track.stop();
    speaker.srcObject = null;
    const goodbye = session ? fetch(session, { method: "DELETE", keepalive: true }) : Promise.resolve();
    goodbye.catch(() => {}).finally(() => connection.close()); // unheard, it finds out by itself
    removeEventListener("pagehide", end);
    over();
  }

  try {
    microphone = await ask();
    if (microphone) connection.addTransceiver(microphone.getAudioTracks()[0], { direction: "sendrecv" });
    else connection.addTransceiver("audio", { direction: "recvonly" });
    connection.addEventListener("track", (event) => {
      speaker.srcObject = new MediaStream([event.track]);
      speaker.play().catch(() => {}); // a browser that plays nothing unasked: but a button was pressed
    });
    connection.addEventListener("connectionstatechange", () => {
      if (["failed", "closed"].includes(connection.connectionState)) end();
    });
    addEventListener("pagehide", end);
    await connection.setLocalDescription(await connection.createOffer());
    await gathered(connection);
    const answer = await fetch("person", {
      method: "POST",
      headers: { "Content-Type": "application/sdp" },
      body: connection.localDescription.sdp,
    });
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
    session = answer.headers.get("Location");
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
  } catch (error) {
    end();
    throw error;
  }
  return { end, speaks: microphone !== null };
}

/** The microphone, or null when there is none or it is not given. */
async function ask() {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true } });
  } catch {
    return null;
  }
}

function gathered(connection) {
  if (connection.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    setTimeout(resolve, GATHER_MS);
    connection.addEventListener("icegatheringstatechange", () => {
      if (connection.iceGatheringState === "complete") resolve();
    });
  });
}
