/** <belfry-bell>: a bell with a count, the list behind it, and toasts. `docs/bell.md` has its attributes. */

const SHEET = new CSSStyleSheet();
SHEET.replaceSync(STYLE);

const BODY = `<button id=bell popovertarget=panel>
<svg viewBox="0 0 24 24"><path d="M4 17h16l-2-3V9A6 6 0 006 9v5zm6 4h4"/></svg><b id=count></b></button>
<div id=panel popover role=dialog aria-labelledby=heading tabindex=-1 autofocus>
<header><h2 id=heading></h2><button id=all></button></header>
<ul id=list></ul><p id=empty></p>
<footer><i></i><span id=status role=status></span><button id=older></button></footer></div>
<ul id=toast popover=manual></ul><p id=voice role=status></p>
<template><li><a><b></b><p></p><time></time></a><button></button></li></template>`;

/** What it says; the attribute `words` has other words, as JSON. */
const WORDS = {
  heading: "Notifications",
  all: "Mark all as read",
  empty: "Nothing here yet",
  older: "Show older",
  read: "Read",
  unread: "unread",
  failed: "Failed, try again",
  connecting: "Connecting",
  live: "Live",
  delayed: "Delayed, still arriving",
  offline: "Offline, trying again",
};

// A connection that is back within this time was never a worry.
const GRACE_MS = 1e4;

const { now } = Date;

// The number in a cursor, "<epoch>-<seq>". A new epoch begins with `reset`, which forgets the old cursor.
const place = (cursor) => +(cursor || "-").split("-")[1];

