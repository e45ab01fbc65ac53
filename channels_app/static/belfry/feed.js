/** A feed without a face: says what changes, and goes on where it was. `docs/bell.md` has an example. */
export const feed = ({ api = "/api/v1", stream = "/rt", headers, store = "my-feed", onChange, onState, onLink }) => {
  let cursor = localStorage[store] ?? "", wait_ms = 500, source, timer, ended;
  const reached = (upto) => (localStorage[store] = cursor = upto);
  const call = async (path, method = "GET") => {
    const answer = await fetch(api + path, { method, headers: await headers?.() });
    return answer.ok ? answer.json() : Promise.reject(answer);
  };
  const again = async (after_ms = (wait_ms = Math.min(2 * wait_ms, 3e4)) * (0.5 + Math.random())) => {
    source?.close();
    const missed = await call("/inbox/changes" + (cursor && "?after=" + cursor)).catch(() => 0);
    for (const item of missed.reset ? [{ type: "reset" }] : missed.items ?? []) onChange?.(item);
    if (missed) reached(missed.cursor), onState?.(missed.state);
    onLink?.(missed ? "delayed" : "offline");
    if (!ended) timer = setTimeout(() => open().catch(() => again()), after_ms);
  };
  const open = async () => {
    const ticket = headers ? "&ticket=" + (await call("/rt/ticket", "POST")).ticket : "";
    (source = new EventSource(`${stream}/sse?last_event_id=${cursor}${ticket}`)).onerror = () => again();
    const on = (type, then) => source.addEventListener(type, (e) => then(JSON.parse(e.data), e.lastEventId));
    for (const type of ["new", "updated", "deleted", "reset"])
      on(type, (item, id) => (onChange?.({ type, ...item }), reached(item.cursor ?? id)));
    on("hello", () => ((wait_ms = 500), onLink?.("live")));
    on("state", (state) => (reached(state.cursor), onState?.(state)));
    on("bye", ({ retry_ms, final }) => (final ? source.close() : again(retry_ms)));
  };
  open().catch(() => again());
  return () => (source?.close(), clearTimeout(timer), (ended = true));
};
