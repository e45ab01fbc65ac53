-- Take back what was granted and not used.
--
-- Arguments: {now or false, {{granted, rate_per_s, burst}, ...}}, one for each key. Result: for each true.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])
return each(#KEYS, function(at)
  local granted, rate, burst = unpack(arguments[2][at])
  local bucket = load(KEYS[at], rate, burst, now)
  bucket.tokens = math.min(burst, bucket.tokens + granted)
  save(KEYS[at], bucket, rate, burst)
  return true
end)