/** A feed as one tab knows it. Of all tabs one leads: it alone is connected, and tells the others what it hears. */
const begin = (host) => {
  const given = (name) => host.getAttribute(name) || "";
  const words = { ...WORDS, ...JSON.parse(given("words") || "{}") };
  const key = "belfry " + given("recipient");
  const device = (localStorage.belfry ||= "b" + now());
  const items = new Map();
  const tabs = new BroadcastChannel(key);
  let unread = +given("unread"), cursor = localStorage[key], link = "connecting", token = given("token");
  let patience = 500, silence = GRACE_MS, silentAt = now() + silence, pollAt = silentAt, streamAt = 0;
  let known, page, toAck, leads, ended, release, source, live, polled, away, isOpen, frame, fading;

  // --- Tabs --------------------------------------------------------------------------------------

  const queue = (steal) => {
    const lead = () => {
      if (leads || ended) return;
      leads = 1;
      tick();
      return new Promise((go) => (release = go));
    };
    // Only secure pages have locks. Without, each tab is connected.
    (navigator.locks?.request(key, { steal }, lead) ?? lead())?.catch(() => {
      abdicate();
      queue();
    });
  };

  const abdicate = () => {
    leads = 0;
    release?.();
    drop({});
  };

  const tell = (...said) => {
    tabs.postMessage(said);
    hear(...said);
  };

  const hear = (kind, said, upto, state) => {
    if (kind === "who") {
      streamAt = 0;
      tick();
      return leads && announce();
    }
    link = state;
    if (!leads) silentAt = now() + 1e5;
    if (kind === "reset") {
      items.clear();
      cursor = "";
      if (isOpen) load();
    } else if (kind === "state") known = said;
    else {
      take(said);
      if (kind === "new") {
        toAck = upto;
        if (known && !said.read) ring(said);
      }
    }
    counted(said?.unread, upto);
  };

  // --- What is known -----------------------------------------------------------------------------

  // All that is said of an item is absolute. What is newer counts, in whatever order it comes.
  const take = (item) => {
    const known = items.get(item.id) || {};
    items.set(item.id, Object.assign(known, item, known.seq > item.seq && { ...known }));
  };

  const counted = (count = unread, upto) => {
    if (upto && place(upto) >= place(cursor)) {
      localStorage[key] = cursor = upto;
      unread = count;
    }
    paint();
  };

  // Show at once what shall be, and take it back when it cannot be saved. Without `ids`: all that this tab knows of.
  const mark = async (read, ids) => {
    const before = [cursor, unread];
    const meant = [...items.values()].filter((item) => item.read === !read && (!ids || ids.includes(item.id)));
    for (const item of meant) item.read = read;
    unread = ids ? unread + (read ? -1 : 1) * meant.length : 0;
    paint();
    try {
      await call(read ? "/inbox/read" : "/inbox/unread", ids ? { ids } : { upto: cursor });
    } catch {
      for (const item of meant) item.read = !read;
      if (cursor === before[0]) unread = before[1];
      fail();
      paint();
    }
  };

  // --- Asking ------------------------------------------------------------------------------------

  const call = async (path, body) => {
    const tokens = given("token-url");
    if (tokens && !token) ({ token } = await (await fetch(tokens)).json());
    const headers = { "Content-Type": "application/json", "X-CSRFToken": given("csrf") };
    if (token) headers.Authorization = "Bearer " + token;
    const post = body && { method: "POST", body: JSON.stringify(body), keepalive: true };
    const answer = await fetch(given("api") + path, { headers, ...post });
    if (answer.ok) return answer.status === 204 || answer.json();
    if (tokens) token = "";
    throw answer;
  };

  // Of what this tab knows only that stays in the list which is newer than the page.
  const load = async (before) => {
    try {
      page = await call("/inbox" + (before ? "?before=" + before : ""));
      if (!before) for (const item of items.values()) place(page.cursor) < item.seq || (item.position = 0);
      page.items.forEach(take);
      counted(page.state.unread, page.cursor);
    } catch {
      fail();
    }
  };

  // --- The tab that leads ------------------------------------------------------------------------

  const tick = () => {
    const wasAway = away;
    away = document.hidden || !navigator.onLine;
    if (wasAway && !away) tell("who");
    if (now() > silentAt || !navigator.onLine) leads ? source && drop({}) : away || queue(true);
    if (!leads) return;
    if (!source && now() > streamAt) connect().catch(drop);
    if (!live && now() > pollAt) poll();
    const state = live || polled || "connecting";
    if (link !== state) announce(state);
  };

  const announce = (state = link) => tell("state", known && { unread }, cursor, state);

  const drop = ({ code, retry_ms }) => {
    source?.close?.();
    source = 0;
    if (live) [pollAt, polled] = [now() + GRACE_MS];
    live = "";
    if (code === 4201) cursor = "";
    streamAt = now() + (code < 4100 ? 1e9 : retry_ms ?? patience * (0.5 + Math.random()));
    patience = Math.min(2 * patience, GRACE_MS);
  };

  const connect = async () => {
    const mine = (source = {});
    silentAt = now() + GRACE_MS;
    const to = given("stream");
    let query = "?ping=event&device=" + device + "&last_event_id=" + (cursor || "");
    // Cookies are for our own origin.
    if (token || given("token-url") || /^http/.test(to))
      query += "&ticket=" + (await call("/rt/ticket", { device })).ticket;
    if (source !== mine) return;
    source = new EventSource(to + "/sse" + query);
    source.onerror = drop;
    const on = (kinds, then) => {
      for (const kind of kinds.split(" "))
        source.addEventListener(kind, ({ data, lastEventId }) => {
          then(JSON.parse(data), lastEventId, kind);
          silentAt = now() + silence;
          tick();
        });
    };
    on("state new updated deleted reset", (said, id, kind) => tell(kind, said, said.cursor || id, link));
    on("hello net ping", ({ ping, net, status }) => {
      if (ping) [patience, silence] = [500, ping * 2500];
      if ((net ||= status)) live = net === "ok" ? "live" : "delayed";
      else announce();
    });
    on("bye", drop);
  };

  const poll = async () => {
    pollAt = now() + GRACE_MS;
    try {
      const said = await call("/inbox/changes" + (cursor ? "?after=" + cursor : ""));
      const { items, cursor: upto, state, reset, more } = said;
      if (reset) tell("reset", {}, "", link);
      for (const item of items) tell(item.type, item, upto, link);
      tell("state", state, upto, link);
      polled = "delayed";
      if (more) pollAt = 0;
    } catch {
      polled = "offline";
    }
  };

  // --- Drawing -----------------------------------------------------------------------------------

  // What was painted has arrived. A hidden tab paints nothing.
  const paint = () => {
    frame ||= requestAnimationFrame(() => {
      frame = 0;
      draw();
      const upto = toAck;
      toAck = "";
      if (upto) call("/inbox/ack", { device, upto }).catch(() => (toAck ||= upto));
    });
  };

  const draw = () => {
    host.setAttribute("unread", unread);
    host.setAttribute("state", link);
    count.textContent = unread;
    count.hidden = all.hidden = !unread;
    status.textContent = words[link];
    bell.ariaLabel = [words.heading, unread + " " + words.unread, words[link]];
    if (!isOpen) return items.size > 500 && items.clear();
    const shown = [...items.values()].filter((item) => item.position && item.type !== "deleted" && !item.archived);
    shown.sort((a, b) => b.position - a.position);
    const rows = shown.map((item) => row(item, (item.row ||= template.cloneNode(true))));
    for (const row of [...list.children]) rows.includes(row) || row.remove();
    rows.forEach((row, i) => list.children[i] === row || list.insertBefore(row, list.children[i]));
    empty.hidden = rows.length || !page;
    older.hidden = !page?.next;
  };

  const row = (item, row) => {
    const [link, title, text, time, button] = row.querySelectorAll("*");
    title.textContent = item.title || item.category;
    text.textContent = item.body;
    time.textContent = item.created && new Date(item.created).toLocaleString();
    // What producers say may lead to pages, and do nothing else.
    const leads = /^(https?:[/])?[/]/i.test(item.url);
    link.href = leads ? item.url : "#";
    link.onclick = () => {
      item.read || mark(true, [item.id]);
      return leads;
    };
    button.ariaLabel = words.read;
    button.ariaPressed = item.read;
    button.onclick = () => mark(!item.read, [item.id]);
    row.className = item.read ? "" : "new";
    return row;
  };

  const ring = (item) => {
    if (document.hidden) return;
    voice.textContent = item.title;
    if (isOpen && item.id) return;
    toast.replaceChildren(row(item, template.cloneNode(true)));
    toast.showPopover();
    stay();
  };

  const fail = () => ring({ title: words.failed, read: true });

  // Whoever reads it has the time for it.
  const stay = () => {
    clearTimeout(fading);
    fading = setTimeout(() => (toast.matches(":hover,:focus-within") ? stay() : toast.hidePopover()), 8000);
  };

  const root = host.shadowRoot || host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [SHEET];
  host.style.colorScheme ||= given("theme");
  root.innerHTML = BODY;
  const template = root.querySelector("template").content.firstChild;
  const [bell, count, panel, heading, all, list, empty, status, older, toast, voice] = root.querySelectorAll("[id]");
  for (const part of [heading, all, empty, older]) part.textContent = words[part.id];
  // From within a shadow, browsers give the focus back to nobody.
  panel.onbeforetoggle = () => {
    if (panel.contains(root.activeElement)) bell.focus();
  };
  panel.ontoggle = ({ newState }) => {
    isOpen = newState === "open";
    if (isOpen) {
      toast.hidePopover();
      load();
    }
    draw();
  };
  panel.onkeydown = (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!step) return;
    const rows = [...list.children];
    const here = rows.indexOf(root.activeElement.closest("li"));
    rows[Math.max(0, here + step)]?.firstChild.focus();
    return false;
  };
  all.onclick = older.onclick = ({ target }) => {
    target === all ? mark(true) : load(page.next);
    // The button may soon be gone, and with it the focus.
    panel.focus();
  };
  toast.onclick = () => toast.hidePopover();

  tabs.onmessage = ({ data }) => hear(...data);
  draw();
  queue();
  tell("who");
  const clock = setInterval(tick, 1000);
  return () => {
    ended = 1;
    clearInterval(clock);
    abdicate();
    tabs.close();
  };
};

customElements.define("belfry-bell", class extends HTMLElement {
  connectedCallback() {
    this.end = begin(this);
  }
  disconnectedCallback() {
    this.end();
  }
});
