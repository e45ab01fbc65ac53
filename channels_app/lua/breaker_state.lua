-- Put before each of the breaker's scripts: what is stored of a breaker, and the time.
--
-- A breaker is one key: a MessagePack map with
--   state   "closed", "open", "half_open" or "tripped" (by hand)
--   since   when it came into that state, ms since 1970
--   until_  open: when the first probe may go; half_open: when the probe that is out counts as lost
--   trips   how often it has opened without closing in between
--   failed  failures in a row
--   window  {slice number, successes, failures} of the latest slices of the window
-- A missing key is a closed breaker that knows nothing.

local SLICES = 10

local function now_ms(given)
  if given then
    return given
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function load(key, now)
  local packed = redis.call('GET', key)
  if packed then
    return cmsgpack.unpack(packed)
  end
  return { state = 'closed', since = now, until_ = 0, trips = 0, failed = 0, window = {} }
end

local function save(key, breaker, keep_ms)
  local packed = cmsgpack.pack(breaker)
  if breaker.state == 'tripped' then
    redis.call('SET', key, packed)
  else
    redis.call('SET', key, packed, 'PX', math.ceil(keep_ms))
  end
end

local function enter(breaker, state, now)
  breaker.state, breaker.since, breaker.until_ = state, now, 0
  breaker.failed, breaker.window = 0, {}
end
