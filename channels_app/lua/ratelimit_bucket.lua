-- Put before each of the rate limit's scripts: what is stored of a token bucket, and the time.
--
-- A bucket is one key: a MessagePack map with
--   tokens  requests that may go at once, at most the burst
--   queue   turns that were given out and have not come yet; it drains at the rate
--   at      when both were true, ms since 1970
-- A missing key is a full bucket without a queue.

local function now_ms(given)
  if given then
    return given
  end
  local time = redis.call('TIME')
  return time[1] * 1000 + time[2] / 1000
end

local function load(key, rate, burst, now)
  local packed = redis.call('GET', key)
  if not packed then
    return { tokens = burst, queue = 0, at = now }
  end
  local bucket = cmsgpack.unpack(packed)
  -- Should the clock of Redis jump back, nothing is refilled for that time.
  local earned = math.max(0, now - bucket.at) / 1000 * rate
  bucket.tokens = math.min(burst, bucket.tokens + earned)
  bucket.queue = math.max(0, bucket.queue - earned)
  bucket.at = now
  return bucket
end

local function save(key, bucket, rate, burst)
  local full_in_ms = math.max(burst - bucket.tokens, bucket.queue) / rate * 1000
  redis.call('SET', key, cmsgpack.pack(bucket), 'PX', math.ceil(full_in_ms) + 1000)
end
