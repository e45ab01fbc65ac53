-- Set breakers by hand. Arguments: {now or false, "tripped" or "closed"}. Result: for each key true.

local arguments = cmsgpack.unpack(ARGV[1])
local now = now_ms(arguments[1])
return each(#KEYS, function(at)
  local key = KEYS[at]
  if arguments[2] == 'closed' then
    redis.call('DEL', key)
  else
    local breaker = load(key, now)
    enter(breaker, arguments[2], now)
    save(key, breaker, 0)
  end
  return true
end)
