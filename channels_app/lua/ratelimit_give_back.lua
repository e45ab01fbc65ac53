-- Take back what was reserved and not used.
--
-- Arguments: {now or false, {{granted, promised, rate_per_s, burst}, ...}}, one for each key. Result: true.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])
for at, key in ipairs(KEYS) do
  local granted, promised, rate, burst = unpack(arguments[2][at])
  local bucket = load(key, rate, burst, now)
  bucket.tokens = math.min(burst, bucket.tokens + granted)
  bucket.queue = math.max(0, bucket.queue - promised)
  save(key, bucket, rate, burst)
end
return cmsgpack.pack(true)
