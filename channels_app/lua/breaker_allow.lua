-- How many of the wanted requests may go to each channel now.
--
-- Arguments: {now or false, recheck_ms, {{wanted, longest_pause_ms, probe_ms}, ...}}, one for each key.
-- Result: for each key {count, wait_ms or false, state}. False: until somebody resets it.

local arguments = cmsgpack.unpack(ARGV[1])
local now, recheck_ms = now_ms(arguments[1]), arguments[2]

local function answer(key, wanted, longest_pause_ms, probe_ms)
  local packed = redis.call('GET', key)
  if not packed then
    return { wanted, 0, 'closed' }
  end
  local breaker = cmsgpack.unpack(packed)
  if breaker.state == 'closed' then
    return { wanted, 0, 'closed' }
  end
  if breaker.state == 'tripped' then
    return { 0, false, 'tripped' }
  end
  -- Should the clock of Redis jump back, no pause becomes longer than it could have been.
  local longest_ms = breaker.state == 'half_open' and probe_ms or longest_pause_ms
  local wait = math.min(breaker.until_ - now, longest_ms)
  if wait > 0 then
    if breaker.state == 'half_open' then
      return { 0, math.min(wait, recheck_ms), 'half_open' }
    end
    return { 0, wait, 'open' }
  end
  if wanted < 1 then
    return { 0, 0, breaker.state }
  end
  if breaker.state == 'open' then
    enter(breaker, 'half_open', now)
  end
  breaker.until_ = now + probe_ms
  save(key, breaker, probe_ms + longest_pause_ms)
  return { 1, 0, 'half_open' }
end

return each(#KEYS, function(at)
  return answer(KEYS[at], unpack(arguments[3][at]))
end)
