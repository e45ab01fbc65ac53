-- Pause channels; the longest pause wins.
--
-- Arguments: {now or false, {pause_ms, ...}}, one for each key; 0 asks only, below 0 ends a pause.
-- Result: for each key the ms that its pause still lasts.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])
return each(#KEYS, function(at)
  local key, pause_ms = KEYS[at], arguments[2][at]
  local until_ms = tonumber(redis.call('GET', key) or 0)
  if pause_ms < 0 then
    redis.call('DEL', key)
    until_ms = 0
  elseif pause_ms > 0 and now + pause_ms > until_ms then
    until_ms = now + pause_ms
    redis.call('SET', key, string.format('%.0f', until_ms), 'PX', math.ceil(pause_ms))
  end
  return math.max(0, until_ms - now)
end)
