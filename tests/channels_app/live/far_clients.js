// Clients of node that nobody here wrote: `eventsource` and `ws`. Prints each event as a line of JSON.
//     node far_clients.js sse|ws URL TOKEN CURSOR
const [kind, url, token, cursor] = process.argv.slice(2);
const headers = { Authorization: `Bearer ${token}` };
const say = (name, id, data) => console.log(JSON.stringify({ name, id, data }));

if (kind === "sse") {
  const EventSource = require("eventsource");
  const source = new EventSource(`${url}/sse?last_event_id=${cursor}`, { headers });
  for (const name of ["hello", "state", "new", "updated", "deleted", "reset", "net", "bye"])
    source.addEventListener(name, (event) => say(name, event.lastEventId, JSON.parse(event.data)));
} else {
  const WebSocket = require("ws");
  let last = cursor;
  const open = () => {
    const socket = new WebSocket(`${url.replace("http", "ws")}/ws?last=${last}`, ["belfry.v1"], { headers });
    socket.on("message", (text) => {
      const frame = JSON.parse(text);
      if (frame.t === "batch") for (const item of frame.d) say(item.type, `1-${item.seq}`, item);
      else say(frame.t, frame.id || "", frame.d);
      if (frame.id) {
        last = frame.id;
        socket.send(JSON.stringify({ t: "ack", upto: last }));
      }
    });
    socket.on("close", () => setTimeout(open, 300));
    socket.on("error", () => {});
  };
  open();
}
