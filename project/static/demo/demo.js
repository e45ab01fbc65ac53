// The page /demo/: sends over the API, and shows what the feed, the mailbox and the receiver have got.
const { feed } = await import(document.querySelector("[data-feed]").dataset.feed);
const facts = JSON.parse(document.getElementById("demo-facts").textContent);
const API = "/api/v1";
const at = (id) => document.getElementById(`demo-${id}`);
const ENDED = ["delivered", "suppressed", "dead", "cancelled"];
const TONES = { delivered: "good", retrying: "warn", dead: "bad", suppressed: "quiet", cancelled: "quiet" };
const WATCHED_MS = 60_000;

const ask = async (method, path, body) => {
  const headers = { "Content-Type": "application/json", "X-CSRFToken": facts.csrf };
  const answer = await fetch(API + path, { method, headers, body: body && JSON.stringify(body) });
  if (answer.ok) return answer.json();
  throw new Error(answer.status === 404 ? "404" : (await answer.json()).detail);
};

const element = (name, text = "", kind = "") =>
  Object.assign(document.createElement(name), { textContent: text, className: kind });

const line = (title, when, ...more) => {
  const row = element("li");
  if (when) row.append(element("time", new Date(when).toLocaleTimeString()));
  row.append(element("strong", title), ...more);
  return row;
};

// --- The stage: a streamer with a mailbox, a receiver, and a policy of its own --------------------

const ensure = async (room, wish) => {
  const there = await ask("GET", `/${room}/${wish.key}`).catch((error) => {
    if (error.message !== "404") throw error;
  });
  if (!there) return ask("POST", `/${room}`, wish);
  // The ports are others after each start, and stand in the name.
  if (there.name !== wish.name) await ask("PATCH", `/${room}/${wish.key}`, wish);
};

const setUp = async () => {
  if (!facts.world) return;
  const own = { owner_key: "try", retry_base_s: 0.5, retry_cap_s: 5 };
  const server = { host: "127.0.0.1", port: facts.smtp_port, security: "none" };
  const mail = { ...server, from_address: "bell@belfry.invalid", to: ["you@belfry.invalid"] };
  const mailbox = { key: "try-mail", name: `Mailbox at port ${facts.smtp_port}`, kind: "email", config: mail };
  const hook = { url: `${facts.world}/sink/try` };
  const receiver = { key: "try-webhook", name: `Receiver at ${facts.world}`, kind: "webhook", config: hook };
  await ensure("streamers", { key: "try", name: "Trying things out", platform: "demo" });
  for (const channel of [mailbox, receiver]) await ensure("channels", { ...channel, ...own });
  const known = await ask("GET", "/policies?scope=streamer&streamer=try");
  const everything = { min_priority: "debug", event_types: ["*"], channels: [mailbox.key, receiver.key] };
  const policy = { scope: "streamer", streamer: "try", ...everything };
  if (!known.results.length) await ask("POST", "/policies", policy);
};

// --- Sending, and following what was sent ---------------------------------------------------------

const send = async ({ title, body, priority, url }) => {
  const said = { event_type: "demo.message", title, body, priority, data: url ? { url } : {} };
  const draft = { ...said, recipients: [facts.recipient] };
  const { id } = await ask("POST", "/notifications", { ...draft, ...(facts.world && { streamer: "try" }) });
  at("said").textContent = `“${title}” was accepted.`;
  const row = line(title, Date.now());
  at("fates").prepend(row);
  follow(id, row, Date.now());
};

const follow = async (id, row, since) => {
  const { deliveries, state, routed_at, routing_note } = await ask("GET", `/notifications/${id}`);
  const told = deliveries.map(({ channel, state, attempts, reason }) => {
    const what = element("p", `${channel}: `);
    const tries = attempts === 1 ? "1 try" : `${attempts} tries`;
    what.append(element("span", state, `bf-badge bf-${TONES[state] || "wait"}`), ` ${tries}. ${reason}`);
    return what;
  });
  if (routed_at) told.unshift(element("p", routing_note || (told.length ? "" : "No channel was to hear of it.")));
  else told.push(element("p", `It is ${state}.`));
  row.querySelectorAll("p").forEach((old) => old.remove());
  row.append(...told.filter((one) => one.textContent));
  const ended = routed_at && deliveries.every((delivery) => ENDED.includes(delivery.state));
  if (!ended && Date.now() - since < WATCHED_MS) setTimeout(follow, 400, id, row, since);
};

const form = at("form");
const submit = (times) => async (event) => {
  event.preventDefault();
  if (!form.reportValidity()) return;
  const said = Object.fromEntries(new FormData(form));
  try {
    for (let n = 1; n <= times; n += 1) await send(times > 1 ? { ...said, title: `${said.title} (${n})` } : said);
  } catch (error) {
    at("said").textContent = error.message;
  }
};
form.addEventListener("submit", submit(1));
at("five").addEventListener("click", submit(5));

// --- What arrives ---------------------------------------------------------------------------------

const LINKS = { live: "good", delayed: "warn", offline: "bad" };
const says = ({ type, title, read, seen }) => {
  if (type === "updated") return `updated: ${read ? "read" : seen ? "seen" : "unread"}`;
  return title ? `${type}: ${title}` : type;
};
feed({
  stream: facts.live,
  headers: () => ({ "X-CSRFToken": facts.csrf }),
  onChange: (item) => {
    at("changes").prepend(line(says(item), Date.now(), element("p", `number ${item.seq ?? "–"}`)));
    at("unread").textContent = item.unread ?? at("unread").textContent;
  },
  onState: ({ unread }) => (at("unread").textContent = unread),
  onLink: (link) => Object.assign(at("link"), { textContent: link, className: `bf-badge bf-${LINKS[link]}` }),
});

const look = async () => {
  const answer = await fetch("/demo/arrived").catch(() => null);
  if (!answer?.ok) return;
  const { mail, webhook } = await answer.json();
  const mails = mail.map(({ title, at: when, text, to }) => line(title, when, element("p", `To ${to}\n${text}`)));
  at("mails").replaceChildren(...mails);
  at("webhooks").replaceChildren(...webhook.map(({ id, at: when, text }) => line(id, when, element("pre", text))));
};

if (facts.world) {
  setInterval(look, 1000);
  look();
}
setUp().catch(({ message }) => (at("said").textContent = `The mailbox and the receiver are not set up: ${message}`));
