-- How many requests may go to each channel now, and when the turns of the others come.
--
-- Keys: two for each channel, its bucket and its pause.
-- Arguments: {now or false, longest_pause_ms, {{returning, fresh, rate_per_s or false, burst}, ...}}.
-- Result: for each channel {granted, pause_ms, gap_ms, returning_left, tokens, behind}. After the pause,
--   the turn of the k-th of those returning that are left comes after max(0, k - tokens) gaps, that of
--   the k-th fresh one after max(0, behind + k).

local arguments = cmsgpack.unpack(ARGV[1])
local now, longest_pause_ms = now_ms(arguments[1]), arguments[2]

-- So that rounding does not hold back a request whose turn has come.
local ALMOST = 1e-6

local function grant(bucket, returning, fresh)
  local ready = math.max(0, math.floor(bucket.tokens + ALMOST))
  local granted = math.min(returning, ready)
  -- Fresh ones do not overtake those that were given a turn.
  if granted == returning and bucket.queue <= ALMOST then
    granted = granted + math.min(fresh, ready - granted)
  end
  bucket.tokens = bucket.tokens - granted
  return granted
end

local function limited(key, pause_ms, returning, fresh, rate, burst)
  local bucket = load(key, rate, burst, now)
  local granted = pause_ms > 0 and 0 or grant(bucket, returning, fresh)
  local returning_left = math.max(0, returning - granted)
  local fresh_left = returning + fresh - granted - returning_left
  -- As it will be when the pause is over.
  local lead = pause_ms / 1000 * rate
  local tokens, queue = math.min(burst, bucket.tokens + lead), math.max(0, bucket.queue - lead)
  local behind = returning_left - tokens
  if queue > ALMOST then
    behind = math.max(behind, queue)
  end
  if fresh_left > 0 then
    bucket.queue = math.max(0, behind + fresh_left) + lead
  end
  save(key, bucket, rate, burst)
  return { granted, pause_ms, 1000 / rate, returning_left, tokens, behind }
end

local function paused_for(key)
  local until_ms = tonumber(redis.call('GET', key) or 0)
  return math.min(math.max(0, until_ms - now), longest_pause_ms)
end

return each(#arguments[3], function(at)
  local returning, fresh, rate, burst = unpack(arguments[3][at])
  local pause_ms = paused_for(KEYS[2 * at])
  if rate then
    return limited(KEYS[2 * at - 1], pause_ms, returning, fresh, rate, burst)
  elseif pause_ms > 0 then
    return { 0, pause_ms, 0, returning, 0, 0 }
  end
  return { returning + fresh, 0, 0, 0, 0, 0 }
end)
