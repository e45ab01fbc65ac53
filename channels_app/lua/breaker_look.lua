-- How breakers stand. Arguments: {now or false, {window_ms, ...}}, one for each key.
-- Result: for each key {state, since, until_, trips, failed, successes, failures}.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])
return each(#KEYS, function(at)
  local breaker = load(KEYS[at], now)
  local successes, failures = 0, 0
  local oldest = math.floor(now / (arguments[2][at] / SLICES)) - SLICES
  for _, slice in ipairs(breaker.window) do
    if slice[1] > oldest then
      successes, failures = successes + slice[2], failures + slice[3]
    end
  end
  return {
    breaker.state, breaker.since, breaker.until_, breaker.trips, breaker.failed, successes, failures,
  }
end)
